"""The toy world as something to demonstrate: states, experts, a suite of two tasks. Other processes import it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.sim.attempts import Attempt
from magma_ros.sim.collect import CollectConfig, collect
from magma_ros.sim.perturbation import Perturbation
from magma_ros.sim.suites import Suite, Task
from magma_ros.types import Action, Observation
from tests.examples import LIMITS
from tests.sim.toy_env import ToyEnv

PERTURBATION = Perturbation(
    noise_m=0.01,
    noise_rad=0.05,
    noise_memory=0.7,
    push_rate=0.1,
    push_m=0.02,
    push_rad=0.2,
    push_steps=(2, 5),
    flip_rate=0.1,
    flip_steps=(1, 2),
    num_steps=(4, 8),
    longest_m=0.045,
    longest_rad=0.4,
)


def _task(name: str, settle_steps: int) -> Task:
    return Task(name, "reach the line", step_budget=20, settle_steps=settle_steps, success_rule="within a centimetre")


SUITE = Suite(
    name="toy",
    simulator="bridge",
    control_rate_hz=5.0,
    limits=LIMITS,
    tasks=(_task("reach", 0), _task("reach_later", 3)),
)


class RecordableToy(ToyEnv):
    """The toy world with states; it draws only where it was asked to."""

    def __init__(self, *, render: bool, ends_at_step: int | None = None) -> None:
        super().__init__(ends_at_step=ends_at_step)
        self._render = render

    def get_state(self) -> tuple[float, bytes, int]:
        """The goal, the position and the clock."""
        return self.goal_x_m, self._position_m.tobytes(), len(self.actions)

    def set_state(self, state: tuple[float, bytes, int]) -> Observation:
        """Go on from there."""
        self.goal_x_m, position, num_steps = state
        self._position_m = np.frombuffer(position)
        self.actions = [Action(np.zeros(3), np.zeros(3), 1.0, "base_link")] * num_steps
        return self._observe()

    def left_m(self) -> float:
        """To the goal along x."""
        return self.goal_x_m - self._position_m[0]

    def _observe(self) -> Observation:
        seen = super()._observe()
        return seen if self._render else Observation({}, seen.instruction, seen.stamp_s, seen.proprio)


class ToyExpert:
    """Goes to the goal and stays."""

    def __init__(self, env: RecordableToy) -> None:
        self._env = env

    def act(self) -> Action:
        """At most 2 cm towards it."""
        return Action([float(np.clip(self._env.left_m(), -0.02, 0.02)), 0, 0], np.zeros(3), 0.0, "base_link")


class HesitantExpert(ToyExpert):
    """Reaches near goals only: about a third of them."""

    def act(self) -> Action:
        """Nothing at all where the goal was beyond 35.5 cm."""
        return super().act() if self._env.goal_x_m < 0.355 else Action(np.zeros(3), np.zeros(3), 0.0, "base_link")


class HelplessExpert(ToyExpert):
    """Reaches nothing."""

    def act(self) -> Action:
        """Nothing."""
        return Action(np.zeros(3), np.zeros(3), 0.0, "base_link")


def make_toy(_suite: Suite, _task: Task, *, render: bool) -> RecordableToy:
    """The same world for each task."""
    return RecordableToy(render=render)


def config(make_expert: Any = HesitantExpert, **changes: Any) -> CollectConfig:
    """Of the toy world."""
    return CollectConfig(**{"perturbation": PERTURBATION, "make_env": make_toy, "make_expert": make_expert, **changes})


def collect_and_die(folder: str, after_attempts: int) -> None:
    """As a process of its own: collect, and be killed after some attempts."""
    seen: list[Attempt] = []

    def count(attempt: Attempt, _num_episodes: int) -> None:
        seen.append(attempt)
        if len(seen) == after_attempts:
            os.kill(os.getpid(), signal.SIGKILL)

    collect(Path(folder), suite=SUITE, num_episodes=3, config=config(), workers=1, on_attempt=count)
