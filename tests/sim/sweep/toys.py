"""Sweeps of the toy world: small enough to run hundreds of trials, and plain enough to cross into other processes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.suites import Suite, Task
from magma_ros.sim.sweep.plan import SweepSpec, Trial, TrialRecord, protocol_of
from magma_ros.sim.sweep.pool import InProcessPool
from magma_ros.sim.sweep.process_pool import ProcessPool
from magma_ros.sim.sweep.sweep import run_sweep
from magma_ros.sim.sweep.worker import TrialSetup
from magma_ros.types import ActionChunk
from tests.examples import CONTRACT, LIMITS, NO_TOKENS
from tests.sim.toy_env import ReachPolicy, ToyEnv

FATAL_SEED = 7
SUITE = Suite(
    name="toy",
    simulator="bridge",
    control_rate_hz=5.0,
    limits=LIMITS,
    tasks=(
        Task("reach", "reach the line", step_budget=8, settle_steps=1, success_rule="within 1 cm"),
        Task("hurry", "reach the line", step_budget=3, settle_steps=0, success_rule="within 1 cm"),
    ),
)


class FatalEnv(ToyEnv):
    """Takes its process with it at one seed, as a crash in a renderer's C code would."""

    def reset(self, *, seed):
        if seed == FATAL_SEED:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset(seed=seed)


class MiddlePolicy:
    """Goes to the middle of where goals are, which is near enough for some; answers several at once, as networks do.

    `work` is how many numbers are put in order for each answer, by a policy that takes its time.
    """

    def __init__(self, *, work: int = 1) -> None:
        self.contract = CONTRACT
        self.batch_sizes: list[int] = []
        self._numbers = np.random.default_rng(0).normal(size=work)

    def infer(self, observation):
        return self.infer_batch([observation])[0]

    def infer_batch(self, observations):
        self.batch_sizes.append(len(observations))
        np.sort(self._numbers)
        if any(one.proprio is None for one in observations):
            raise InvalidInputError("proprio: expected one in each observation")
        return [self._chunk(one) for one in observations]

    def _chunk(self, observation):
        left_m = float(np.clip(0.365 - observation.proprio.ee_position_m[0], -0.02, 0.02))
        return ActionChunk([[left_m, 0, 0, 0, 0, 0, 1.0]], CONTRACT.frame, observation.stamp_s, NO_TOKENS)

    def reset(self):
        pass

    def close(self):
        pass


def make_env(task):
    """The toy world of any task."""
    return ToyEnv()


def make_fatal_env(task):
    """One that ends its process at `FATAL_SEED`."""
    return FatalEnv()


def make_deadly_env(task):
    """One that nobody survives."""
    os.kill(os.getpid(), signal.SIGKILL)


def make_no_env(task):
    """What is not installed."""
    raise EnvError("the toy is not installed")


def make_reach(env, seed):
    """Reaches the goal, but overshoots it on every third seed."""
    return ReachPolicy(env, overshoot=seed % 3 == 0)


def setup(**changes):
    """Trials of the toy suite with a policy that is made for each."""
    return TrialSetup(**{"suite": SUITE, "make_env": make_env, "make_policy": make_reach, **changes})


def spec(*, tasks=("reach", "hurry"), trials=6, **changes):
    """So many trials of each task."""
    values = {
        "suite": SUITE.name,
        "tasks": tasks,
        "policy": "reach",
        "seeds": tuple(range(trials)),
        "execution_horizon": 1,
        "latency": None,
        "fingerprint": None,
        "protocol": protocol_of(SUITE, tasks),
        "provenance": {"commit": "abc"},
    }
    return SweepSpec(**{**values, **changes})


def record(seed, outcome="success", *, task="reach", **changes):
    """A finished trial."""
    success_step = 3 if outcome == "success" else None
    values = {
        "stop_reasons": {},
        "flags": {},
        "detail": "",
        "success_step": success_step,
        "num_inferences": 8,
        **changes,
    }
    result = RolloutResult(seed, outcome, num_steps=8, num_stops=0, num_limited=0, **values)
    return TrialRecord(Trial(task, seed), result, 0.5, "main", "2026-11-22T09:00:00.000+00:00")


def outcomes(trials):
    """The results by trial, without what depends on the machine."""
    return {done.trial: done.result for done in trials}


def run_here(asked, **changes):
    """A sweep in this process and in memory alone."""
    with closing(InProcessPool(setup(**changes))) as pool:
        return run_sweep(asked, pool)


def main(folder: str, trials: str, workers: str) -> None:
    """A sweep that may be killed: goes on in `folder` and prints a line after each trial."""
    asked, number = spec(trials=int(trials)), int(workers)
    with closing(InProcessPool(setup()) if number == 1 else ProcessPool(setup(), workers=number)) as pool:
        run_sweep(asked, pool, folder=Path(folder), resume=True, on_trial=lambda done, _: print(done.trial, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
