"""Trials in worker processes of this machine; a policy with a network stays in this process and answers all of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from magma_ros.contract import ActionContract
from magma_ros.errors import MagmaRosError, SweepError
from magma_ros.policies import fingerprint_of
from magma_ros.policy import Policy
from magma_ros.sim.sweep.inference import SharedPolicy
from magma_ros.sim.sweep.plan import Trial, TrialRecord
from magma_ros.sim.sweep.worker import Answer, AskedPolicy, TrialRunner, TrialSetup, lost_trial, utc_now
from magma_ros.types import Observation
from magma_ros.wording import counted

_GRACE_S = 5.0


@dataclass(slots=True)
class _Worker:
    """A process and what it does: nothing, a trial, or a trial whose observation waits for an answer."""

    name: str
    process: BaseProcess
    connection: Connection[Any, Any]
    trial: Trial | None = None
    started_at: str = ""
    started_s: float = 0.0
    observation: Observation | None = None
    asked_s: float = 0.0


class ProcessPool:
    """Several trials at once, each in a process of its own.

    Observations that wait for an answer are answered together: as soon as every busy worker waits, and otherwise once
    the first has waited for as long as the last answer took. So waiting never costs more than it can save.
    """

    def __init__(self, setup: TrialSetup, policy: Policy | None = None, *, workers: int, batched: bool = True) -> None:
        """Start `workers` processes, at least one.

        Args:
            setup: What they do; it pickles.
            policy: Stays here, answers all workers and is not closed; None makes one per trial, as `setup` says.
            workers: How many.
            batched: Let the policy answer several observations at once, if it can.
        """
        self._setup = setup
        self.fingerprint = "" if policy is None else fingerprint_of(policy)
        self._policy = None if policy is None else SharedPolicy(policy, batched=batched)
        self._limits = _thread_limits(workers)
        self._workers = [_Worker(name, *self._start(name)) for name in (f"worker-{n}" for n in range(workers))]
        self._num_deaths_in_a_row = 0

    def run(self, trials: Iterable[Trial]) -> Iterator[TrialRecord]:
        """The record of each trial as soon as it ended.

        Raises:
            SweepError: the workers die one after the other, without one finished trial in between.
            MagmaRosError: an environment cannot be brought up, or the policy does not fit it.
        """
        due = iter(trials)
        for worker in self._workers:
            self._begin(worker, next(due, None))
        while busy := [worker for worker in self._workers if worker.trial is not None]:
            for worker in _talking(busy, self._latest_answer_s(busy)):
                record = self._hear(worker)
                if record is not None:
                    yield record
                    self._begin(worker, next(due, None))
            self._answer()

    def close(self) -> None:
        """End the workers, also in the middle of a trial."""
        for worker in self._workers:
            if worker.trial is not None:
                worker.process.terminate()
            worker.connection.close()
        for worker in self._workers:
            _bury(worker.process)

    def _start(self, name: str) -> tuple[BaseProcess, Connection[Any, Any]]:
        here, there = multiprocessing.Pipe()
        contract = None if self._policy is None else self._policy.contract
        arguments = (there, self._setup, contract, name)
        process = multiprocessing.get_context("spawn").Process(target=_work, args=arguments, name=name, daemon=True)
        with _environment(self._limits):
            process.start()
        there.close()
        return process, here

    def _begin(self, worker: _Worker, trial: Trial | None) -> None:
        worker.trial, worker.observation = trial, None
        if trial is None:
            return
        if not worker.process.is_alive():
            worker.process, worker.connection = self._start(worker.name)
        worker.started_at, worker.started_s = utc_now(), time.perf_counter()
        with suppress(BrokenPipeError):  # it died just now, which is heard next
            worker.connection.send(trial)

    def _hear(self, worker: _Worker) -> TrialRecord | None:
        """What a worker says: its trial's record, also when it is dead, or None when it asks the policy."""
        try:
            message: Observation | TrialRecord | MagmaRosError = worker.connection.recv()
        except (EOFError, OSError):
            return self._lose(worker)
        if isinstance(message, MagmaRosError):
            worker.trial = None
            raise message
        if isinstance(message, Observation):
            worker.observation, worker.asked_s = message, time.perf_counter()
            return None
        self._num_deaths_in_a_row = 0
        return message

    def _lose(self, worker: _Worker) -> TrialRecord:
        assert worker.trial is not None, "only busy workers are heard"
        worker.connection.close()
        ended = _bury(worker.process)
        self._num_deaths_in_a_row += 1
        if self._num_deaths_in_a_row > 2 * len(self._workers):
            raise SweepError(
                f"{counted(self._num_deaths_in_a_row, 'worker')} died without a finished trial, the last of {ended}"
            )
        wall_s = time.perf_counter() - worker.started_s
        return lost_trial(
            worker.trial, f"the worker died of {ended}", worker=worker.name, started_at=worker.started_at, wall_s=wall_s
        )

    def _latest_answer_s(self, busy: list[_Worker]) -> float | None:
        """When those that wait for an answer get one, whoever else is still to ask; None when nobody waits."""
        asked_s = [worker.asked_s for worker in busy if worker.observation is not None]
        if not asked_s or self._policy is None:
            return None
        return 0.0 if len(asked_s) == len(busy) else min(asked_s) + self._policy.last_pass_s

    def _answer(self) -> None:
        busy = [worker for worker in self._workers if worker.trial is not None]
        latest_s = self._latest_answer_s(busy)
        if self._policy is None or latest_s is None or time.perf_counter() < latest_s:
            return
        waiting = {id(worker): worker.observation for worker in busy if worker.observation is not None}
        asking = [worker for worker in busy if id(worker) in waiting]
        for worker, answer in zip(asking, self._policy.answer(list(waiting.values())), strict=True):
            worker.observation = None
            with suppress(BrokenPipeError):  # it died while it waited, which is heard next
                worker.connection.send(answer)


