"""One seeded trial of a controller in an environment, in simulated time.

Without a latency the world waits for the policy. With one it goes on, in whole control steps: an action that took up to
n periods of thought moves the arm n steps after its picture was taken, the arm holds where no action is ready, and the
next thought begins with the picture of the step in which the last one ended. So does the policy node.
"""

from __future__ import annotations

import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from magma_ros.controller import Controller
from magma_ros.sim.env import Env
from magma_ros.sim.latency import Latency
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Action, Observation, SafeAction

_ROUNDING_SLACK = 1e-6

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
        success_step: The step, 1 … num_steps, from which on it counted as a success until the end; None for no success.
        num_inferences: How often the policy was asked and answered.
        variant: The axis along which the scene departs from the usual look; empty where the environment names none.
    """

    seed: int
    outcome: Outcome
    num_steps: int
    num_stops: int
    num_limited: int
    stop_reasons: Mapping[str, int]
    flags: Mapping[str, bool]
    detail: str
    success_step: int | None = None
    num_inferences: int = 0
    variant: str = ""


@dataclass(slots=True)
class _Tally:
    """What is counted while a trial runs, so that an exception does not lose it."""

    success_step: int | None = None
    num_steps: int = 0
    num_inferences: int = 0
    variant: str = ""
    num_limited: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    flags: dict[str, bool] = field(default_factory=dict)

    def count(self, decision: SafeAction | Stop, info: Mapping[str, Any]) -> None:
        self.num_steps += 1
        if isinstance(decision, Stop):
            self.stops[decision.reason.value] += 1
        elif decision.limited_by:
            self.num_limited += 1
        if not info["success"]:
            self.success_step = None
        elif self.success_step is None:
            self.success_step = self.num_steps
        for name, value in info.items():
            if name != "success" and isinstance(value, bool | np.bool_):
                self.flags[name] = self.flags.get(name, False) or bool(value)

    def result(self, seed: int, outcome: Outcome, detail: str = "") -> RolloutResult:
        stopped = dict(self.stops)
        return RolloutResult(
            seed=seed,
            outcome=outcome,
            num_steps=self.num_steps,
            num_stops=sum(stopped.values()),
            num_limited=self.num_limited,
            stop_reasons=stopped,
            flags=dict(self.flags),
            detail=detail,
            success_step=self.success_step if outcome == "success" else None,
            num_inferences=self.num_inferences,
            variant=self.variant,
        )


def rollout(
    env: Env,
    controller: Controller,
    *,
    seed: int,
    step_budget: int,
    settle_steps: int = 0,
    latency: Latency | None = None,
    on_step: StepObserver | None = None,
) -> RolloutResult:
    """Run the trial of `seed` in simulated time, for the whole budget unless the environment ends it.

    A `Stop` holds the arm for that step: no motion, the gripper as it was told last. Success is the flag of the last
    step, as in SimplerEnv, so that an object which is dropped again counts as a failure. `latency` is how long the
    policy thinks; its course is fixed by `seed`. `on_step` sees each observation with what is done in that step.
    """
    tally = _Tally()
    try:
        thinking = _Thinking(controller, tally, latency=latency, seed=seed)
        _run(env, thinking, tally, seed, step_budget, settle_steps, on_step)
    except Exception:  # noqa: BLE001 - recorded as an error of this trial, never as a failure of the policy
        return tally.result(seed, "error", traceback.format_exc())
    return tally.result(seed, "success" if tally.success_step else "failure")


class _Thinking:
    """The controller with its latency: what is done in each step of the world."""

    def __init__(self, controller: Controller, tally: _Tally, *, latency: Latency | None, seed: int) -> None:
        self._controller, self._tally, self._latency = controller, tally, latency
        self._draw = np.random.default_rng([seed, 2])
        self._period_s = controller.policy.contract.control_period_s
        self._num_steps = 0
        self._begun: tuple[SafeAction | Stop, int] | None = None
        controller.reset()

    def decide(self, observation: Observation) -> SafeAction | Stop | None:
        """The decision that is ready for the step that begins with `observation`; None while the policy thinks."""
        step, self._num_steps = self._num_steps, self._num_steps + 1
        ready = self._take(step)
        if self._begun is None:
            decision, num_periods = self._think(observation)
            self._begun = (decision, step + num_periods)
        return self._take(step) if ready is None else ready

    def _take(self, step: int) -> SafeAction | Stop | None:
        if self._begun is None or step < self._begun[1]:
            return None
        decision, self._begun = self._begun[0], None
        return decision

    def _think(self, observation: Observation) -> tuple[SafeAction | Stop, int]:
        """A decision, and how many control periods it took; one whose picture is stale by then is a stop."""
        before = self._controller.last_chunk
        decision = self._controller.tick(observation, observation.stamp_s)
        if self._controller.last_chunk is before:
            return decision, 0
        self._tally.num_inferences += 1
        if self._latency is None:
            return decision, 0
        latency_s = self._latency.draw(self._draw)
        if latency_s > self._controller.limits.max_observation_age_s:
            decision = Stop(StopReason.STALE_OBSERVATION, f"the picture is {latency_s:.2f} s old after inference")
        return decision, math.ceil(latency_s / self._period_s - _ROUNDING_SLACK)


def _run(
    env: Env,
    thinking: _Thinking,
    tally: _Tally,
    seed: int,
    step_budget: int,
    settle_steps: int,
    on_step: StepObserver | None,
) -> None:
    observation, info = env.reset(seed=seed)
    tally.variant = str(info.get("variant", ""))
    hold = Action(np.zeros(3), np.zeros(3), 1.0, env.contract.frame)
    for _ in range(settle_steps):
        observation, *_ = env.step(hold)
    for _ in range(step_budget):
        decision = thinking.decide(observation) or SafeAction(hold)
        if on_step is not None:
            on_step(observation, decision)
        action = hold if isinstance(decision, Stop) else decision.action
        observation, _, terminated, truncated, info = env.step(action)
        tally.count(decision, info)
        hold = Action(np.zeros(3), np.zeros(3), action.gripper_opening, env.contract.frame)
        if terminated or truncated:
            return
