"""Where trials are run: the protocol of all pools, and the simplest one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from magma_ros.policies import fingerprint_of
from magma_ros.policy import Policy
from magma_ros.sim.sweep.plan import Trial, TrialRecord
from magma_ros.sim.sweep.worker import TrialRunner, TrialSetup


class Pool(Protocol):
    """Runs trials somewhere; how they end does not depend on where."""

    @property
    def fingerprint(self) -> str:
        """Of the pipeline behind the policy that all trials share; empty for one without, or when there is none."""
        ...

    def run(self, trials: Iterable[Trial]) -> Iterator[TrialRecord]:
        """The record of each trial as soon as it ended, in any order.

        `trials` is asked for the next one when somebody is free for it, so that it can end early. A trial whose worker
        died has an `error` for a result.

        Raises:
            MagmaRosError: an environment or the policy cannot be brought up, or they do not fit each other.
        """
        ...

    def close(self) -> None:
        """End the workers; the pool is not used again."""
        ...


class InProcessPool:
    """One trial after the other in this process."""

    def __init__(self, setup: TrialSetup, policy: Policy | None = None) -> None:
        """Run trials of `setup` with `policy`, which is not closed; None makes one per trial, as `setup` says."""
        self._runner = TrialRunner(setup, policy, name="main")
        self.fingerprint = "" if policy is None else fingerprint_of(policy)

    def run(self, trials: Iterable[Trial]) -> Iterator[TrialRecord]:
        """The records, in the order of the trials.

        Raises:
            MagmaRosError: an environment or the policy cannot be brought up, or they do not fit each other.
        """
        return map(self._runner.run, trials)

    def close(self) -> None:
        """Close the environment."""
        self._runner.close()
