"""One writer to a folder at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros.errors import EpisodeError, SweepError
from magma_ros.folder_lock import alone_in


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    """In the same process, too, and as the error of the caller's own kind."""
    folder = tmp_path / "new"
    with alone_in(folder, error=EpisodeError):
        with pytest.raises(SweepError, match="expected to be alone"), alone_in(folder, error=SweepError):
            pass
        with alone_in(tmp_path / "other", error=EpisodeError):
            pass
    with alone_in(folder, error=SweepError):
        assert folder.is_dir()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file in its place is not written over."""
    (tmp_path / "file").write_text("content")
    with pytest.raises(EpisodeError, match="can be written to"), alone_in(tmp_path / "file", error=EpisodeError):
        pass
