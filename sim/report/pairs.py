"""Two sweeps of the same initial states against each other: which policy is better, by how much, and on which seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from magma_ros.errors import SweepError
from magma_ros.sim.comparison import PairedComparison, compare_paired
from magma_ros.sim.report.summary import outcomes as outcomes_of
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.plan import SweepSpec, Trial


@dataclass(frozen=True, slots=True)
class Discordant:
    """An initial state on which one of the two policies alone succeeded; `first` says whether it was the first."""

    trial: Trial
    first: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A sweep against another one.

    Attributes:
        first, second: What was asked for in each.
        result: Over all pairs.
        by_task: Over the pairs of each task that has any.
        discordant: In the order of tasks and seeds.
        differences: What else differs, (name, of the first, of the second): the difference may be due to that.
    """

    first: SweepSpec
    second: SweepSpec
    result: PairedComparison
    by_task: Mapping[str, PairedComparison]
    discordant: tuple[Discordant, ...]
    differences: tuple[tuple[str, str, str], ...]


def compare(first: SweepRecord, second: SweepRecord) -> Comparison:
    """Compare two sweeps, trial by trial.

    Raises:
        SweepError: they are of different suites.
        InvalidInputError: no initial state that both were judged on.
    """
    if first.spec.suite != second.spec.suite:
        raise SweepError(f"expected sweeps of one suite, got {first.spec.suite!r} and {second.spec.suite!r}")
    ours, theirs = outcomes_of(first), outcomes_of(second)
    shared = [trial for trial in ours if trial in theirs]
    tasks = dict.fromkeys(trial.task for trial in shared)
    by_task = {task: compare_paired(_of(ours, task, shared), _of(theirs, task, shared)) for task in tasks}
    return Comparison(
        first=first.spec,
        second=second.spec,
        result=compare_paired(ours, theirs),
        by_task=by_task,
        discordant=tuple(Discordant(trial, ours[trial]) for trial in shared if ours[trial] != theirs[trial]),
        differences=tuple(_differences(asdict(first.spec), asdict(second.spec))),
    )


def _of(outcomes: Mapping[Trial, bool], task: str, trials: Sequence[Trial]) -> dict[Trial, bool]:
    return {trial: outcomes[trial] for trial in trials if trial.task == task}


def _differences(first: Any, second: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Every value that is not the same, however deep."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            yield from _differences(first.get(key), second.get(key), f"{name}.{key}" if name else str(key))
    elif first != second:
        yield name, str(first), str(second)
