"""Files that are there whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from magma_ros.whole_files import replacing


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """Until the end nothing stands in its place; its folder is made."""
    path = tmp_path / "new" / "file"
    with replacing(path) as partial:
        partial.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content"
    assert [path] == list(path.parent.iterdir())


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    """The old file stays, and no half of the new one is left."""
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path) as partial:
        shutil.copy(tmp_path / "nowhere", partial)
    assert path.read_text() == "old"
    assert [path] == list(tmp_path.iterdir())
