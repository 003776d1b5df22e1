"""Telemetry in constant memory, against NumPy on all the values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.telemetry import LONGEST_S, RESOLUTION, SHORTEST_S, LatencyHistogram, Rate, ReasonCounts

LATENCIES = st.lists(st.floats(0.0, 100.0) | st.floats(0.0, 0.01), min_size=1, max_size=60)
PERCENTS = st.integers(0, 64).map(lambda part: 100 * part / 64)


def histogram(latencies_s: list[float]) -> LatencyHistogram:
    made = LatencyHistogram()
    for latency_s in latencies_s:
        made.add(latency_s)
    return made


@given(LATENCIES, PERCENTS)
def test_a_percentile_is_numpys_to_the_stated_resolution(latencies_s, percent) -> None:
    """It is never too short, and too long by at most the resolution, the shortest bucket, or up to the longest seen."""
    got = histogram(latencies_s).percentile(percent)
    exact = float(np.percentile(latencies_s, percent, method="inverted_cdf"))
    longest = max(latencies_s) if exact > LONGEST_S else max(SHORTEST_S, exact * (1 + RESOLUTION) * (1 + 1e-12))
    assert exact <= got <= longest
    assert got <= max(latencies_s)


@given(LATENCIES)
def test_count_mean_and_maximum_are_exact(latencies_s) -> None:
    """Only the percentiles are rounded to a bucket."""
    made = histogram(latencies_s)
    assert (len(latencies_s), max(latencies_s)) == (made.n, made.max_s)
    assert np.mean(latencies_s) == pytest.approx(made.mean_s, rel=1e-9)
    assert len(latencies_s) == sum(made.counts)


@given(LATENCIES, LATENCIES, PERCENTS)
def test_what_came_after_a_copy_is_counted_alone(first, second, percent) -> None:
    """The difference of a histogram and its earlier copy answers like a histogram of the later values alone."""
    made = histogram(first)
    earlier = made.copy()
    for latency_s in second:
        made.add(latency_s)
    recent, alone = made.since(earlier), histogram(second)
    assert (alone.n, alone.counts) == (recent.n, recent.counts)
    assert alone.mean_s == pytest.approx(recent.mean_s, abs=1e-9)
    if max(second) <= LONGEST_S:
        assert alone.max_s <= recent.max_s <= max(SHORTEST_S, alone.max_s * (1 + RESOLUTION) * (1 + 1e-12))
        assert alone.percentile(percent) <= recent.percentile(percent) <= max(SHORTEST_S, recent.max_s)


def test_an_empty_histogram_answers_zero() -> None:
    """Nothing was counted: every number is 0, and so is a window in which nothing came."""
    empty = LatencyHistogram()
    assert (0, 0.0, 0.0, 0.0) == (empty.n, empty.mean_s, empty.max_s, empty.percentile(99.0))
    busy = histogram([0.1])
    assert (0, 0.0, 0.0) == (busy.since(busy.copy()).n, busy.since(busy.copy()).max_s, busy.since(busy.copy()).mean_s)


@pytest.mark.parametrize("impossible", [-0.001, math.nan, math.inf, -math.inf])
def test_an_impossible_latency_is_counted_apart(impossible) -> None:
    """A negative or non-finite latency changes no percentile and is not lost either."""
    made = histogram([0.1, impossible])
    assert (1, 1, 0.1, 0.1) == (made.n, made.num_rejected, made.max_s, made.mean_s)


def test_a_percentile_beyond_100_is_refused() -> None:
    """0.99 for 99 is inside the range, but 101 can only be a mistake."""
    with pytest.raises(InvalidInputError, match="expected 0 … 100, got 101"):
        histogram([0.1]).percentile(101)


def test_memory_does_not_grow_with_what_is_counted() -> None:
    """A hundred thousand latencies, ticks and reasons are held in as many slots as a few."""
    made, rate, reasons = LatencyHistogram(), Rate(max_ticks=16), ReasonCounts()
    slots = len(made.counts)
    for step in range(100_000):
        made.add(step * 1e-3)
        rate.tick(step * 1e-3)
        reasons.add(f"reason {step}")
    assert (slots, 16) == (len(made.counts), len(rate._moments_s))
    assert 65 == len(reasons.by_reason())
    assert 100_000 == sum(reasons.by_reason().values())


@given(st.floats(0.5, 100.0), st.floats(0.0, 1.0))
def test_a_steady_rate_is_measured_to_one_tick_in_the_window(rate_hz, part) -> None:
    """Whenever in a period it is asked, the answer is short by at most a tick per window."""
    rate = Rate(window_s=5.0)
    num_ticks = int(10 * rate_hz)
    for step in range(num_ticks):
        rate.tick(step / rate_hz)
    hz = rate.hz((num_ticks - 1 + part) / rate_hz)
    assert rate_hz * (1 + 1e-9) >= hz >= rate_hz - 1 / (5.0 - 2 / rate_hz)


def test_a_rate_falls_to_zero_when_nothing_happens() -> None:
    """What has stopped has no rate, and one tick makes none."""
    rate = Rate(window_s=5.0)
    assert 0.0 == rate.hz(0.0)
    rate.tick(0.0)
    assert 0.0 == rate.hz(0.0)
    rate.tick(1.0)
    assert (1.0, 0.5, 0.0) == (rate.hz(1.0), rate.hz(2.0), rate.hz(6.5))


def test_a_clock_that_went_back_starts_the_rate_again() -> None:
    """After the simulated clock was reset the rate is that of the new run."""
    rate = Rate()
    for now_s in (100.0, 100.1, 0.0, 0.5, 1.0):
        rate.tick(now_s)
    assert 2.0 == rate.hz(1.0)


def test_reasons_are_listed_most_frequent_first() -> None:
    """Who reads only the first line sees what happens most."""
    reasons = ReasonCounts()
    reasons.add("stale_image")
    reasons.add("workspace", 3)
    assert ["workspace", "stale_image"] == list(reasons.by_reason())
    assert {"workspace": 3, "stale_image": 1} == reasons.by_reason()
