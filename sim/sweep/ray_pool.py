"""Trials on Ray: environments as actors on one machine or many, and batched policies on shares of GPUs.

Only the driver, the process with the pool, keeps records. A trial whose worker goes away before its record has come is
handed out again, so that nothing is lost and nothing is there twice.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from magma_ros import ray_cluster
from magma_ros.errors import EnvError, MagmaRosError, SweepError
from magma_ros.policy import Policy
from magma_ros.sim.sweep.plan import Trial, TrialRecord
from magma_ros.sim.sweep.ray_actors import EnvWorker, PolicyHost, versions
from magma_ros.sim.sweep.worker import TrialSetup, lost_trial, utc_now
from magma_ros.wording import counted

MAX_ATTEMPTS = 3
"""Workers that a trial may lose before it is recorded as an error."""

_logger = logging.getLogger(__name__)
_PATIENCE_S = 60.0  # then it is said what is waited for


@dataclass(slots=True)
class _Worker:
    """An actor with environments, the policy that answers it, and its trial; without one it starts or is idle."""

    actor: Any
    policy: Any
    trial: Trial | None = None
    started_at: str = ""
    started_s: float = 0.0


class RayPool:
    """Trials on a Ray cluster, which may grow and shrink meanwhile."""

    def __init__(
        self,
        setup: TrialSetup,
        open_policy: Callable[[], Policy] | None = None,
        *,
        address: str,
        workers: int,
        gpus_per_policy: float = 0.0,
        batched: bool = True,
    ) -> None:
        """Connect, bring up the policies and ask for workers, which take up trials as they appear.

        Args:
            setup: What the workers do; it pickles.
            open_policy: Brings up the policy that answers all workers, in a process of its own; it pickles. None makes
                one per trial, as `setup` says.
            address: As in `ray_cluster.connect`.
            workers: How many; each takes one of Ray's CPUs.
            gpus_per_policy: Share of a GPU for each policy; there are as many policies as the cluster has room for, but
                no more than workers. 0 is one policy on a CPU.
            batched: Let a policy answer several observations at once, if it can.

        Raises:
            EnvError: Ray is not installed or does not answer, or a number is out of range.
            MagmaRosError: the policy cannot be brought up.
        """
        if workers < 1 or gpus_per_policy < 0:
            raise EnvError(f"expected at least 1 worker and a share of at least 0, got {workers} and {gpus_per_policy}")
        self._ray = ray_cluster.connect(address, num_cpus=workers + (open_policy is not None), error=EnvError)
        films = None if setup.films is None else setup.films.absolute()  # actors have another working directory
        self._setup, self._num_workers = replace(setup, films=films), workers
        self._idle: list[_Worker] = []
        self._asked: dict[Any, _Worker] = {}
        self._num_lost: Counter[Trial] = Counter()
        self._num_failed_starts = 0
        try:
            self._policies = [] if open_policy is None else self._bring_up(open_policy, gpus_per_policy, batched)
            for index in range(workers):
                self._start_worker(self._policies[index % len(self._policies)] if self._policies else None)
        except BaseException:
            self.close()
            raise

    @property
    def fingerprint(self) -> str:
        """Of the pipeline behind the policy that all trials share; empty for one without, or when there is none."""
        return str(self._ray.get(self._policies[0].fingerprint.remote())) if self._policies else ""

    def run(self, trials: Iterable[Trial]) -> Iterator[TrialRecord]:
        """The record of each trial as soon as it ended.

        Raises:
            SweepError: no worker starts, one has other versions than this process, or the policy is lost for good.
            MagmaRosError: an environment cannot be brought up, or the policy does not fit it.
        """
        due, again = iter(trials), deque[Trial]()
        while True:
            while self._idle and (trial := again.popleft() if again else next(due, None)) is not None:
                self._hand_out(trial, self._idle.pop())
            if not (again or self._has_trials):
                again.extend(islice(due, 1))
                if not again:
                    return
            reference = self._first_of(list(self._asked))
            worker = self._asked.pop(reference)
            try:
                record: TrialRecord | None = self._answer(reference)
            except _LostError as error:
                record = self._replace(worker, str(error))
                if record is None and worker.trial is not None:
                    again.append(worker.trial)
            else:
                self._num_failed_starts, worker.trial = 0, None
                self._idle.append(worker)
            if record is not None:
                yield record

    def close(self) -> None:
        """End the actors and leave the cluster; Ray that was started here ends with them."""
        self._ray.shutdown()

    @property
    def _has_trials(self) -> bool:
        return any(worker.trial is not None for worker in self._asked.values())

    def _bring_up(self, open_policy: Callable[[], Policy], share: float, batched: bool) -> list[Any]:  # noqa: FBT001
        """The policies' actors, ready to answer."""
        room = int(self._ray.cluster_resources().get("GPU", 0) / share) if share else 1
        number = max(1, min(room, self._num_workers))
        host = self._ray.remote(num_cpus=1, num_gpus=share, max_restarts=MAX_ATTEMPTS, max_task_retries=-1)(PolicyHost)
        num_askers = -(-self._num_workers // number)
        policies = [host.remote(open_policy, num_askers=num_askers, batched=batched) for _ in range(number)]
        for policy in policies:
            try:
                self._answer(self._first_of([policy.contract.remote()]))
            except _LostError as error:
                raise SweepError(f"the policy does not start: {error}") from error
        return policies

    def _start_worker(self, policy: Any) -> None:
        """Ask for a worker; it is idle from its answer on."""
        actor = self._ray.remote(num_cpus=1)(EnvWorker).remote(self._setup, policy)
        self._asked[actor.start.remote(versions())] = _Worker(actor, policy)

    def _hand_out(self, trial: Trial, worker: _Worker) -> None:
        worker.trial, worker.started_at, worker.started_s = trial, utc_now(), time.perf_counter()
        self._asked[worker.actor.run.remote(trial)] = worker

    def _first_of(self, references: list[Any]) -> Any:
        """The first that is answered; says once a minute what is missing when nobody has started."""
        while True:
            answered, _ = self._ray.wait(references, timeout=_PATIENCE_S)
            if answered:
                return answered[0]
            if not self._has_trials:
                counts = (self._ray.cluster_resources(), self._ray.available_resources())
                has, free = ({name: count.get(name, 0) for name in ("CPU", "GPU")} for count in counts)
                _logger.warning("%d actors wait for room; the cluster has %s, free %s", len(references), has, free)

    def _answer(self, reference: Any) -> Any:
        """What an actor answered.

        Raises:
            MagmaRosError: the actor raised it.
            _LostError: the actor is gone, by itself or with its node.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, MagmaRosError):
                raise error.cause from error
            raise
        except errors.RayError as error:
            raise _LostError(str(error)) from error

    def _replace(self, worker: _Worker, reason: str) -> TrialRecord | None:
        """Start another worker; the record of a trial that lost too many, None for one that is to be tried again."""
        self._ray.kill(worker.actor)  # one that only could not be reached must not go on beside its successor
        self._start_worker(worker.policy)
        trial = worker.trial
        if trial is None:
            self._num_failed_starts += 1
            if self._num_failed_starts >= MAX_ATTEMPTS * self._num_workers:
                raise SweepError(
                    f"{counted(self._num_failed_starts, 'worker')} died before they were ready, the last: {reason}"
                )
            return None
        self._num_lost[trial] += 1
        _logger.warning("%s, seed %d lost its worker: %s", trial.task, trial.seed, reason)
        if self._num_lost[trial] < MAX_ATTEMPTS:
            return None
        why = f"{counted(MAX_ATTEMPTS, 'worker')} died in this trial, the last: {reason}"
        wall_s = time.perf_counter() - worker.started_s
        return lost_trial(trial, why, worker="ray", started_at=worker.started_at, wall_s=wall_s)


class _LostError(Exception):
    """An actor is gone, and with it what it was doing."""
