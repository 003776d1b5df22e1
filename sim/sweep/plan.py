"""What a sweep is: which trials of which policy under which protocol, and what is kept of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magma_ros.errors import SweepError
from magma_ros.sim.rollout import Outcome, RolloutResult
from magma_ros.sim.suites import Suite

if TYPE_CHECKING:
    from magma_ros.sim.sequential import SequentialPlan, SequentialResult


@dataclass(frozen=True, slots=True)
class Trial:
    """One seeded rollout of a task; the same trial gives the same outcome wherever it runs."""

    task: str
    seed: int


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A finished trial.

    Attributes:
        trial: Which one.
        result: How it went; `result.seed` is the trial's.
        wall_s: How long it took, the environment's reset included [s].
        worker: Who ran it, for people.
        started_at: When it began, ISO 8601 in UTC.
        num_passes: Inferences, an inference for n environments counting 1/n for each: summed over a sweep, how often
            the network was run. 0 for a policy without a network, and for a server, which alone knows.
    """

    trial: Trial
    result: RolloutResult
    wall_s: float
    worker: str
    started_at: str
    num_passes: float = 0.0


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """Everything that decides the outcomes of a sweep; plain JSON values inside.

    Attributes:
        suite: Name of the suite.
        tasks: Names of its tasks, in the order in which they run.
        policy: The name that it was asked for by.
        seeds: Of the trials, the same for each task, in the order in which they run.
        execution_horizon: Actions of each chunk that are executed before the policy is asked again.
        latency: How long the policy thinks, as `Latency.to_dict`; None for a world that waits.
        fingerprint: Of the pipeline behind the policy; None for one without.
        protocol: Of the suite, see `protocol_of`.
        provenance: Commit, versions, device and machine where it began; under `resumed` those where else it went on.
        options: How a checkpoint is brought up, by name; empty for a policy without one.
        width: Each task ends when its interval is at most so wide, or its seeds are used up; None runs all of them.
        checkpoint: SHA-256 of its manifest, which holds those of its weights; None for a policy without one.
        batched: Whether a network here answered several environments in one run, which rounds in another way.
    """

    suite: str
    tasks: tuple[str, ...]
    policy: str
    seeds: tuple[int, ...]
    execution_horizon: int
    latency: Mapping[str, Any] | None
    fingerprint: str | None
    protocol: Mapping[str, Any]
    provenance: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    width: float | None = None
    checkpoint: str | None = None
    batched: bool = False

    def __post_init__(self) -> None:
        for name, values in (("tasks", self.tasks), ("seeds", self.seeds)):
            if not values or len(set(values)) != len(values):
                raise SweepError(f"{name}: expected at least one and none twice, got {list(values)}")

    def stopping_rule(self) -> SequentialPlan | None:
        """When a task may end before its seeds are used up; None for never.

        Raises:
            InvalidInputError: a width or a number of seeds for which there is no plan.
        """
        return None if self.width is None else _stopping_rule(self.width, len(self.seeds))


def early_end(rule: SequentialPlan | None, outcomes: Iterable[Outcome | None]) -> SequentialResult | None:
    """Where a task's trials end by `rule`, and what they say; None while that is open, and without a rule.

    Args:
        rule: When to stop.
        outcomes: In the order of the seeds; None for a trial that is not finished. What comes after one of these, or
            after an error, is not looked at: neither may be left out.
    """
    if rule is None:
        return None
    judged = takewhile(lambda outcome: outcome in ("success", "failure"), outcomes)
    return rule.result([outcome == "success" for outcome in judged])


def film_path(folder: Path, trial: Trial) -> Path:
    """Where the film of a trial lies in the folder of its sweep."""
    return folder / "films" / f"{trial.task}-{trial.seed}.webp"


def protocol_of(suite: Suite, tasks: Iterable[str]) -> dict[str, Any]:
    """The suite as plain JSON values: control rate, limits, and of `tasks` instruction, budget, settling and rule.

    None stands for no limit.
    """
    return {
        "control_rate_hz": suite.control_rate_hz,
        "limits": {name: _plain(value) for name, value in asdict(suite.limits).items()},
        "tasks": {
            task.name: {
                "instruction": task.instruction,
                "step_budget": task.step_budget,
                "settle_steps": task.settle_steps,
                "success_rule": task.success_rule,
            }
            for task in map(suite.task, tasks)
        },
    }


def _plain(limit: Any) -> Any:
    if limit == math.inf:
        return None
    return list(limit) if isinstance(limit, tuple) else limit


@cache
def _stopping_rule(width: float, max_trials: int) -> SequentialPlan:
    from magma_ros.sim.sequential import sequential_plan  # noqa: PLC0415 - workers start without SciPy's statistics

    return sequential_plan(width=width, max_trials=max_trials)
