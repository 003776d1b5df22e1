"""`magma-ros collect`, as a user calls it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.episodes import EpisodeDataset
from magma_ros.pipeline import MANIFEST_NAME
from magma_ros.sim.attempts import TaskReport
from magma_ros.sim.collect import REPORT_NAME
from magma_ros.sim.collect_command import describe
from tests.model.random_checkpoints import write_random_checkpoint


def test_collect_writes_a_dataset_that_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Demonstrations of the named task land in the folder, agree with their description and are counted."""
    folder = tmp_path / "demos"
    arguments = ["collect", "--output", str(folder), "--task", "stack_cube", "--episodes", "1", "--workers", "1"]
    assert main(arguments) == 0
    dataset = EpisodeDataset(folder)
    dataset.verify()
    assert len(dataset) == 1
    assert dataset.read(0).instruction == "stack the green block on the yellow block"
    first, last = capsys.readouterr().out.strip().splitlines()
    assert first.startswith("stack_cube: episodes 1, frames ")
    assert "95% Wilson" in first
    assert "a minute with 1 worker, seed 1000000" in last
    assert json.loads((folder / REPORT_NAME).read_text())["tasks"][0]["task"] == "stack_cube"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expert-share", "2"], "expert share"),
        (["--takeover"], "a checkpoint as --policy"),
        (["--seed", "5"], "a seed of at least 1000000"),
        (["--suite", "nowhere"], "no suite 'nowhere'"),
        (["--task", "fly"], "no task 'fly'"),
        (["--policy", "nobody"], "checkpoint 'nobody'"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be done is said on stderr, without a traceback and before a folder is made."""
    assert main(["collect", "--output", str(tmp_path / "demos"), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not (tmp_path / "demos").exists()


def test_another_checkpoint_or_number_type_does_not_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dataset that one checkpoint began is not continued with another one, nor with the same in another type."""
    checkpoint = write_random_checkpoint(tmp_path / "checkpoint")
    folder = tmp_path / "demos"
    asked = ["collect", "--output", str(folder), "--policy", str(checkpoint), "--task", "carrot_on_plate"]
    assert main([*asked, "--episodes", "1", "--workers", "1"]) == 0
    manifest = checkpoint / MANIFEST_NAME
    assert EpisodeDataset(folder).source["checkpoint"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert main([*asked, "--episodes", "2", "--dtype", "bfloat16"]) == 2
    assert "begun with other settings (options)" in capsys.readouterr().err
    manifest.write_text(manifest.read_text() + "\n")
    assert main([*asked, "--episodes", "2"]) == 2
    assert "begun with other settings (checkpoint)" in capsys.readouterr().err
    assert len(EpisodeDataset(folder)) == 1


def test_a_task_is_described_in_one_line() -> None:
    """Episodes, frames, idle frames, and successes among the attempts with their interval."""
    expected = "reach: episodes 9, frames 400, idle frames 20, successes 9 of 10 attempts, 95% Wilson [0.60, 0.98]"
    assert expected == describe(TaskReport("reach", 9, 10, 9, 400, 20))
