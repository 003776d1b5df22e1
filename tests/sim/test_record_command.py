"""What `magma-ros record` refuses; that it records is shown where its bags are used (tests/ros/test_users_path.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros.cli import main


@pytest.mark.parametrize("option", [["--episodes", "0"], ["--seed", "-1"]])
def test_a_number_that_makes_no_sense_is_refused_before_anything_starts(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The range is named, and no folder is made."""
    assert 2 == main(["record", "config/teleop/reach.yaml", "--output", str(tmp_path / "bags"), *option])
    assert "expected at least 1 episode and a seed of at least 0" in capsys.readouterr().err
    assert not (tmp_path / "bags").exists()
