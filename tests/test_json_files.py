"""A JSON file is one object of a bounded size, or an error that says what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros.errors import CheckpointError, MagmaRosError, NormalizationError
from magma_ros.json_files import MAX_BYTES, read_object, write_object


def test_an_object_is_read(tmp_path: Path) -> None:
    """The content comes back as Python's own values."""
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, null]}')
    assert {"a": [1, 2.5, None]} == read_object(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "expected a JSON object, got list"),
        (b"{", "readable JSON file"),
        (b"\xff\xfe", "readable JSON file"),
        (b"[" * 100_000, "readable JSON file"),
        (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES} bytes, got {MAX_BYTES + 1}"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Another value, text that is not JSON, nesting without end and a file that is too long are refused by name."""
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"a.json: .*{message}"):
        read_object(tmp_path / "a.json")


def test_the_caller_chooses_the_error(tmp_path: Path) -> None:
    """A file that is missing is refused in the words of whoever needed it."""
    with pytest.raises(NormalizationError, match=r"a\.json"):
        read_object(tmp_path / "a.json", error=NormalizationError)


def test_what_is_written_is_read_again_and_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The file's folder is made; where there can be none, the path is said in the project's own error."""
    path = tmp_path / "new" / "a.json"
    write_object(path, {"a": [1, 2.5, None]})
    assert {"a": [1, 2.5, None]} == read_object(path)
    with pytest.raises(MagmaRosError, match=r"a\.json/b\.json: cannot be written"):
        write_object(path / "b.json", {})
