"""The evaluation protocols as data: tasks, budgets and the limits of the simulated arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from magma_ros.errors import EnvError
from magma_ros.safety import SafetyLimits
from magma_ros.sim.libero import protocol as libero

FIRST_DEMO_SEED = 1_000_000
"""Seeds from here on are for demonstrations; a policy is measured on the others."""

Simulator = Literal["bridge", "libero"]
Look = Literal["matching", "variants", "shifted"]


@dataclass(frozen=True, slots=True)
class Task:
    """One goal, and how a trial of it is run and judged.

    Attributes:
        name: On command lines and in reports.
        instruction: The sentence that the policy gets.
        step_budget: Policy steps of a trial.
        settle_steps: Steps without motion between the environment's reset and the first policy step.
        success_rule: For people: what counts.
    """

    name: str
    instruction: str
    step_budget: int
    settle_steps: int
    success_rule: str


@dataclass(frozen=True, slots=True)
class Suite:
    """A named set of tasks on one simulated arm.

    Attributes:
        name: On command lines and in reports.
        simulator: What its tasks run in.
        control_rate_hz: Policy steps per simulated second [Hz].
        limits: What the arm may be told in one step.
        tasks: Its goals.
        look: The scenes as they are, with light, table, camera and objects drawn from each trial's seed, or all of them
            on one other table and seen from one other place.
    """

    name: str
    simulator: Simulator
    control_rate_hz: float
    limits: SafetyLimits
    tasks: tuple[Task, ...]
    look: Look = "matching"

    def task(self, name: str) -> Task:
        """The task called `name`.

        Raises:
            EnvError: there is none.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise EnvError(f"suite {self.name!r}: no task {name!r}, available {[task.name for task in self.tasks]}")


BRIDGE_LIMITS = SafetyLimits(
    max_translation_step_m=0.05,
    max_rotation_step_rad=0.5,
    max_observation_age_s=0.6,
    max_step_change_m=0.08,
    workspace_min_m=(0.10, -0.30, 0.0),
    workspace_max_m=(0.50, 0.30, 0.35),
    workspace_frame="base_link",
    table_height_m=-0.0015,
)
"""Of the simulated WidowX: a box over the table in the base frame [m], three control periods of patience."""

_SETTLED = "reset settles the scene for 0.5 s"
BRIDGE = Suite(
    name="bridge",
    simulator="bridge",
    control_rate_hz=5.0,
    limits=BRIDGE_LIMITS,
    tasks=(
        Task(
            name="carrot_on_plate",
            instruction="put carrot on plate",
            step_budget=60,
            settle_steps=0,
            success_rule=f"the carrot rests on the plate alone at the last step; {_SETTLED}",
        ),
        Task(
            name="spoon_on_towel",
            instruction="put the spoon on the towel",
            step_budget=60,
            settle_steps=0,
            success_rule=f"the spoon's middle is over the towel, at most 2 cm above it, at the last step; {_SETTLED}",
        ),
        Task(
            name="stack_cube",
            instruction="stack the green block on the yellow block",
            step_budget=60,
            settle_steps=0,
            success_rule=f"the green block rests on the yellow one alone at the last step; {_SETTLED}",
        ),
        Task(
            name="eggplant_in_basket",
            instruction="put eggplant into yellow basket",
            step_budget=120,
            settle_steps=0,
            success_rule=f"the eggplant is inside the basket, up to 6 cm above its floor, at the last step; {_SETTLED}",
        ),
    ),
)
"""SimplerEnv's four WidowX tasks in its fixed look, "visual matching"."""

BRIDGE_VARIANTS = replace(BRIDGE, name="bridge_variants", look="variants")
"""The same, each trial with one thing changed: see `variant_of_seed`."""

BRIDGE_SHIFTED = replace(BRIDGE, name="bridge_shifted", look="shifted")
"""The same on another robot, so to speak: what a policy has to be adapted to."""

VARIANT_AXES = ("light", "table", "camera", "distractors", "colours", "unseen_object")


def variant_of_seed(seed: int) -> str:
    """The axis along which the look of trial `seed` of `BRIDGE_VARIANTS` departs from visual matching.

    Axes take turns, so that every six seeds from a multiple of six on have each of them once; the turn begins one axis
    later every time round, so that no axis keeps to the even or the odd seeds.
    """
    return VARIANT_AXES[(seed + seed // len(VARIANT_AXES)) % len(VARIANT_AXES)]


LIBERO_LIMITS = SafetyLimits(
    max_translation_step_m=0.09,
    max_rotation_step_rad=0.9,
    max_observation_age_s=0.6,
    max_step_change_m=0.18,
    workspace_frame="panda_link0",
)
"""Of LIBERO's arm: whatever its controller takes passes as it is, as in published evaluations; no box, no table."""

LIBERO_SUCCESS_RULE = (
    "every predicate of the task's goal holds, at any step; reset settles the scene for "
    f"{libero.SETTLE_STEPS} steps with the gripper open"
)


def _libero_suite(suite: libero.LiberoSuite) -> Suite:
    tasks = [
        Task(task.name, task.instruction, suite.step_budget, settle_steps=0, success_rule=LIBERO_SUCCESS_RULE)
        for task in suite.tasks
    ]
    return Suite(suite.name, "libero", libero.CONTROL_RATE_HZ, LIBERO_LIMITS, tuple(tasks))


LIBERO = tuple(_libero_suite(suite) for suite in libero.SUITES)

SUITES: Mapping[str, Suite] = MappingProxyType(
    {suite.name: suite for suite in (BRIDGE, BRIDGE_VARIANTS, BRIDGE_SHIFTED, *LIBERO)}
)


def find_suite(name: str) -> Suite:
    """The suite called `name`.

    Raises:
        EnvError: there is none.
    """
    if name not in SUITES:
        raise EnvError(f"no suite {name!r}, available {sorted(SUITES)}")
    return SUITES[name]
