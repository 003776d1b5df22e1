"""What runs inside Ray's actors: environments, and a policy that answers all of them that wait."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import metadata
from typing import Any

from magma_ros.contract import ActionContract
from magma_ros.errors import SweepError
from magma_ros.policies import fingerprint_of
from magma_ros.policy import Policy
from magma_ros.sim.provenance import DECIDE_OUTCOMES
from magma_ros.sim.sweep.inference import SharedPolicy
from magma_ros.sim.sweep.plan import Trial, TrialRecord
from magma_ros.sim.sweep.worker import Answer, AskedPolicy, TrialRunner, TrialSetup
from magma_ros.types import Observation


def versions() -> dict[str, str]:
    """Installed versions, in this process, of what decides how a trial ends."""
    found = {}
    for name in DECIDE_OUTCOMES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


class EnvWorker:
    """Runs trials one after the other; its observations go to `policy`, a `PolicyHost` actor, unless that is None."""

    def __init__(self, setup: TrialSetup, policy: Any) -> None:
        os.environ.setdefault("LP_NUM_THREADS", "1")  # Mesa draws with as many threads as Ray was told to count
        self._setup, self._policy = setup, policy
        self._runner: TrialRunner | None = None
        self._policy_lost = ""

    def start(self, expected: Mapping[str, str]) -> None:
        """Get ready.

        Raises:
            SweepError: other versions are installed here than `expected`.
        """
        here = versions()
        if here != expected:
            raise SweepError(f"node {socket.gethostname()}: expected {dict(expected)} as in the driver, got {here}")
        asked = None
        if self._policy is not None:
            import ray  # noqa: PLC0415 - an extra

            asked = AskedPolicy(ray.get(self._policy.contract.remote()), self._ask)
        self._runner = TrialRunner(self._setup, asked, name=f"{socket.gethostname()}/{os.getpid()}")

    def run(self, trial: Trial) -> TrialRecord:
        """One trial.

        Raises:
            SweepError: the policy is gone for good, which says nothing about the trial.
            MagmaRosError: its environment or policy cannot be brought up.
        """
        assert self._runner is not None, "start comes first"
        record = self._runner.run(trial)
        if self._policy_lost:
            raise SweepError(f"the policy was lost: {self._policy_lost}")
        return record

    def _ask(self, observation: Observation) -> Answer:
        import ray  # noqa: PLC0415 - an extra

        try:
            answer: Answer = ray.get(self._policy.infer.remote(observation))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # what the policy itself raised
        except ray.exceptions.RayError as error:
            self._policy_lost = str(error)
            raise
        return answer


class PolicyHost:
    """A policy that answers many workers; Ray runs its methods in one event loop.

    Observations are answered together: as soon as every worker's is there, or once others were waited for as long as
    the last answer took. So waiting never costs more than it can save.
    """

    def __init__(self, open_policy: Callable[[], Policy], *, num_askers: int, batched: bool) -> None:
        """Answer `num_askers` workers with the policy that `open_policy` brings up when it is first needed."""
        self._open_policy, self._batched, self._num_askers = open_policy, batched, num_askers
        self._waiting: list[tuple[Observation, asyncio.Future[Answer]]] = []
        self._all_wait = asyncio.Event()
        self._answering: asyncio.Task[None] | None = None

    @cached_property
    def _policy(self) -> Policy:
        return self._open_policy()

    @cached_property
    def _shared(self) -> SharedPolicy:
        return SharedPolicy(self._policy, batched=self._batched)

    async def contract(self) -> ActionContract:
        """The policy's.

        Raises:
            MagmaRosError: it cannot be brought up.
        """
        return self._policy.contract

    async def fingerprint(self) -> str:
        """Of the pipeline behind the policy; empty for one without a model."""
        return fingerprint_of(self._policy)

    async def infer(self, observation: Observation) -> Answer:
        """The policy's answer, and how many observations it answered at once.

        Raises:
            MagmaRosError: as the policy.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((observation, answer))
        if len(self._waiting) >= self._num_askers:
            self._all_wait.set()
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_wait.wait(), self._shared.last_pass_s)
            self._all_wait.clear()
            waiting, self._waiting = self._waiting, []
            answers = await asyncio.to_thread(self._shared.answer, [observation for observation, _ in waiting])
            for (_, future), answer in zip(waiting, answers, strict=True):
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
