"""`magma-ros inspect` prints what was found and ends in a status that scripts can use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from magma_ros.cli import main
from tests.model.random_checkpoints import write_random_checkpoint


def test_a_healthy_checkpoint_is_shown_and_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parts, units, plan and verdict are on the page."""
    assert 0 == main(["inspect", str(write_random_checkpoint(tmp_path)), "--verify"])
    shown = capsys.readouterr().out
    for part in (
        "vision tower",
        "bridge_widowx",
        "rad",
        "bfloat16 + int8",
        "fingerprint",
        "nothing wrong (files and values)",
    ):
        assert part in shown, part


def test_a_faulty_checkpoint_is_shown_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each fault has a line, and the last line counts them."""
    folder = write_random_checkpoint(tmp_path)
    (folder / "preprocessor_config.json").unlink()
    assert 1 == main(["inspect", str(folder)])
    shown = capsys.readouterr().out
    assert "FAULT  " in shown
    assert "preprocessor_config.json is missing" in shown
    assert "2 faults (headers only" in shown


def test_json_is_one_document(tmp_path: Path) -> None:
    """The same facts for programs, faults included."""
    folder = write_random_checkpoint(tmp_path)
    (folder / "model.safetensors").unlink()
    facts = tmp_path / "facts.json"
    assert 1 == main(["inspect", str(folder), "--json", str(facts)])
    document = json.loads(facts.read_text())
    assert not document["healthy"]
    assert "m" == document["statistics"][0]["unit"]
    assert any("found neither" in fault for fault in document["faults"])


def test_what_is_not_there_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    """No checkpoint, no inspection: one line on stderr."""
    assert 2 == main(["inspect", "/no/such/folder"])
    assert "expected a checkpoint folder" in capsys.readouterr().err
