"""Tables of rates: what each cell says, and what it keeps for programs."""

from __future__ import annotations

from magma_ros.sim.report.marks import RATE, difference_axis, whisker
from magma_ros.sim.report.summary import Rate
from magma_ros.sim.report.tables import (
    Column,
    Row,
    difference_cells,
    interval_cells,
    plain_table,
    rate_cells,
    rate_table,
    value,
)
from magma_ros.sim.statistics import Interval
from tests.sim.report.reading import cells, data, text

WIDE = Interval(0.25, 0.875)
MINUS = "\N{MINUS SIGN}"


def test_a_number_keeps_its_exact_value() -> None:
    """For programs beside what people read, also where it is no number."""
    assert value(1 / 3, "33 %") == '<data value="0.3333333333333333">33 %</data>'
    assert value("<", ">") == '<data value="&lt;">&gt;</data>'


def test_a_rate_comes_with_its_counts_and_its_interval() -> None:
    """In a row's cells, drawn in its series' style; few trials carry no decimals."""
    row = rate_cells("a", Rate(1, 2, WIDE), style=3)
    assert (row.name, row.counts) == ("a", "1/2")
    assert text(row.estimate) == "50 % [ 25 to 88 % ]"
    assert data(row.estimate) == ["0.5", "0.25 0.875"]
    assert row.mark == whisker(0.5, 0.25, 0.875, title="a: 50 %, 95 % interval 25 to 88 %", style=3)


def test_a_task_without_a_judged_trial_has_no_rate() -> None:
    """Counts alone: not 0 %, and no interval from 0 to 1."""
    assert rate_cells("a", Rate(0, 0, Interval(0.0, 1.0))) == Row("a", None, "0/0", None)


def test_many_trials_carry_a_decimal() -> None:
    """From 200 on; the counts are those that are given."""
    row = interval_cells("a", 0.5, WIDE, counts="any", n=200)
    assert (row.counts, text(row.estimate)) == ("any", "50.0 % [ 25.0 to 87.5 % ]")


def test_a_difference_has_signs_and_points() -> None:
    """And is drawn over the axis of differences, which has a line at zero."""
    axis = difference_axis(1.0)
    row = difference_cells("a", -0.5, Interval(-0.9, 0.1), counts="+1 / -6", n=10, axis=axis)
    assert text(row.estimate) == f"{MINUS}50 pp [ {MINUS}90 to +10 pp ]"
    assert data(row.estimate) == ["-0.5", "-0.9 0.1"]
    title = f"a: {MINUS}50 pp, 95 % interval {MINUS}90 to +10 pp"
    assert row.mark == whisker(-0.5, -0.9, 0.1, title=title, axis=axis)
    assert row.counts == "+1 / -6"


def test_a_rate_table_has_each_columns_cell_in_each_row() -> None:
    """Name, counts, drawing, estimate, and the further ones in order; the last row is the drawing's scale."""
    rows = [rate_cells("task_one", Rate(1, 2, WIDE)), Row("task_two", None, "0/0", None)]
    table = rate_table("task", rows, [Column("steps", ["7", "8"]), Column("stops", ["0", "9"])], caption="All <of> it")
    assert cells(table)[:3] == [
        ["task", "successes", "success rate", "", "steps", "stops"],
        ["task_one", "1/2", "", "50 % [ 25 to 88 % ]", "7", "0"],
        ["task_two", "0/0", "", "", "8", "9"],
    ]
    assert "<caption>All &lt;of&gt; it</caption>" in table
    assert table.count("<wbr>") == 2
    assert '<td colspan="3"></td>' in table
    assert '<td class="number" data-label="stops">9</td>' in table


def test_a_table_of_differences_says_what_it_counts() -> None:
    """Its headings are the axis's label and the counts that it is told."""
    heading = cells(rate_table("task", [], [], caption="", axis=difference_axis(0.1), counts="alone"))[0]
    assert heading == ["task", "alone", "difference", ""]
    assert cells(rate_table("task", [], [], caption="", axis=RATE))[0] == ["task", "successes", "success rate", ""]


def test_a_plain_table_names_its_rows_and_escapes_what_is_in_them() -> None:
    """The first cell is the row's heading; without rows the headings remain."""
    table = plain_table(["task", "seeds"], [["a_b", "<i>0..3</i>", "7"]])
    assert cells(table) == [["task", "seeds"], ["a_b", "<i>0..3</i>", "7"]]
    assert '<th scope="row">a<wbr>_b</th><td>&lt;i&gt;0..3&lt;/i&gt;</td>' in table
    assert cells(plain_table(["task"], [])) == [["task"]]
