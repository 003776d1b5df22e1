"""The sections of a report on several sweeps: all of them, success against delay, and pairs of the same trials."""

from __future__ import annotations

from collections.abc import Iterator

from magma_ros.markup import Markup, element
from magma_ros.sim.report.contents import Report, Sweep
from magma_ros.sim.report.figures import counted, p_value, percent, points, points_interval, quantity, ranges, ticks
from magma_ros.sim.report.marks import Axis, Dot, difference_axis, dot_chart, legend
from magma_ros.sim.report.pairs import Comparison
from magma_ros.sim.report.tables import (
    Column,
    Row,
    difference_cells,
    interval_cells,
    plain_table,
    rate_table,
    value,
)

_SIGNIFICANCE = 0.05
_LONGEST = 80


def overview(report: Report) -> Markup | None:
    """A row for each sweep; None for a single one."""
    if not report.others:
        return None
    columns = [
        Column("delay", [f"{quantity(sweep.delay_s)} s" for sweep in report.sweeps]),
        Column("execution horizon", [str(sweep.record.spec.execution_horizon) for sweep in report.sweeps]),
        Column("errors", [str(sweep.summary.count("error")) for sweep in report.sweeps]),
    ]
    rows = [_sweep_cells(report, sweep) for sweep in report.sweeps]
    table = rate_table(
        "sweep", rows, columns, caption="Averages over the tasks, with 95 % intervals for these very tasks."
    )
    return element("section", element("h2", "Sweeps"), table)


def by_delay(report: Report) -> Markup | None:
    """Success against how long the policy thought; None where all thought equally long."""
    delays_s = [sweep.delay_s for sweep in report.sweeps]
    if len(set(delays_s)) < 2:
        return None
    policies = list(dict.fromkeys(sweep.record.spec.policy for sweep in report.sweeps))
    dots = [
        _delay_dot(sweep, policies.index(sweep.record.spec.policy))
        for sweep in report.sweeps
        if sweep.summary.average is not None
    ]
    high_s, margin_s = max(delays_s), 0.04 * max(delays_s)
    numbers = tuple((tick, f"{tick:g}") for tick in ticks(high_s))
    axis = Axis("mean delay [s]", -margin_s, high_s + margin_s, numbers)
    title = "Success against delay"
    chart = dot_chart(dots, x=axis, title=title, description="; ".join(dot.title for dot in dots))
    note = "The world goes on while the policy thinks: average success rate with its 95 % interval."
    names = legend(policies) if len(policies) > 1 else None
    return element(
        "section",
        element("h2", title),
        element("p", note, class_="muted small"),
        names,
        element("figure", chart),
        class_="single",
    )


def comparisons(report: Report) -> Iterator[Markup]:
    """The first sweep against each of the others, on the trials that both were judged on."""
    for other, comparison in zip(report.others, report.comparisons, strict=True):
        yield _comparison(
            report.label(report.sweep), report.label(other), comparison, num_tests=len(report.comparisons)
        )


def _sweep_cells(report: Report, sweep: Sweep) -> Row:
    average, summary = sweep.summary.average, sweep.summary
    counts = f"{sum(task.rate.successes for task in summary.tasks)}/{summary.judged}"
    if average is None:
        return Row(report.label(sweep), None, counts, None)
    return interval_cells(report.label(sweep), average.rate, average.interval, counts=counts, n=summary.judged)


def _delay_dot(sweep: Sweep, style: int) -> Dot:
    average = sweep.summary.average
    assert average is not None
    shown = percent(average.rate, n=sweep.summary.judged)
    title = f"{sweep.record.spec.policy}, {quantity(sweep.delay_s)} s: {shown}"
    return Dot(sweep.delay_s, average.rate, *average.interval, title=title, style=style)


def _comparison(first: str, second: str, comparison: Comparison, *, num_tests: int) -> Markup:
    result = comparison.result
    n = result.pairs
    sentence = element(
        "p",
        f"{first} succeeded on {result.both + result.only_first} and {second} on {result.both + result.only_second} of "
        f"the same {n} initial states: ",
        element("strong", value(result.difference, points(result.difference, n=n))),
        ", 95 % interval ",
        value(f"{result.interval.low} {result.interval.high}", points_interval(result.interval, n=n)),
        " (Tango), ",
        value(result.p_value, p_value(result.p_value)),
        f" (McNemar, exact). {_verdict(first, second, comparison, num_tests)}",
    )
    table = plain_table(
        ["", f"{second}: success", f"{second}: failure"],
        [
            [f"{first}: success", str(result.both), str(result.only_first)],
            [f"{first}: failure", str(result.only_second), str(result.neither)],
        ],
    )
    return element(
        "section",
        element("h2", f"{first} against {second}"),
        sentence,
        _unpaired(comparison),
        table,
        _per_task(comparison),
        _discordant(first, second, comparison),
        _differences(first, second, comparison),
    )


def _verdict(first: str, second: str, comparison: Comparison, num_tests: int) -> str:
    result = comparison.result
    if result.p_value >= _SIGNIFICANCE:
        holds_zero = result.interval.low <= 0 <= result.interval.high
        disagree = "" if holds_zero else " Test and interval disagree, as they may where few trials differ."
        return f"These trials do not show that one is better.{disagree}"
    better = first if result.difference > 0 else second
    several = f" One of {num_tests} comparisons: their p-values are not corrected for that." if num_tests > 1 else ""
    return f"{better} is better on these tasks.{several}"


def _unpaired(comparison: Comparison) -> Markup | None:
    number = comparison.result.num_unpaired
    if not number:
        return None
    return element("p", f"Left out: {counted(number, 'trial')} whose counterpart was not judged.", class_="muted small")


def _per_task(comparison: Comparison) -> Markup | None:
    if len(comparison.by_task) < 2:
        return None
    axis = difference_axis(max(abs(end) for result in comparison.by_task.values() for end in result.interval))
    rows = [
        difference_cells(
            task,
            result.difference,
            result.interval,
            counts=f"+{result.only_first} / \N{MINUS SIGN}{result.only_second}",
            n=result.pairs,
            axis=axis,
        )
        for task, result in comparison.by_task.items()
    ]
    pairs = Column("pairs", [str(result.pairs) for result in comparison.by_task.values()])
    note = "Initial states on which the first / the second alone succeeded, difference and 95 % interval."
    return rate_table("task", rows, [pairs], caption=note, axis=axis, counts="alone")


def _discordant(first: str, second: str, comparison: Comparison) -> Markup | None:
    if not comparison.discordant:
        return None
    rows = []
    for task in comparison.by_task:
        here = [pair for pair in comparison.discordant if pair.trial.task == task]
        alone = [ranges(pair.trial.seed for pair in here if pair.first is is_first) for is_first in (True, False)]
        if here:
            rows.append([task, *alone])
    title = f"They differ on {counted(len(comparison.discordant), 'seed')}"
    table = plain_table(["task", f"only {first} succeeded", f"only {second} succeeded"], rows)
    return element("details", element("summary", title), table)


def _differences(first: str, second: str, comparison: Comparison) -> Markup | None:
    if not comparison.differences:
        return None
    rows = [[name, _short(one), _short(two)] for name, one, two in comparison.differences]
    title = f"What else differs between the two sweeps: {', '.join(name for name, _, _ in comparison.differences)}"
    return element("details", element("summary", title), plain_table(["", first, second], rows))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
