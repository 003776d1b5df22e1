"""A folder of lines belongs to one kind of work and to one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros.errors import CurationError, SweepError
from magma_ros.finetune.line_log import going_on, read_lines


def test_lines_are_gone_on_with(tmp_path: Path) -> None:
    """A second writer finds the lines of the first and adds to them."""
    for number in range(2):
        with going_on(tmp_path, "log.jsonl", settings={"seed": (1, 2)}, error=CurationError) as log:
            assert number == len(log)
            log.append({"number": number})
    assert [{"number": 0}, {"number": 1}] == list(read_lines(tmp_path / "log.jsonl", error=CurationError))


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    """What lies there is not mixed with what would be written."""
    (tmp_path / "holiday.jpg").touch()
    with (
        pytest.raises(SweepError, match=r"expected an empty folder or one that was begun, got \['holiday\.jpg'\]"),
        going_on(tmp_path, "log.jsonl", settings={}, error=SweepError),
    ):
        pass


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """Two would write the same pieces."""
    with (
        going_on(tmp_path, "log.jsonl", settings={}, error=CurationError),
        pytest.raises(CurationError, match="expected to be alone"),
        going_on(tmp_path, "log.jsonl", settings={}, error=CurationError),
    ):
        pass


@pytest.mark.parametrize(("content", "said"), [("[1]\n", "line 1: expected a JSON object"), ("{\n", "lines of JSON")])
def test_a_damaged_line_is_named(tmp_path: Path, content: str, said: str) -> None:
    """Where it is no object, or no JSON."""
    (tmp_path / "log.jsonl").write_text(content)
    with pytest.raises(CurationError, match=said):
        list(read_lines(tmp_path / "log.jsonl", error=CurationError))