def _talking(busy: list[_Worker], until_s: float | None) -> list[_Worker]:
    """Those that said something or died; waits for it, at most until `until_s` on the clock of `perf_counter`."""
    silent = {worker.connection: worker for worker in busy if worker.observation is None}
    timeout_s = None if until_s is None else max(0.0, until_s - time.perf_counter())
    talking = wait(list(silent), timeout_s)
    return [worker for connection, worker in silent.items() if connection in talking]


def _bury(process: BaseProcess) -> str:
    """Wait until a process that was told to end has ended, or end it; what it died of."""
    process.join(_GRACE_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode is not None, "it was joined"
    return signal.Signals(-process.exitcode).name if process.exitcode < 0 else f"exit status {process.exitcode}"


def _thread_limits(workers: int) -> dict[str, str]:
    """One thread for arrays, and a fair share of the cores for Mesa's software renderer."""
    share = max(1, len(os.sched_getaffinity(0)) // workers)
    arrays = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**dict.fromkeys(arrays, "1"), "LP_NUM_THREADS": str(share)}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for processes that are started meanwhile: libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(connection: Connection[Any, Any], setup: TrialSetup, contract: ActionContract | None, name: str) -> None:
    """A worker's life: trials in, records out, until the other end is closed or dead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that hands out the trials
    threading.Thread(target=_die_with_parent, daemon=True).start()
    policy = None if contract is None else AskedPolicy(contract, partial(_ask, connection))
    runner = TrialRunner(setup, policy, name=name)
    while True:
        try:
            trial: Trial = connection.recv()
        except EOFError:
            runner.close()
            return
        try:
            message: TrialRecord | MagmaRosError = runner.run(trial)
        except MagmaRosError as error:
            message = error
        connection.send(message)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has one"
    parent.join()
    os._exit(1)


def _ask(connection: Connection[Any, Any], observation: Observation) -> Answer:
    connection.send(observation)
    answer: Answer | Exception = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer
