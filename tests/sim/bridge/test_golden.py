"""Every task does and shows today what it did when `golden.json` was written, in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from magma_ros.sim.bridge.tasks import TASKS

FOLDER = Path(__file__).parent
GOLDEN = json.loads((FOLDER / "golden.json").read_text())
NAMES = [f"{task} {look}" for task in TASKS for look in ("matching", "variants")]


@pytest.fixture(scope="module")
def measured():
    """What a new process does and shows."""
    program = [sys.executable, str(FOLDER / "golden.py")]
    return json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("name", NAMES)
def test_states_are_the_golden_ones(measured, name):
    """Seed and actions lead to the same states, to a micrometre, in another process and on another day."""
    assert GOLDEN["trials"][name]["states"] == measured["trials"][name]["states"]


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_the_golden_ones(measured, name):
    """Frames are the same to the last bit where the same rasteriser draws them, and look alike where another does."""
    golden, frames = GOLDEN["trials"][name], measured["trials"][name]
    assert np.abs(np.array(golden["blocks"]) - frames["blocks"]).max() <= 4
    if GOLDEN["renderer"] == measured["renderer"]:
        assert golden["frames"] == frames["frames"]
