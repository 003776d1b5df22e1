"""The page of the manual names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.finetune.curation.segments import Rules, Segment, read_segments

DOCUMENT = Path(__file__).parents[3] / "docs" / "annotating.md"


def test_every_option_that_is_named_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """In the help of `annotate` or of `data curate`."""
    for words in (["annotate"], ["data", "curate"]):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    elsewhere = {"--workers", "--output"}
    assert set() == set(re.findall(r"--[a-z][a-z-]+", DOCUMENT.read_text(encoding="utf-8"))) - known - elsewhere


def test_the_segment_that_is_shown_can_be_read(tmp_path: Path) -> None:
    """And the rules are those of the code."""
    text = DOCUMENT.read_text(encoding="utf-8")
    (line,) = re.findall(r'^(\{"video".*\})$', text, re.MULTILINE)
    path = tmp_path / "segments.jsonl"
    path.write_text(line)
    assert (Segment("day/film.mp4", 12.0, 20.5, "cut the bread"),) == read_segments(path)
    assert ", ".join(Rules().forbidden) in text
