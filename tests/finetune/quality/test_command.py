"""`magma-ros data check` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.episodes import EpisodeWriter
from tests.finetune.quality.moving_pictures import frozen_camera, reaching
from tests.model.random_checkpoints import CONTRACT


def write(folder: Path, *, spoiled: bool) -> Path:
    """Three episodes, the last one with a frozen camera or not."""
    with EpisodeWriter(folder, contract=CONTRACT, source={}, pictures="png") as writer:
        for seed in range(3):
            episode = reaching(seed, num_steps=40)
            writer.append(frozen_camera(episode) if spoiled and seed == 2 else episode)
    return folder


def test_clean_data_exits_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says what it saw."""
    assert main(["data", "check", str(write(tmp_path / "demos", spoiled=False))]) == 0
    shown = capsys.readouterr().out
    assert "3 of 3 episodes readable, 120 steps, 2 instructions" in shown
    assert "0 errors, 0 warnings" in shown


def test_errors_exit_with_1_and_are_in_all_three_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text, JSON and page name the code, the episode and its steps."""
    folder = write(tmp_path / "demos", spoiled=True)
    files = {"--json": tmp_path / "out" / "check.json", "--html": tmp_path / "out" / "check.html"}
    assert main(["data", "check", str(folder), *(str(word) for pair in files.items() for word in pair)]) == 1
    shown = capsys.readouterr().out
    assert "frozen_frames: Pictures repeat while the arm moves" in shown
    assert "error   episode 2, steps 13 to " in shown
    (finding,) = (f for f in json.loads(files["--json"].read_text())["findings"] if f["severity"] == "error")
    assert ("frozen_frames", 2) == (finding["code"], finding["episode"])
    assert "frozen frames" in files["--html"].read_text()


def test_what_is_no_dataset_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says why."""
    assert main(["data", "check", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("magma-ros data check: ")


def test_limits_are_options(tmp_path: Path) -> None:
    """A stricter limit makes an error of clean data."""
    folder = write(tmp_path / "demos", spoiled=False)
    assert main(["data", "check", str(folder), "--flat-levels", "200"]) == 1
