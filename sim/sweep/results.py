"""What a sweep says, on a terminal and as plain JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from magma_ros.sim.report.summary import Rate, SweepSummary, TaskSummary, summarize
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.statistics import Interval
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.plan import SweepSpec
from magma_ros.wording import counted


def describe(result: RolloutResult) -> str:
    """One trial in a line; an error with its traceback below."""
    seen = ", ".join(name for name, value in result.flags.items() if value) or "nothing"
    stops = ", ".join(f"{reason} x{count}" for reason, count in result.stop_reasons.items())
    line = f"seed {result.seed}: {result.outcome} after {counted(result.num_steps, 'step')} (seen: {seen})"
    line += f", {counted(result.num_stops, 'stop')} ({stops})" if result.num_stops else ""
    line += f", {result.num_limited} limited" if result.num_limited else ""
    return f"{line}\n{result.detail}" if result.detail else line


def conclude(summary: SweepSummary) -> str:
    """A line with everything that belongs beside a success rate; several tasks have a table before their average."""
    if len(summary.tasks) > 1:
        return f"{_table(summary)}\n{_average(summary)}"
    task = summary.tasks[0]
    protocol = summary.spec.protocol["tasks"][task.name]
    return (
        f"success_rate {_share(task.rate)} ({task.rate.successes}/{task.rate.judged}), "
        f"{_kind(summary.spec)} {_ends(task.rate.interval)}, {_unjudged(summary)}, "
        f"step_budget {protocol['step_budget']}, settle_steps {protocol['settle_steps']}, "
        f"{_seeds(summary.spec, task.num_planned)}, policy {summary.spec.policy}"
    )


def tell_passes(summary: SweepSummary) -> str:
    """How often the network was run; empty for a policy without one."""
    if not summary.num_passes:
        return ""
    num_steps = sum(task.num_steps for task in summary.tasks)
    return (
        f"{summary.num_passes:.0f} runs of the network for {num_steps} environment steps: "
        f"{summary.num_passes / max(1, num_steps):.2f} per step"
    )


def to_document(record: SweepRecord) -> dict[str, Any]:
    """What was asked, the statistics and every trial that counts; a single task's at the top, several under `tasks`."""
    spec, summary = record.spec, summarize(record)
    tasks = [_task_document(record, task) for task in summary.tasks]
    asked = {"policy": spec.policy, "suite": spec.suite, "execution_horizon": spec.execution_horizon}
    asked |= {"latency": spec.latency, "width": spec.width, "fingerprint": spec.fingerprint, "options": spec.options}
    asked |= {"batched": spec.batched}
    average = None if summary.average is None else asdict(summary.average)
    return {
        **asked,
        **(tasks[0] if len(tasks) == 1 else {"tasks": tasks, "average": average}),
        "num_passes": summary.num_passes,
        **spec.provenance,
    }


def _task_document(record: SweepRecord, task: TaskSummary) -> dict[str, Any]:
    protocol = record.spec.protocol["tasks"][task.name]
    counted = set(record.spec.seeds[: task.num_planned])
    trials = [done for done in record.trials if done.trial.task == task.name and done.trial.seed in counted]
    return {
        "task": task.name,
        "step_budget": protocol["step_budget"],
        "settle_steps": protocol["settle_steps"],
        "num_trials": len(trials),
        "num_successes": len(task.seeds["success"]),
        "num_failures": len(task.seeds["failure"]),
        "num_errors": len(task.seeds["error"]),
        "success_rate": task.rate.share,
        "wilson_95" if record.spec.width is None else "sequential_95": list(task.rate.interval),
        "stop_reasons": dict(task.stop_reasons),
        "trials": [asdict(done.result) for done in trials],
    }


def _table(summary: SweepSummary) -> str:
    width = max(len(task.name) for task in summary.tasks)
    rows = [f"{'task':<{width}}  success_rate  {_kind(summary.spec):<14}  errors  seeds"]
    for task in summary.tasks:
        rate = f"{_share(task.rate)} ({task.rate.successes}/{task.rate.judged})"
        errors, seeds = len(task.seeds["error"]), _seeds(summary.spec, task.num_planned).removeprefix("seeds ")
        rows.append(f"{task.name:<{width}}  {rate:<12}  {_ends(task.rate.interval):<14}  {errors:>6}  {seeds}")
    return "\n".join(rows)


def _average(summary: SweepSummary) -> str:
    average, spec = summary.average, summary.spec
    rate = "n/a"
    if average is not None:
        rate = f"{average.rate:.2f}, 95% for these tasks {_ends(average.interval)}"
        if average.cluster_interval is not None:
            rate += f", for tasks like these {_ends(average.cluster_interval)}"
    return f"{spec.suite}: average success_rate {rate}, {_unjudged(summary)}, policy {spec.policy}"


def _unjudged(summary: SweepSummary) -> str:
    missing = summary.count("missing")
    return f"errors {summary.count('error')}" + (f", missing {missing}" if missing else "")


def _kind(spec: SweepSpec) -> str:
    return "95% Wilson" if spec.width is None else "95% sequential"


def _seeds(spec: SweepSpec, num_planned: int) -> str:
    return f"seeds {spec.seeds[0]}..{spec.seeds[num_planned - 1]}"


def _share(rate: Rate) -> str:
    return "n/a" if rate.share is None else f"{rate.share:.2f}"


def _ends(interval: Interval) -> str:
    return f"[{interval.low:.2f}, {interval.high:.2f}]"
