"""Annotations that take a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from magma_ros.finetune.annotation.job import Cutting, Job
from magma_ros.finetune.trace_parameters import ROBOT, TraceParameters
from magma_ros.finetune.trackers import TrackerChoice

PARAMETERS = replace(ROBOT, grid_size=12)


def job(output: Path, *, seed: int = 5, parameters: TraceParameters = PARAMETERS, **cutting: Any) -> Job:
    """Windows of eight pictures, every four."""
    return Job(
        output=output,
        parameters=parameters,
        tracker=TrackerChoice(),
        wording="robot",
        cutting=Cutting(**{"window": 8, "step": 4, **cutting}),
        seed=seed,
    )
