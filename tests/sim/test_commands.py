"""The subcommands, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.episodes import EpisodeDataset
from magma_ros.sim.commands import describe
from magma_ros.sim.rollout import RolloutResult


def test_eval_ends_in_the_summary_and_writes_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line of output is the result; the file adds trials, versions and commit."""
    report = tmp_path / "made" / "report.json"
    assert main(["eval", "--policy", "expert", "--trials", "2", "--seed", "30", "--json", str(report)]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("success_rate 1.00 (2/2), 95% Wilson [0.34, 1.00], errors 0, step_budget 60")
    assert last.endswith("seeds 30..31, policy expert")
    document = json.loads(report.read_text())
    assert [trial["seed"] for trial in document["trials"]] == [30, 31]
    assert {"commit", "versions", "device", "machine", "fingerprint", "wall_s"} <= set(document)


def test_random_policy_repeats_with_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs of the same command print the same trials."""
    outputs = []
    for _ in range(2):
        assert main(["eval", "--policy", "random", "--trials", "1", "--seed", "5"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_collect_writes_a_dataset_that_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Demonstrations land in the folder and agree with their description."""
    folder = tmp_path / "demos"
    assert main(["collect", "--output", str(folder), "--episodes", "1", "--workers", "1"]) == 0
    dataset = EpisodeDataset(folder)
    dataset.verify()
    assert len(dataset) == 1
    assert dataset.read(0).seed >= 1_000_000
    assert "episodes 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "--policy", "nobody", "--trials", "1"], "checkpoint 'nobody': expected a checkpoint folder"),
        (["eval", "--suite", "nowhere"], "no suite 'nowhere', available ['bridge']"),
        (["eval", "--task", "fly"], "no task 'fly'"),
        (["eval", "--policy", "noop", "--trials", "0"], "at least 1 trial"),
        (["eval", "--policy", "noop", "--seed", "-1"], "seed of at least 0"),
        (["eval", "--policy", "noop", "--execution-horizon", "0"], "execution_horizon"),
        (["collect", "--output", "x", "--expert-share", "2"], "expert share"),
    ],
)
def test_refusals_are_one_line_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be done is said on stderr, without a traceback."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""


def test_trial_is_described_in_one_line_and_an_error_with_its_traceback() -> None:
    """Stops, limits and what was seen are told; an error brings its details."""
    stopped = RolloutResult(3, "failure", 60, 2, 1, {"stale_observation": 2}, {"moved": True, "grasped": False}, "")
    expected = "seed 3: failure after 60 steps (seen: moved), 2 stops (stale_observation x2), 1 limited"
    assert describe(stopped) == expected
    broken = RolloutResult(4, "error", 0, 0, 0, {}, {}, "Traceback: boom")
    assert describe(broken) == "seed 4: error after 0 steps (seen: nothing)\nTraceback: boom"
