"""The stranger's script does what the tutorials say."""

from __future__ import annotations

import json
from pathlib import Path

import doc_blocks
import pytest
import run_tutorials


def block(text: str, title: str = "") -> doc_blocks.Block:
    """A block of commands."""
    return doc_blocks.Block(Path("page.md"), 1, "sh", title, text)


def test_every_tutorial_is_done():
    """The order names each page of the folder once."""
    pages = (doc_blocks.ROOT / "docs" / "tutorials").glob("*.md")
    assert sorted(path.stem for path in pages) == sorted(run_tutorials.ORDER)


def test_the_first_command_that_fails_ends_a_block(tmp_path):
    """A block's status is that of its first failure, also within a pipe; what follows is not done."""
    mark = tmp_path / "mark"
    assert 0 == run_tutorials.run(block("true\ntrue"), timeout_s=10)
    assert 1 == run_tutorials.run(block(f"false\ntouch {mark}"), timeout_s=10)
    assert 1 == run_tutorials.run(block("false | cat"), timeout_s=10)
    assert not mark.exists()


@pytest.mark.parametrize(("title", "status"), [("", 0), ("ends with status 1", 0), ("", 3)])
def test_what_passed_is_written_down(monkeypatch, tmp_path, title, status):
    """A block passes when it ends with the status that its title announces; the first that does not ends the run."""
    monkeypatch.setattr(run_tutorials, "FOLDER", tmp_path)
    chosen = [("first_run:1", block(f"exit {status}", title)), ("first_run:2", block("false", "needs a wish"))]
    monkeypatch.setattr(run_tutorials, "chosen", lambda _names: iter(chosen))
    passed = status == block("", title).status
    assert int(not passed) == run_tutorials.main(["first_run"])
    (line,) = (tmp_path / "passed.jsonl").read_text().splitlines()
    assert ("first_run:1", passed, status) == tuple(json.loads(line)[key] for key in ("block", "passed", "status"))


def test_one_block_can_be_chosen():
    """NAME:NUMBER is one block of commands, counted from 1, and NAME all of them in their order."""
    names = [place for place, _ in run_tutorials.chosen(["measure_a_policy", "first_run:2"])]
    assert names[:2] == ["measure_a_policy:1", "measure_a_policy:2"]
    assert names[-1] == "first_run:2"
