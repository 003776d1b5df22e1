"""A world of a few lines: a point arm that has to reach a seeded place along x. Real enough for rollouts."""

from __future__ import annotations

from typing import Any

import numpy as np

from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.types import Action, ActionChunk, Observation
from tests.examples import CONTRACT, NO_TOKENS, make_proprio

GOAL_RADIUS_M = 0.01


class ToyEnv:
    """Success: the end effector is within a centimetre of the goal. May be told to fail at a step."""

    def __init__(self, *, fails_at_step: int | None = None, ends_at_step: int | None = None) -> None:
        self.contract = CONTRACT
        self.instruction = "reach the line"
        self.actions: list[Action] = []
        self.goal_x_m = 0.0
        self._fails_at_step, self._ends_at_step = fails_at_step, ends_at_step
        self._position_m: np.ndarray | None = None
        self._closed = False

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        if self._closed:
            raise EnvError("closed")
        self.goal_x_m = float(np.random.default_rng(seed).uniform(0.33, 0.40))
        self._position_m = np.array([0.3, 0.0, 0.2])
        self.actions = []
        return self._observe(), self._info()

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._position_m is None:
            raise EnvError("expected `reset` first")
        if action.frame != self.contract.frame or not np.isfinite(action.to_array()).all():
            raise InvalidInputError(f"action: {action}")
        if len(self.actions) == self._fails_at_step:
            raise RuntimeError("the physics exploded")
        self.actions.append(action)
        self._position_m = self._position_m + action.translation_m
        info = self._info()
        return self._observe(), float(info["success"]), False, len(self.actions) == self._ends_at_step, info

    def close(self) -> None:
        self._position_m, self._closed = None, True

    def _observe(self) -> Observation:
        brightness = int(255 * np.clip(self._position_m[0], 0, 1))
        picture = np.full((8, 8, 3), brightness, np.uint8)
        stamp_s = len(self.actions) / self.contract.control_rate_hz
        return Observation({"image": picture}, self.instruction, stamp_s, make_proprio(self._position_m.tolist()))

    def _info(self) -> dict[str, Any]:
        distance_m = abs(self._position_m[0] - self.goal_x_m)
        return {"success": bool(distance_m < GOAL_RADIUS_M), "near": bool(distance_m < 0.03), "distance_m": distance_m}


class ReachPolicy:
    """Goes to the goal and stays; or, with `overshoot`, goes on."""

    def __init__(self, env: ToyEnv, *, overshoot: bool = False) -> None:
        self._env, self._overshoot = env, overshoot
        self.contract = env.contract

    def infer(self, observation: Observation) -> ActionChunk:
        left_m = self._env.goal_x_m - observation.proprio.ee_position_m[0]
        step_m = 0.02 if self._overshoot else float(np.clip(left_m, -0.02, 0.02))
        return ActionChunk([[step_m, 0, 0, 0, 0, 0, 0.25]], self.contract.frame, observation.stamp_s, NO_TOKENS)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass
