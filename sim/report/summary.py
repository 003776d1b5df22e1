"""What a sweep says: rates with intervals of tasks and suite, when trials succeeded, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from magma_ros.sim.statistics import (
    Interval,
    SuccessByStep,
    SuiteAverage,
    success_by_step,
    suite_average,
    wilson_interval,
)
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.plan import SweepSpec, Trial, TrialRecord, early_end

RESAMPLING_SEED = 0
"""Of the suite average's bootstrap: the same sweep always gives the same page."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Successes among judged trials, with a 95 % interval.

    Attributes:
        successes, judged: Counts; errors are not judged.
        interval: Wilson's, or the stopping rule's for a task that ended by it; (0, 1) without a judged trial.
    """

    successes: int
    judged: int
    interval: Interval

    @property
    def share(self) -> float | None:
        """Success rate, 0 … 1; None without a judged trial."""
        return self.successes / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """The trials of one task.

    Attributes:
        name: Of the task.
        rate: Of success.
        seeds: Of its trials by outcome: success, failure, error, and missing for those that were not run.
        num_planned: How many of the sweep's seeds belong to it: fewer than all where the stopping rule ended it.
        median_success_step: Of the successes, the step from which on they were one; None without a success.
        num_steps, num_stops, num_limited, num_inferences: Over all its trials.
        stop_reasons: How often each reason stopped the arm.
        flags: In how many judged trials each yes/no fact of the environment was seen.
        by_step: Success by each step of the budget; None where a trial does not say when it succeeded.
        wall_s: Over all its trials [s].
    """

    name: str
    rate: Rate
    seeds: Mapping[str, tuple[int, ...]]
    num_planned: int
    median_success_step: float | None
    num_steps: int
    num_stops: int
    num_limited: int
    num_inferences: int
    stop_reasons: Mapping[str, int]
    flags: Mapping[str, int]
    by_step: SuccessByStep | None
    wall_s: float


@dataclass(frozen=True, slots=True)
class Variant:
    """Success of the trials whose scenes depart from the usual look along one axis."""

    axis: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """A whole sweep.

    Attributes:
        spec: What was asked for.
        tasks: In the order of the sweep.
        average: Over the tasks; None while one has no judged trial.
        variants: Success by how the scenes look, over all tasks; empty where all look as usual.
        errors: The trials that ended in one, in the order of tasks and seeds.
        num_passes: Runs of the network, over all trials.
        wall_s: Over all trials, however many ran side by side [s].
    """

    spec: SweepSpec
    tasks: tuple[TaskSummary, ...]
    average: SuiteAverage | None
    variants: tuple[Variant, ...]
    errors: tuple[TrialRecord, ...]
    num_passes: float
    wall_s: float

    def count(self, outcome: str) -> int:
        """Trials that ended so; `missing` counts those that were not run."""
        return sum(len(task.seeds[outcome]) for task in self.tasks)

    @property
    def judged(self) -> int:
        """Trials that the environment judged and that count."""
        return sum(task.rate.judged for task in self.tasks)

    @property
    def is_complete(self) -> bool:
        """Every trial was run and judged."""
        return not (self.count("error") or self.count("missing"))


def summarize(record: SweepRecord) -> SweepSummary:
    """The summary of a sweep, finished or not."""
    spec = record.spec
    by_task: dict[str, dict[int, TrialRecord]] = {task: {} for task in spec.tasks}
    for done in record.trials:
        by_task[done.trial.task][done.trial.seed] = done
    tasks = tuple(_task(spec, task, trials) for task, trials in by_task.items())
    rates = [task.rate for task in tasks]
    average = None
    if all(rate.judged for rate in rates):
        successes, judged = [rate.successes for rate in rates], [rate.judged for rate in rates]
        average = suite_average(successes, judged, seed=RESAMPLING_SEED)
    ordered = [
        by_task[task.name][seed]
        for task in tasks
        for seed in spec.seeds[: task.num_planned]
        if seed in by_task[task.name]
    ]
    return SweepSummary(
        spec=spec,
        tasks=tasks,
        average=average,
        variants=_variants(ordered),
        errors=tuple(done for done in ordered if done.result.outcome == "error"),
        num_passes=sum(done.num_passes for done in ordered),
        wall_s=sum(done.wall_s for done in ordered),
    )


def outcomes(record: SweepRecord) -> dict[Trial, bool]:
    """True for a success, of each judged trial that counts."""
    return {
        Trial(task.name, seed): outcome == "success"
        for task in summarize(record).tasks
        for outcome in ("success", "failure")
        for seed in task.seeds[outcome]
    }


def _task(spec: SweepSpec, name: str, trials: Mapping[int, TrialRecord]) -> TaskSummary:
    rate, num_planned = _rate(spec, trials)
    counted = [trials[seed] for seed in spec.seeds[:num_planned] if seed in trials]
    judged = [done.result for done in counted if done.result.outcome != "error"]
    seeds: dict[str, list[int]] = {"success": [], "failure": [], "error": [], "missing": []}
    for seed in spec.seeds[:num_planned]:
        seeds[trials[seed].result.outcome if seed in trials else "missing"].append(seed)
    reached = [result.success_step for result in judged if result.success_step is not None]
    is_timed = len(reached) == rate.successes and bool(judged)
    budget = spec.protocol["tasks"][name]["step_budget"]
    known_flags = sorted({flag for result in judged for flag in result.flags})
    return TaskSummary(
        name=name,
        rate=rate,
        seeds={outcome: tuple(found) for outcome, found in seeds.items()},
        num_planned=num_planned,
        median_success_step=median(reached) if reached else None,
        num_steps=sum(done.result.num_steps for done in counted),
        num_stops=sum(done.result.num_stops for done in counted),
        num_limited=sum(done.result.num_limited for done in counted),
        num_inferences=sum(done.result.num_inferences for done in counted),
        stop_reasons=_added([done.result.stop_reasons for done in counted]),
        flags={flag: sum(result.flags.get(flag, False) for result in judged) for flag in known_flags},
        by_step=success_by_step([r.success_step for r in judged], step_budget=budget) if is_timed else None,
        wall_s=sum(done.wall_s for done in counted),
    )


def _rate(spec: SweepSpec, trials: Mapping[int, TrialRecord]) -> tuple[Rate, int]:
    """Success rate, and how many of the sweep's seeds belong to it: fewer than all where a stopping rule ended it."""
    done = [trials[seed].result.outcome if seed in trials else None for seed in spec.seeds]
    ended = early_end(spec.stopping_rule(), done)
    if ended is not None:
        return Rate(ended.successes, ended.trials, ended.interval), ended.trials
    successes, judged = done.count("success"), done.count("success") + done.count("failure")
    return Rate(successes, judged, wilson_interval(successes, judged)), len(done)


def _variants(trials: Sequence[TrialRecord]) -> tuple[Variant, ...]:
    found: dict[str, list[bool]] = {}
    for done in trials:
        if done.result.variant and done.result.outcome != "error":
            found.setdefault(done.result.variant, []).append(done.result.outcome == "success")
    return tuple(
        Variant(axis, Rate(sum(won), len(won), wilson_interval(sum(won), len(won))))
        for axis, won in sorted(found.items())
    )


def _added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total = sum((Counter(count) for count in counts), Counter[str]())
    return dict(total.most_common())
