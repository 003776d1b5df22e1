"""One policy that answers many environments, several at once where it can."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from magma_ros.contract import ActionContract
from magma_ros.errors import MagmaRosError
from magma_ros.policy import Policy
from magma_ros.sim.sweep.worker import Answer
from magma_ros.types import ActionChunk, Observation


@runtime_checkable
class BatchPolicy(Policy, Protocol):
    """A policy that answers several observations in one run of its network."""

    def infer_batch(self, observations: Sequence[Observation]) -> list[ActionChunk]:
        """One chunk for each; one bad observation refuses all of them.

        Raises:
            MagmaRosError: no honest action can be given.
        """
        ...


class SharedPolicy:
    """A policy behind several environments; it acts on the present observation alone.

    Attributes:
        last_pass_s: How long it took to answer those that waited last [s]; 0 before the first.
    """

    def __init__(self, policy: Policy, *, batched: bool = True) -> None:
        """Ask `policy`, which is not closed, for all that wait at once; or one by one, as a single environment does.

        A policy without `infer_batch` is asked one by one in any case.
        """
        self._policy = policy
        self._batch_policy = policy if batched and isinstance(policy, BatchPolicy) else None
        self.last_pass_s = 0.0

    @property
    def contract(self) -> ActionContract:
        """The policy's."""
        return self._policy.contract

    def answer(self, observations: Sequence[Observation]) -> list[Answer | Exception]:
        """For each observation its chunk, or the reason why there is none, which belongs to that trial alone."""
        started_s = time.perf_counter()
        answers: list[Answer | Exception] = []
        if self._batch_policy is not None:
            answers = self._try(observations)
        if len(answers) != len(observations):  # one of them is bad: asked one by one, it alone is refused
            answers = [answer for one in observations for answer in self._try([one])]
        self.last_pass_s = time.perf_counter() - started_s
        return answers

    def _try(self, observations: Sequence[Observation]) -> list[Answer | Exception]:
        """An answer for each, or a single exception."""
        try:
            if self._batch_policy is not None:
                chunks = self._batch_policy.infer_batch(observations)
            else:
                chunks = [self._policy.infer(one) for one in observations]
        except MagmaRosError as error:
            return [error]
        except Exception:  # noqa: BLE001 - raised again in the trial, where the rollout records it as its error
            return [RuntimeError(traceback.format_exc())]
        return [(chunk, len(chunks)) for chunk in chunks]
