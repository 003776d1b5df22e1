"""One seeded trial of a controller in an environment."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from magma_ros.controller import Controller
from magma_ros.sim.env import Env
from magma_ros.types import Action, Observation, SafeAction, Stop

Outcome = Literal["success", "failure", "error"]
StepObserver = Callable[[Observation, SafeAction | Stop], None]


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """How one trial went.

    Attributes:
        seed: Of the initial state.
        outcome: `success` and `failure` are the environment's verdict on the last step; `error` is an exception.
        num_steps: Policy steps that were taken.
        num_stops: Of these, steps in which the arm held still because of a `Stop`.
        num_limited: Of these, steps that a limit shortened.
        stop_reasons: How often each reason stopped the arm.
        flags: The environment's other yes/no facts, true if they were at any step.
        detail: The traceback of an error, else empty.
    """

    seed: int
    outcome: Outcome
    num_steps: int
    num_stops: int
    num_limited: int
    stop_reasons: Mapping[str, int]
    flags: Mapping[str, bool]
    detail: str


@dataclass(slots=True)
class _Tally:
    """What is counted while a trial runs, so that an exception does not lose it."""

    success: bool = False
    num_steps: int = 0
    num_limited: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    flags: dict[str, bool] = field(default_factory=dict)

    def count(self, decision: SafeAction | Stop, info: Mapping[str, Any]) -> None:
        self.num_steps += 1
        if isinstance(decision, Stop):
            self.stops[decision.reason.value] += 1
        elif decision.limited_by:
            self.num_limited += 1
        self.success = bool(info["success"])
        for name, value in info.items():
            if name != "success" and isinstance(value, bool | np.bool_):
                self.flags[name] = self.flags.get(name, False) or bool(value)

    def result(self, seed: int, outcome: Outcome, detail: str = "") -> RolloutResult:
        stopped = dict(self.stops)
        return RolloutResult(
            seed, outcome, self.num_steps, sum(stopped.values()), self.num_limited, stopped, dict(self.flags), detail
        )


def rollout(
    env: Env,
    controller: Controller,
    *,
    seed: int,
    step_budget: int,
    settle_steps: int = 0,
    on_step: StepObserver | None = None,
) -> RolloutResult:
    """Run the trial of `seed` in simulated time, for the whole budget unless the environment ends it.

    A `Stop` holds the arm for that step: no motion, the gripper as it was told last. Success is the flag of the last
    step, as in SimplerEnv, so that an object which is dropped again counts as a failure. `on_step` sees each
    observation with the decision on it.
    """
    tally = _Tally()
    try:
        _run(env, controller, tally, seed, step_budget, settle_steps, on_step)
    except Exception:  # noqa: BLE001 - recorded as an error of this trial, never as a failure of the policy
        return tally.result(seed, "error", traceback.format_exc())
    return tally.result(seed, "success" if tally.success else "failure")


def _run(
    env: Env,
    controller: Controller,
    tally: _Tally,
    seed: int,
    step_budget: int,
    settle_steps: int,
    on_step: StepObserver | None,
) -> None:
    observation, _ = env.reset(seed=seed)
    controller.reset()
    hold = Action(np.zeros(3), np.zeros(3), 1.0, env.contract.frame)
    for _ in range(settle_steps):
        observation, *_ = env.step(hold)
    for _ in range(step_budget):
        decision = controller.tick(observation, observation.stamp_s)
        if on_step is not None:
            on_step(observation, decision)
        action = hold if isinstance(decision, Stop) else decision.action
        observation, _, terminated, truncated, info = env.step(action)
        tally.count(decision, info)
        hold = Action(np.zeros(3), np.zeros(3), action.gripper_opening, env.contract.frame)
        if terminated or truncated:
            return
