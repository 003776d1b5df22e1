"""What every pool's workers do: keep an environment and run one trial after the other in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from magma_ros.contract import ActionContract
from magma_ros.controller import Controller
from magma_ros.load_options import LoadOptions
from magma_ros.policy import Policy
from magma_ros.sim.env import Env
from magma_ros.sim.latency import Latency
from magma_ros.sim.policies import load_policy
from magma_ros.sim.rollout import RolloutResult, rollout
from magma_ros.sim.suites import Suite, Task
from magma_ros.sim.sweep.plan import Trial, TrialRecord, film_path
from magma_ros.stops import StopReason
from magma_ros.types import ActionChunk, Observation
from magma_ros.wording import counted

if TYPE_CHECKING:
    from magma_ros.sim.report.films import FilmRecorder

EnvMaker = Callable[[Task], Env]
PolicyMaker = Callable[[Env, int], Policy]
Answer = tuple[ActionChunk, int]
"""A chunk, and for how many environments the network was run at once when it was found."""


@dataclass(frozen=True, slots=True)
class TrialSetup:
    """What a worker has to know; it pickles, if its functions do.

    Attributes:
        suite: The protocol.
        make_env: Makes the environment of a task.
        make_policy: Makes the policy of a trial from its environment and seed; None where one policy, which lives
            elsewhere, answers all trials.
        execution_horizon: Actions of each chunk that are executed before the policy is asked again.
        latency: How long the policy thinks in simulated time; None for a world that waits.
        films: Folder of the sweep that each trial is filmed for, see `plan.film_path`; None films nothing.
    """

    suite: Suite
    make_env: EnvMaker
    make_policy: PolicyMaker | None = None
    execution_horizon: int = 1
    latency: Latency | None = None
    films: Path | None = None


class AskedPolicy:
    """A policy that lives elsewhere and answers several environments.

    It does not learn where an episode begins, so only a policy that acts on the present observation alone is asked so.

    Attributes:
        num_passes: Shares in runs of the network since `reset`: of one for n environments, 1/n.
    """

    def __init__(self, contract: ActionContract, ask: Callable[[Observation], Answer]) -> None:
        """Ask with `ask`, which raises what the policy raised."""
        self._contract, self._ask = contract, ask
        self.num_passes = 0.0

    @property
    def contract(self) -> ActionContract:
        """The contract of the policy that answers."""
        return self._contract

    def infer(self, observation: Observation) -> ActionChunk:
        """Its answer.

        Raises:
            MagmaRosError: as the policy.
        """
        chunk, num_environments = self._ask(observation)
        self.num_passes += 1 / num_environments
        return chunk

    def reset(self) -> None:
        """Count from 0."""
        self.num_passes = 0.0

    def close(self) -> None:
        """Nothing to release here."""


class TrialRunner:
    """Runs trials one after the other; keeps the environment while the task stays the same."""

    def __init__(self, setup: TrialSetup, policy: Policy | None, *, name: str) -> None:
        """Run trials of `setup` as `name`, with `policy` or, for None, with one that is made for each trial."""
        assert (policy is None) != (setup.make_policy is None), "one policy for all trials, or one for each"
        self._setup, self._policy, self._name = setup, policy, name
        self._kept: tuple[str, Env] | None = None

    def run(self, trial: Trial) -> TrialRecord:
        """One trial.

        Raises:
            MagmaRosError: its environment or policy cannot be brought up, or they do not fit each other.
        """
        started_at, started_s = utc_now(), time.perf_counter()
        task = self._setup.suite.task(trial.task)
        env = self._env(task)
        with self._policy_for(env, trial.seed) as policy:
            env.contract.require_same_motion(policy.contract, who="policy")
            result = self._roll_out(trial, task, env, policy)
        if result.outcome == "error":
            self.close()  # what an exception left behind is not the next trial's world
        wall_s = time.perf_counter() - started_s
        return TrialRecord(trial, result, wall_s, self._name, started_at, self._num_passes(result))

    def close(self) -> None:
        """Close the environment."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None

    @contextmanager
    def _policy_for(self, env: Env, seed: int) -> Iterator[Policy]:
        """The policy that all trials share, or one for this trial alone."""
        if self._policy is not None:
            yield self._policy
            return
        assert self._setup.make_policy is not None, "see `__init__`"
        policy = self._setup.make_policy(env, seed)
        try:
            yield policy
        finally:
            policy.close()

    def _roll_out(self, trial: Trial, task: Task, env: Env, policy: Policy) -> RolloutResult:
        setup, film = self._setup, self._film(policy)
        result = rollout(
            env,
            Controller(policy, limits=setup.suite.limits, execution_horizon=setup.execution_horizon),
            seed=trial.seed,
            step_budget=task.step_budget,
            settle_steps=task.settle_steps,
            latency=setup.latency,
            on_step=film,
        )
        num_lost = result.stop_reasons.get(StopReason.SERVER_GONE.value)
        if num_lost:
            result = replace(
                result, outcome="error", success_step=None, detail=f"no policy server in {counted(num_lost, 'step')}"
            )
        if film is not None and setup.films is not None:
            film.save(
                film_path(setup.films, trial),
                outcome=result.outcome,
                caption=f"{trial.task}, seed {trial.seed}",
            )
        return result

    def _film(self, policy: Policy) -> FilmRecorder | None:
        if self._setup.films is None:
            return None
        from magma_ros.sim.report.films import FilmRecorder  # noqa: PLC0415 - needs OpenCV, and only films do

        return FilmRecorder(policy.contract.cameras)

    def _num_passes(self, result: RolloutResult) -> float:
        if isinstance(self._policy, AskedPolicy):
            return self._policy.num_passes
        return 0.0 if self._policy is None else float(result.num_inferences)

    def _env(self, task: Task) -> Env:
        if self._kept is None or self._kept[0] != task.name:
            self.close()
            self._kept = (task.name, self._setup.make_env(task))
        return self._kept[1]


def policy_of_trial(name: str, options: LoadOptions, env: Env, seed: int) -> Policy:
    """A policy that lives in a worker, made for one trial; `random` draws by the trial's seed.

    Raises:
        MagmaRosError: as `policies.load_policy`.
    """
    return load_policy(name, env, seed=seed, options=options)


def utc_now() -> str:
    """The present in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def lost_trial(trial: Trial, why: str, *, worker: str, started_at: str, wall_s: float) -> TrialRecord:
    """The record of a trial whose worker did not live to make it: an error."""
    return TrialRecord(trial, RolloutResult(trial.seed, "error", 0, 0, 0, {}, {}, why), wall_s, worker, started_at)
