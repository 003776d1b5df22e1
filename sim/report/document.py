"""The report as plain JSON values: everything that the page shows; `docs/reports.md` says what the keys are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from magma_ros.sim.comparison import PairedComparison
from magma_ros.sim.report.contents import Report, Sweep, command_of
from magma_ros.sim.report.pairs import Comparison
from magma_ros.sim.report.summary import RESAMPLING_SEED, Rate, TaskSummary
from magma_ros.sim.statistics import SuccessByStep, SuiteAverage

FORMAT = 1


def to_document(report: Report) -> dict[str, Any]:
    """Plain JSON values."""
    sweep, spec = report.sweep, report.sweep.record.spec
    return {
        "format": FORMAT,
        **_overview(report, sweep),
        "spec": asdict(spec),
        "command": command_of(spec),
        "tasks": [_task(task) for task in sweep.summary.tasks],
        "variants": [{"axis": variant.axis, **_rate(variant.rate)} for variant in sweep.summary.variants],
        "errors": [
            {"task": done.trial.task, "seed": done.trial.seed, "detail": done.result.detail}
            for done in sweep.summary.errors
        ],
        "films": [
            {
                "task": film.task,
                "seed": film.seed,
                "outcome": film.outcome,
                "file": film.path.relative_to(sweep.folder).as_posix(),
            }
            for film in report.films
        ],
        "num_films_left": report.num_films_left,
        "others": [_overview(report, other) for other in report.others],
        "comparisons": [
            {"other": report.label(other), **comparison_document(comparison)}
            for other, comparison in zip(report.others, report.comparisons, strict=True)
        ],
    }


def _overview(report: Report, sweep: Sweep) -> dict[str, Any]:
    summary = sweep.summary
    return {
        "label": report.label(sweep),
        "policy": summary.spec.policy,
        "suite": summary.spec.suite,
        "is_complete": summary.is_complete,
        "num_successes": summary.count("success"),
        "num_failures": summary.count("failure"),
        "num_errors": summary.count("error"),
        "num_missing": summary.count("missing"),
        "average": None if summary.average is None else _average(summary.average),
        "delay_s": sweep.delay_s,
        "num_steps": sum(task.num_steps for task in summary.tasks),
        "num_inferences": sum(task.num_inferences for task in summary.tasks),
        "num_passes": summary.num_passes,
        "wall_s": summary.wall_s,
        "started": _started(sweep),
    }


def _started(sweep: Sweep) -> list[str]:
    times = sorted(done.started_at for done in sweep.record.trials)
    return [times[0], times[-1]] if times else []


def _average(average: SuiteAverage) -> dict[str, Any]:
    cluster = average.cluster_interval
    return {
        "success_rate": average.rate,
        "interval_95": list(average.interval),
        "cluster_interval_95": None if cluster is None else list(cluster),
        "resampling_seed": RESAMPLING_SEED,
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "num_successes": rate.successes,
        "num_judged": rate.judged,
        "success_rate": rate.share,
        "interval_95": list(rate.interval),
    }


def _task(task: TaskSummary) -> dict[str, Any]:
    return {
        "name": task.name,
        **_rate(task.rate),
        "seeds": {outcome: list(seeds) for outcome, seeds in task.seeds.items()},
        "num_planned": task.num_planned,
        "median_success_step": task.median_success_step,
        "num_steps": task.num_steps,
        "num_stops": task.num_stops,
        "num_limited": task.num_limited,
        "num_inferences": task.num_inferences,
        "stop_reasons": dict(task.stop_reasons),
        "flags": dict(task.flags),
        "success_by_step": None if task.by_step is None else _by_step(task.by_step),
        "wall_s": task.wall_s,
    }


def _by_step(by_step: SuccessByStep) -> dict[str, list[float]]:
    columns = {"rates": by_step.rates, "low": by_step.low, "high": by_step.high}
    return {"steps": by_step.steps.tolist(), **{name: values.round(6).tolist() for name, values in columns.items()}}


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """For JSON: the paired result as a whole and by task, the trials that differ, and how the sweeps do."""
    return {
        **_paired(comparison.result),
        "tasks": {task: _paired(result) for task, result in comparison.by_task.items()},
        "discordant": [
            {"task": pair.trial.task, "seed": pair.trial.seed, "succeeded": "first" if pair.first else "second"}
            for pair in comparison.discordant
        ],
        "differences": [{"name": name, "first": one, "second": two} for name, one, two in comparison.differences],
    }


def _paired(result: PairedComparison) -> Mapping[str, Any]:
    return {
        "num_pairs": result.pairs,
        "num_both": result.both,
        "num_only_first": result.only_first,
        "num_only_second": result.only_second,
        "num_neither": result.neither,
        "num_unpaired": result.num_unpaired,
        "difference": result.difference,
        "interval_95": list(result.interval),
        "mcnemar_p": result.p_value,
    }
