"""Tables of success rates: a row with its interval drawn, and columns of further numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from magma_ros.markup import Markup, breakable, element
from magma_ros.sim.report.figures import percent, percent_interval, points, points_interval
from magma_ros.sim.report.marks import RATE, Axis, scale, whisker
from magma_ros.sim.report.summary import Rate
from magma_ros.sim.statistics import Interval


@dataclass(frozen=True, slots=True)
class Column:
    """Further numbers, one for each row."""

    heading: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """What a row of a rate table says.

    Attributes:
        name: Of the row.
        mark: The interval, drawn.
        counts: Successes of trials.
        estimate: The rate with its interval, in words.
    """

    name: str
    mark: Markup | None
    counts: str
    estimate: Markup | None


def value(exact: float | str, shown: str) -> Markup:
    """A number for people with the exact one beside it, for programs."""
    return element("data", shown, value=exact)


def rate_cells(name: str, rate: Rate, *, style: int = 0) -> Row:
    """A success rate as a row."""
    counts = f"{rate.successes}/{rate.judged}"
    if rate.share is None:
        return Row(name, None, counts, None)
    return interval_cells(name, rate.share, rate.interval, counts=counts, n=rate.judged, style=style)


def interval_cells(name: str, share: float, interval: Interval, *, counts: str, n: int, style: int = 0) -> Row:
    """A share 0 … 1 with its interval as a row."""
    shown, ends = percent(share, n=n), percent_interval(interval, n=n)
    mark = whisker(share, *interval, title=f"{name}: {shown}, 95 % interval {ends}", style=style)
    return Row(name, mark, counts, _estimate(share, shown, interval, ends))


def difference_cells(name: str, difference: float, interval: Interval, *, counts: str, n: int, axis: Axis) -> Row:
    """A difference of shares, -1 … 1, with its interval as a row."""
    shown, ends = points(difference, n=n), points_interval(interval, n=n)
    mark = whisker(difference, *interval, title=f"{name}: {shown}, 95 % interval {ends}", axis=axis)
    return Row(name, mark, counts, _estimate(difference, shown, interval, ends))


def rate_table(
    heading: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    *,
    caption: str,
    axis: Axis = RATE,
    counts: str = "successes",
) -> Markup:
    """The rows with their intervals over one scale, and the further columns."""
    headings = [element("th", heading, scope="col"), element("th", counts, scope="col", class_="number")]
    headings += [element("th", axis.label, scope="col", class_="plot"), element("th", "", scope="col")]
    headings += [element("th", column.heading, scope="col", class_="number") for column in columns]
    body = [_row(row, [(column.heading, column.cells[i]) for column in columns]) for i, row in enumerate(rows)]
    foot = [
        element("td", colspan=2),
        element("td", scale(axis), class_="plot-scale"),
        element("td", colspan=1 + len(columns)),
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", headings)),
        element("tbody", body),
        element("tfoot", element("tr", foot)),
        class_="rates",
    )
    return element("div", table, class_="wide")


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table of text; the first cell of each row names it."""
    head = element("tr", [element("th", heading, scope="col") for heading in headings])
    body = [
        element("tr", element("th", breakable(row[0]), scope="row"), [element("td", cell) for cell in row[1:]])
        for row in rows
    ]
    return element("div", element("table", element("thead", head), element("tbody", body)), class_="wide")


def _row(row: Row, further: Sequence[tuple[str, str]]) -> Markup:
    return element(
        "tr",
        element("th", breakable(row.name), scope="row"),
        element("td", row.counts, class_="number"),
        element("td", row.mark, class_="plot"),
        element("td", row.estimate, class_="estimate"),
        [element("td", text, class_="number", data_label=heading) for heading, text in further],
    )


def _estimate(exact: float, shown: str, interval: Interval, ends: str) -> Markup:
    return element(
        "span",
        element("strong", value(exact, shown)),
        " ",
        element("span", "[", value(f"{interval.low} {interval.high}", ends), "]", class_="muted"),
    )
