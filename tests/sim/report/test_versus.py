"""Sections on several sweeps: what is said of them, and when it is not said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from magma_ros.sim.report.contents import Report, Sweep
from magma_ros.sim.report.pairs import compare
from magma_ros.sim.report.summary import summarize
from magma_ros.sim.report.versus import by_delay, comparisons, overview
from magma_ros.sim.statistics import Interval
from tests.sim.report.reading import cells, data, text
from tests.sim.report.sweeps import make_record, make_spec

BETTER = "tiny is better on these tasks."
UNSHOWN = "These trials do not show that one is better."
SEVERAL = "One of 2 comparisons: their p-values are not corrected for that."


def sweep(letters: dict[str, str], **changes: object) -> Sweep:
    """Without a file: named by its policy."""
    record = make_record(letters, make_spec(tuple(letters), **{"policy": "tiny", **changes}))
    return Sweep(Path("folder") / record.spec.policy, record, summarize(record))


def report(first: Sweep, *others: Sweep, **result: object) -> Report:
    """With its comparisons, their results changed to `result`."""
    found = tuple(compare(first.record, other.record) for other in others)
    changed = tuple(replace(comparison, result=replace(comparison.result, **result)) for comparison in found)
    return Report(first, others, changed, (), 0)


def sections(shown: Report) -> list[str]:
    return [text(section) for section in comparisons(shown)]


@pytest.fixture
def tiny() -> Sweep:
    """Nine of twenty."""
    return sweep({"a": "ssssssssff", "b": "sfffffffff"})


@pytest.fixture
def noop() -> Sweep:
    """Four of twenty, one where the other failed."""
    return sweep({"a": "sssfffffff", "b": "fsffffffff"}, policy="noop")


def test_a_single_sweep_is_compared_with_nothing(tiny) -> None:
    """No overview, no drawing, no pairs."""
    assert overview(report(tiny)) is None
    assert by_delay(report(tiny)) is None
    assert not list(comparisons(report(tiny)))


def test_the_overview_has_a_row_for_each_sweep(tiny, noop) -> None:
    """Average with its interval, delay, execution horizon and errors; without an average, counts alone."""
    broken = sweep({"a": "sfe", "b": "ee"}, policy="odd", execution_horizon=4, latency={"low_s": 0.1, "high_s": 0.3})
    head, *rows = cells(overview(Report(tiny, (noop, broken), (), (), 0)))[:4]
    assert head == ["sweep", "successes", "success rate", "", "delay", "execution horizon", "errors"]
    assert [row[:2] + row[4:] for row in rows] == [
        ["tiny", "9/20", "0 s", "1", "0"],
        ["noop", "4/20", "0 s", "1", "0"],
        ["odd", "1/2", "0.2 s", "4", "3"],
    ]
    assert rows[0][3].startswith("45 % [ ")
    assert rows[2][3] == ""


def test_sweeps_of_one_policy_are_told_apart_by_their_folders(tiny, noop) -> None:
    """In the overview and in the headings of pairs."""
    again = replace(noop, record=make_record({"a": "s"}, make_spec(("a",), policy="tiny")))
    shown = report(tiny, again)
    assert [row[0] for row in cells(overview(shown))[1:3]] == ["tiny (tiny)", "tiny (noop)"]
    assert sections(shown)[0].startswith("tiny (tiny) against tiny (noop)")


def test_success_against_delay_needs_two_delays(tiny, noop) -> None:
    """A dot for each sweep that has an average, none at the very edge; a legend only where policies differ."""
    assert by_delay(report(tiny, noop)) is None
    slow = sweep({"a": "ssfff", "b": "fffff"}, latency={"low_s": 0.5, "high_s": 0.5})
    lost = sweep({"a": "e", "b": "s"}, policy="odd", latency={"low_s": 1.5, "high_s": 1.5})
    one = by_delay(Report(tiny, (slow,), (), (), 0))
    assert "tiny, 0 s: 45 %; tiny, 0.5 s: 20 %" in one
    assert re.findall(r'<svg[^>]* x="([\d.]+)%"', one) == ["3.704", "96.3"]
    several = by_delay(Report(tiny, (slow, lost), (), (), 0))
    assert "odd, 1.5 s" not in several
    assert ('class="legend"' in one, 'class="legend"' in several) == (False, True)


def test_pairs_are_counted_in_a_sentence_and_a_table(tiny, noop) -> None:
    """Three both, six the first alone, one the second, ten neither: a quarter, 25 points."""
    (section,) = comparisons(report(tiny, noop))
    said = text(section)
    assert "tiny succeeded on 9 and noop on 4 of the same 20 initial states: +25 pp" in said
    assert cells(section)[:3] == [
        ["", "noop: success", "noop: failure"],
        ["tiny: success", "3", "6"],
        ["tiny: failure", "1", "10"],
    ]
    assert data(section)[0] == "0.25"
    assert float(data(section)[2]) == pytest.approx(2 * (1 + 7) / 2**7)
    assert "p = 0.12" in said
    assert "Left out" not in said


@pytest.mark.parametrize(
    ("p_value", "interval", "verdict"),
    [
        (0.0499, (0.01, 0.4), BETTER),
        (0.05, (-0.01, 0.4), UNSHOWN),
        (0.05, (0.0, 0.4), UNSHOWN),
        (0.05, (-0.4, 0.0), UNSHOWN),
        (0.05, (0.01, 0.4), f"{UNSHOWN} Test and interval disagree, as they may where few trials differ."),
        (0.05, (-0.4, -0.01), f"{UNSHOWN} Test and interval disagree, as they may where few trials differ."),
    ],
)
def test_one_is_better_where_the_test_says_so(tiny, noop, p_value, interval, verdict) -> None:
    """Below p = 0.05; an interval without zero beside a test that shows nothing is not hidden."""
    (said,) = sections(report(tiny, noop, p_value=p_value, interval=Interval(*interval)))
    assert f"(McNemar, exact). {verdict} noop: success" in said


def test_the_better_one_is_named_whichever_it_is(tiny, noop) -> None:
    """And that there are several comparisons is said with each that shows something, not with others."""
    said = sections(report(noop, tiny, sweep({"a": "sssfffffff"}, policy="odd"), p_value=0.01))
    assert f"{BETTER} {SEVERAL}" in said[0]
    assert said[1].count(SEVERAL) == 1
    assert SEVERAL not in "".join(sections(report(noop, tiny, tiny, p_value=0.5)))


def test_tasks_are_compared_one_by_one(tiny, noop) -> None:
    """Only where there are several: who succeeded alone, the difference, and the pairs."""
    (section,) = comparisons(report(tiny, noop))
    assert [row[:2] + row[4:] for row in cells(section)[4:6]] == [
        ["a", "+5 / \N{MINUS SIGN}0", "10"],
        ["b", "+1 / \N{MINUS SIGN}1", "10"],
    ]
    assert cells(section)[4][3].startswith("+50 pp [ ")
    (single,) = sections(report(sweep({"a": "sf"}), sweep({"a": "ff"}, policy="noop")))
    assert "difference and 95 % interval" not in single


def test_seeds_that_differ_are_listed_by_who_succeeded(tiny, noop) -> None:
    """Task by task, those without one left out; one seed is singular, and none is not mentioned."""
    (section,) = comparisons(report(tiny, noop))
    assert "They differ on 7 seeds" in text(section)
    rows = cells(section)
    assert ["a", "3..7", ""] in rows
    assert ["b", "0", "1"] in rows
    (section,) = comparisons(report(sweep({"a": "s", "b": "s"}), sweep({"a": "s", "b": "f"}, policy="noop")))
    assert "They differ on 1 seed task" in text(section)
    assert [row for row in cells(section) if len(row) == 3 and row[0] in "ab" and row[0]] == [["b", "0", ""]]
    assert "They differ on" not in sections(report(tiny, tiny))[0]


@pytest.mark.parametrize(("length", "ending"), [(80, "x"), (81, "x…")])
def test_long_values_that_differ_are_cut(length, ending) -> None:
    """At 80 characters; a value that is the same in both is not listed."""
    first, second = sweep({"a": "s"}, checkpoint="x" * length), sweep({"a": "f"}, checkpoint="y")
    (section,) = comparisons(report(first, second))
    assert ["checkpoint", "x" * 79 + ending, "y"] in cells(section)
    assert "What else differs between the two sweeps: checkpoint" in text(section)
    assert "What else differs" not in sections(report(first, first))[0]


def test_trials_without_a_counterpart_are_mentioned(tiny) -> None:
    """One that ended in an error, or was not run, in the other sweep."""
    (said,) = sections(report(tiny, sweep({"a": "ssssssss e", "b": "s"}, policy="noop")))
    assert "Left out: 11 trials whose counterpart was not judged." in said
