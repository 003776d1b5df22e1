"""What Ray's actors import in tests: toy trials and policies, some of which end or block their process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import ray

from magma_ros.errors import CheckpointError
from magma_ros.policy import Policy
from magma_ros.sim.env import Env
from magma_ros.sim.policies import load_policy
from magma_ros.sim.suites import Suite, Task
from magma_ros.types import ActionChunk, Observation
from tests.examples import CONTRACT, LIMITS, NO_TOKENS
from tests.sim.toy_env import ReachPolicy, ToyEnv

REACH = Task("reach", "reach the line", step_budget=8, settle_steps=1, success_rule="within 1 cm")
SUITE = Suite("toy", "bridge", 5.0, LIMITS, (REACH,))


def toy_env(_task: Task) -> ToyEnv:
    return ToyEnv()


def reach_or_miss(env: ToyEnv, seed: int) -> ReachPolicy:
    """Misses in every third trial."""
    return ReachPolicy(env, overshoot=seed % 3 == 0)


def expert(env: Env, seed: int) -> Policy:
    return load_policy("expert", env, seed=seed)


class DeadlyEnv(ToyEnv):
    """Kills its process in the trials of some seeds, each so often; a file in a folder stands for each death."""

    def __init__(self, _task: Task, *, deaths: Mapping[int, int], folder: Path) -> None:
        super().__init__()
        self._deaths, self._folder = deaths, folder

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        number = len(list(self._folder.glob(f"{seed}-*")))
        if number < self._deaths.get(seed, 0):
            (self._folder / f"{seed}-{number}").touch()
            die()
        return super().reset(seed=seed)


class MeetingEnv(ToyEnv):
    """Trials end on one node, once another has begun elsewhere, which a byte in a pipe says; there they never end."""

    def __init__(self, _task: Task, *, staying_node: str, pipe: Path) -> None:
        super().__init__()
        self._staying_node, self._pipe = staying_node, pipe

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        pipe = os.open(self._pipe, os.O_RDWR)
        if ray.get_runtime_context().get_node_id() != self._staying_node:
            os.write(pipe, b".")
            threading.Event().wait()
        os.write(pipe, os.read(pipe, 1))  # it stays there for the others
        os.close(pipe)
        return super().reset(seed=seed)


class MiddlePolicy:
    """Goes to the middle of the places where goals are; a function of the observation, several at once."""

    contract = CONTRACT

    def infer(self, observation: Observation) -> ActionChunk:
        left_m = 0.365 - observation.proprio.ee_position_m[0]
        return ActionChunk([[np.clip(left_m, -0.02, 0.02), 0, 0, 0, 0, 0, 0.25]], "base_link", 0.0, NO_TOKENS)

    def infer_batch(self, observations: Sequence[Observation]) -> list[ActionChunk]:
        return [self.infer(one) for one in observations]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


class MortalPolicy(MiddlePolicy):
    """Takes its process with it when it is asked."""

    def infer_batch(self, observations: Sequence[Observation]) -> NoReturn:
        die()


def no_policy() -> NoReturn:
    raise CheckpointError("no checkpoint 'nowhere'")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")
