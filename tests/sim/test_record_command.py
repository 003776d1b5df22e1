"""What `magma-ros record` refuses; that it records is shown where its bags are used (tests/ros/test_users_path.py)."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.sim.record_command import record_episodes
from magma_ros.sim.suites import FIRST_DEMO_SEED


def test_episodes_begin_where_no_trial_does() -> None:
    """Nobody is measured on what they were shown: the first seed is that of demonstrations."""
    assert FIRST_DEMO_SEED == inspect.signature(record_episodes).parameters["seed"].default


@pytest.mark.parametrize("option", [["--episodes", "0"], ["--seed", "999999"], ["--seed", "-1"]])
def test_a_number_that_makes_no_sense_is_refused_before_anything_starts(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The range is named, and no folder is made."""
    assert 2 == main(["record", "config/teleop/reach.yaml", "--output", str(tmp_path / "bags"), *option])
    assert "expected at least 1 episode and a seed of at least 1000000" in capsys.readouterr().err
    assert not (tmp_path / "bags").exists()
