"""The protocol of LIBERO's published evaluations as data; NumPy only, the benchmark itself need not be installed.

Reference: Liu et al., "LIBERO: Benchmarking Knowledge Transfer for Lifelong Robot Learning" (2023) for suites, tasks
and initial states; budgets, settling and pictures as in the evaluations of OpenVLA and Magma.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magma_ros.errors import EnvError
from magma_ros.json_files import read_object

_DATA = read_object(Path(__file__).with_name("tasks.json"), error=EnvError)

CONTROL_RATE_HZ: float = _DATA["control_rate_hz"]
SETTLE_STEPS: int = _DATA["settle_steps"]
"""Steps without motion, the gripper open, that `LiberoEnv.reset` takes after it placed the objects."""
IMAGE_SIZE_PX = 256
AGENTVIEW, WRIST = "agentview", "robot0_eye_in_hand"
CAMERAS = (AGENTVIEW, WRIST)
"""What a policy may see, by upstream's names; published numbers are made with the first alone unless they say so."""


@dataclass(frozen=True, slots=True)
class LiberoTask:
    """One task by upstream's name, and the sentence it is asked with."""

    name: str
    instruction: str


@dataclass(frozen=True, slots=True)
class LiberoSuite:
    """Upstream's tasks in upstream's order, and the policy steps that a trial of them may take."""

    name: str
    step_budget: int
    tasks: tuple[LiberoTask, ...]


def _suite(name: str, data: dict[str, Any]) -> LiberoSuite:
    tasks = tuple(LiberoTask(task, instruction) for task, instruction in data["tasks"].items())
    return LiberoSuite(name, data["step_budget"], tasks)


SUITES = tuple(_suite(name, data) for name, data in _DATA["suites"].items())
"""libero_spatial, libero_object, libero_goal, libero_10 and libero_90."""


def find_task(suite: str, task: str) -> LiberoTask:
    """The task called `task` of the suite called `suite`.

    Raises:
        EnvError: there is none.
    """
    tasks = {row.name: row.tasks for row in SUITES}
    if suite not in tasks:
        raise EnvError(f"no LIBERO suite {suite!r}, available {sorted(tasks)}")
    for row in tasks[suite]:
        if row.name == task:
            return row
    raise EnvError(f"suite {suite!r}: no task {task!r}, available {[row.name for row in tasks[suite]]}")
