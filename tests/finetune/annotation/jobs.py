"""Annotations that take a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from magma_ros.finetune.annotation.annotate import Job
from magma_ros.finetune.trace_parameters import ROBOT
from magma_ros.finetune.trackers import TrackerChoice

PARAMETERS = replace(ROBOT, grid_size=12)


def job(output: Path, **changes: Any) -> Job:
    """Windows of eight pictures, every four."""
    usual: dict[str, Any] = {"parameters": PARAMETERS, "tracker": TrackerChoice(), "wording": "robot"}
    return Job(**{**usual, "output": output, "window": 8, "step": 4, "seed": 5} | changes)
