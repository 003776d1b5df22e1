"""The page of a report: one HTML file that needs nothing else, in light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from magma_ros.markup import Markup, breakable, document, element, join
from magma_ros.sim.report import background, versus
from magma_ros.sim.report.contents import Report
from magma_ros.sim.report.figures import counted, duration, percent, percent_interval, quantity, ticks
from magma_ros.sim.report.marks import Axis, Curve, scale, step_chart, whisker
from magma_ros.sim.report.summary import SweepSummary, TaskSummary
from magma_ros.sim.report.tables import Column, plain_table, rate_cells, rate_table, value
from magma_ros.sim.statistics import Interval

_STYLE = Path(__file__).with_name("page.css")
_OPEN_CHARTS = 12
"""Tasks up to which their charts are not folded."""


def to_page(report: Report) -> str:
    """The whole file."""
    title = f"{report.label(report.sweep)} on {report.sweep.record.spec.suite}"
    return document(title, _sections(report), style=_STYLE.read_text(encoding="utf-8"))


def _sections(report: Report) -> Iterator[Markup | None]:
    summary = report.sweep.summary
    yield _header(report)
    yield _tasks(summary)
    yield _by_step(summary)
    yield _variants(summary)
    yield versus.overview(report)
    yield versus.by_delay(report)
    yield from versus.comparisons(report)
    yield background.films(report)
    yield background.errors(summary)
    yield background.protocol(summary)
    yield background.seeds(summary)
    yield background.provenance(report.sweep)
    yield element("footer", "Every number on this page is in report.json, every trial in trials.parquet, beside it.")


def _header(report: Report) -> Markup:
    summary = report.sweep.summary
    spec, num_tasks = summary.spec, len(summary.tasks)
    tasks = spec.tasks[0] if num_tasks == 1 else f"{num_tasks} tasks"
    trials = ("up to " if spec.width is not None else "") + counted(len(spec.seeds), "trial")
    trials += " each" if num_tasks > 1 else ""
    subject = f"{spec.suite} · {tasks} · {trials}"
    return element(
        "header",
        element("p", subject, class_="muted"),
        element("h1", report.label(report.sweep)),
        _banner(summary),
        _headline(summary),
    )


def _banner(summary: SweepSummary) -> Markup | None:
    if summary.is_complete:
        return None
    errors, missing = summary.count("error"), summary.count("missing")
    parts = []
    if errors:
        parts.append(f"{counted(errors, 'trial')} ended in an error, which is neither a success nor a failure")
    if missing:
        parts.append(f"{counted(missing, 'trial')} not yet run")
    text = "; ".join(parts)
    return element("p", element("strong", "Incomplete: "), f"{text}.", class_="banner", role="note")


def _headline(summary: SweepSummary) -> Markup:
    average, successes = summary.average, sum(task.rate.successes for task in summary.tasks)
    errors = counted(summary.count("error"), "error")
    counts = f"{successes} of {counted(summary.judged, 'judged trial')} succeeded, {errors}"
    if average is None:
        idle = ", ".join(task.name for task in summary.tasks if not task.rate.judged)
        text = f"No success rate: no trial was judged of {idle}."
        return element("section", element("p", text), element("p", counts, class_="muted small"), class_="headline")
    n = summary.judged
    big = element("span", value(average.rate, percent(average.rate, n=n)), class_="rate")
    interval = element("span", "95 % interval ", _interval(average.interval, n), class_="interval")
    mark = whisker(average.rate, *average.interval, title=f"average success rate {percent(average.rate, n=n)}")
    return element(
        "section",
        element("div", big, interval),
        element("div", mark, scale(), class_="plot"),
        element("p", _rate_words(summary), class_="small"),
        element("p", f"{counts}, {_effort(summary)}", class_="muted small"),
        class_="headline",
    )


def _rate_words(summary: SweepSummary) -> Markup:
    average, n, num_tasks = summary.average, summary.judged, len(summary.tasks)
    assert average is not None
    words: list[str | Markup] = []
    if num_tasks > 1:
        words.append(f"Average of {num_tasks} tasks of equal weight; the interval is for these very tasks.")
    if average.cluster_interval is not None:
        words += [" For tasks like these, of which they are a sample: ", _interval(average.cluster_interval, n), "."]
    if summary.spec.width is not None:
        words.append(
            f" A task's trials ended when its interval was at most {percent(summary.spec.width, n=1)} wide, "
            "which the task's own interval takes into account and the average's does not."
        )
    return join(words)


def _effort(summary: SweepSummary) -> str:
    steps, asked = (sum(getattr(task, name) for task in summary.tasks) for name in ("num_steps", "num_inferences"))
    passes = f" in {quantity(round(summary.num_passes))} passes" if summary.num_passes else ""
    return f"{counted(steps, 'step')}, {counted(asked, 'inference')}{passes}, {duration(summary.wall_s)} of trials"


def _interval(interval: Interval, n: int) -> Markup:
    return value(f"{interval.low} {interval.high}", percent_interval(interval, n=n))


def _tasks(summary: SweepSummary) -> Markup:
    columns = [
        Column("steps to success", [_median(task) for task in summary.tasks]),
        Column("steps held", [_held(task) for task in summary.tasks]),
        Column("errors", [str(len(task.seeds["error"])) for task in summary.tasks]),
    ]
    if summary.count("missing"):
        columns.append(Column("not run", [str(len(task.seeds["missing"])) for task in summary.tasks]))
    rows = [rate_cells(task.name, task.rate) for task in summary.tasks]
    note = (
        "Successes of judged trials with 95 % intervals. Steps to success: median of the successes. Steps held: share "
        "of steps in which a safety check stopped the arm."
    )
    return element(
        "section",
        element("h2", "Tasks"),
        rate_table("task", rows, columns, caption=note),
        _stops(summary),
        _facts(summary),
    )


def _stops(summary: SweepSummary) -> Markup | None:
    reasons = sum((Counter(task.stop_reasons) for task in summary.tasks), Counter[str]())
    if not reasons:
        return None
    words = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common())
    return element("p", f"Steps held, by reason: {words}.", class_="muted small")


def _facts(summary: SweepSummary) -> Markup | None:
    """In how many trials the environment saw each of its facts: how far those came that failed."""
    flags = list(dict.fromkeys(flag for task in summary.tasks for flag in task.flags))
    if not flags:
        return None
    rows = [[task.name, *(_seen(task, flag) for flag in flags)] for task in summary.tasks]
    table = plain_table(["task", *(flag.replace("_", " ") for flag in flags)], rows)
    return join([element("h3", "Trials in which the environment saw"), table])


def _median(task: TaskSummary) -> str:
    return "" if task.median_success_step is None else quantity(task.median_success_step)


def _held(task: TaskSummary) -> str:
    return percent(task.num_stops / task.num_steps, n=task.num_steps) if task.num_stops else "0"


def _seen(task: TaskSummary, flag: str) -> str:
    return f"{task.flags[flag]}/{task.rate.judged}" if flag in task.flags else ""


def _by_step(summary: SweepSummary) -> Markup | None:
    figures = [_step_figure(task) for task in summary.tasks if task.by_step is not None and task.rate.successes]
    if not figures:
        return None
    charts: Markup = element("div", figures, class_="charts")
    if len(figures) > _OPEN_CHARTS:
        charts = element("details", element("summary", f"{len(figures)} charts"), charts)
    note = "Share of trials that had succeeded for good by each step, with the 95 % interval at each single step."
    return element("section", element("h2", "Success against step"), element("p", note, class_="muted small"), charts)


def _step_figure(task: TaskSummary) -> Markup:
    by_step = task.by_step
    assert by_step is not None
    budget = int(by_step.steps[-1])
    axis = Axis("policy step", 0.0, float(budget), tuple((tick, quantity(tick)) for tick in ticks(budget, most=5)))
    curve = Curve(task.name, by_step.steps, by_step.rates, by_step.low, by_step.high)
    said = f"{percent(float(by_step.rates[-1]), n=task.rate.judged)} by step {budget}"
    chart = step_chart([curve], x=axis, title=f"{task.name}: success against step", description=said)
    return element(
        "figure", element("figcaption", breakable(task.name), element("span", f" · {said}", class_="muted")), chart
    )


def _variants(summary: SweepSummary) -> Markup | None:
    if not summary.variants:
        return None
    rows = [rate_cells(variant.axis.replace("_", " "), variant.rate) for variant in summary.variants]
    note = "Over all tasks, by the one respect in which a scene departs from its usual look."
    return element("section", element("h2", "Variants"), rate_table("what varies", rows, [], caption=note))
