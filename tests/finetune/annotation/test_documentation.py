"""The page of the manual names what there is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.finetune.annotation.records import Said, record_of, semantic_alone
from magma_ros.finetune.conversation_files import record_of as read_record
from magma_ros.finetune.curation.segments import Rules, Segment, read_segments
from magma_ros.mark_text import MarkText, TraceText

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
    (line,) = re.findall(r'^    (\{"video".*\})$', text, re.MULTILINE)
    path = tmp_path / "segments.jsonl"
    path.write_text(line)
    assert (Segment("day/film.mp4", 12.0, 20.5, "cut the bread"),) == read_segments(path)
    assert ", ".join(Rules().forbidden) in text


def test_a_record_without_its_marks_is_the_first_turn_alone() -> None:
    """With the pictures of that turn, earlier ones too; both are records that the trainer reads."""
    mark = MarkText(1, (10, 20))
    said = Said(text="stack", wording="video", num_pictures=2, marks=[mark], speed=3)
    files, origin = ["a.jpg", "b.jpg", "marked.jpg"], {"video": "a.mp4"}
    whole = record_of(said, name="x", images=files, origin=origin)
    first = semantic_alone(whole)
    assert (["a.jpg", "b.jpg"], 2) == (first["image"], len(first["conversations"]))
    assert [2, 4] == [len(read_record(json.loads(json.dumps(one)), line=1).turns) for one in (first, whole)]
    trace = TraceText(1, (10, 20), ((12, 20), (14, 20)))
    asked = replace(said, traces=[trace], num_steps=2).turns()[1][0]
    assert asked.endswith("numerical marks in the image with speed 3 for the next 2 steps?\n")
