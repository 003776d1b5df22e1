"""What Ray's actors import in tests, beside `toys`: trials and policies that end or block their process."""

from __future__ import annotations

import os
import signal
import threading

import ray

from magma_ros.errors import CheckpointError
from tests.sim.sweep.toys import MiddlePolicy
from tests.sim.toy_env import ToyEnv


class DeadlyEnv(ToyEnv):
    """Kills its process in the trials of some seeds, each so often; a file in a folder stands for each death."""

    def __init__(self, _task, *, deaths, folder):
        super().__init__()
        self._deaths, self._folder = deaths, folder

    def reset(self, *, seed):
        number = len(list(self._folder.glob(f"{seed}-*")))
        if number < self._deaths.get(seed, 0):
            (self._folder / f"{seed}-{number}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset(seed=seed)


class MeetingEnv(ToyEnv):
    """Trials end on one node, once another has begun elsewhere, which a byte in a pipe says; there they never end."""

    def __init__(self, _task, *, staying_node, pipe):
        super().__init__()
        self._staying_node, self._pipe = staying_node, pipe

    def reset(self, *, seed):
        pipe = os.open(self._pipe, os.O_RDWR)
        if ray.get_runtime_context().get_node_id() != self._staying_node:
            os.write(pipe, b".")
            threading.Event().wait()
        os.write(pipe, os.read(pipe, 1))  # it stays there for the others
        os.close(pipe)
        return super().reset(seed=seed)


class MortalPolicy(MiddlePolicy):
    """Takes its process with it when it is asked."""

    def infer_batch(self, observations):
        os.kill(os.getpid(), signal.SIGKILL)


def no_policy():
    """What is not there."""
    raise CheckpointError("no checkpoint 'nowhere'")
