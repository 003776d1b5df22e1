"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from magma_ros.whole_files import names_to_disk, replacing, to_disk


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


def test_a_folder_is_on_the_disk_with_everything_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file and folder below is waited for, and the folder after them; of its names alone, nothing below is."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    for path in (tmp_path / "one", tmp_path / "a" / "b" / "two"):
        path.write_text("content")
    waited: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda file: waited.append(Path(f"/proc/self/fd/{file}").readlink()))
    to_disk(tmp_path)
    assert {tmp_path, *tmp_path.rglob("*")} == set(waited)
    assert tmp_path == waited[-1]
    waited.clear()
    names_to_disk(tmp_path)
    assert [tmp_path] == waited
