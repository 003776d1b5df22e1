"""Numbers for people."""

from __future__ import annotations

import pytest

from magma_ros.sim.report.figures import (
    counted,
    duration,
    p_value,
    percent,
    percent_interval,
    points,
    points_interval,
    quantity,
    ranges,
    ticks,
)
from magma_ros.sim.statistics import Interval


def test_shares_have_the_digits_that_their_trials_carry() -> None:
    """No decimals of fifty trials, one of thousands."""
    assert percent(0.9612, n=50) == "96 %"
    assert percent(0.9612, n=1000) == "96.1 %"
    assert percent_interval(Interval(0.8391, 0.9844), n=50) == "84 to 98 %"


def test_differences_have_their_sign() -> None:
    """A minus is a minus, and nothing is not less than nothing."""
    assert points(0.12, n=50) == "+12 pp"
    assert points(-0.12, n=50) == "\N{MINUS SIGN}12 pp"
    assert points(-0.001, n=50) == "+0 pp"
    assert points_interval(Interval(-0.031, 0.27), n=50) == "\N{MINUS SIGN}3 to +27 pp"


@pytest.mark.parametrize(
    ("p", "expected"), [(1.0, "p = 1"), (0.04251, "p = 0.043"), (0.001, "p = 0.001"), (0.00099, "p < 0.001")]
)
def test_small_p_values_are_only_small(p: float, expected: str) -> None:
    """Two digits, down to a thousandth."""
    assert p_value(p) == expected


def test_quantities_keep_what_counts() -> None:
    """Whole and large numbers in full, others with three digits."""
    assert [quantity(x) for x in (60, 12345.0, 1234.5, 0.15, -0.0015)] == ["60", "12,345", "1,234", "0.15", "-0.0015"]


def test_one_is_not_many() -> None:
    """The plural is for all numbers but one."""
    assert [counted(n, "trial") for n in (0, 1, 2, 1000)] == ["0 trials", "1 trial", "2 trials", "1,000 trials"]


def test_durations_read_well_at_every_length() -> None:
    """Seconds, minutes, hours."""
    assert [duration(s) for s in (1.5, 90.04, 600, 9000)] == ["1.5 s", "90 s", "10 min", "2 h 30 min"]


def test_neighbouring_seeds_are_drawn_together() -> None:
    """Three or more in a row are a range, in any order."""
    assert ranges([13, 0, 1, 2, 5, 6]) == "0..2, 5, 6, 13"
    assert ranges([]) == ""


@pytest.mark.parametrize("high", [0.105, 0.4, 1.0, 7, 60, 120, 520])
def test_ticks_are_round_few_and_within(high: float) -> None:
    """From 0 on, evenly, two to six of them."""
    found = ticks(high)
    assert 2 <= len(found) <= 6
    assert found[0] == 0
    assert found[-1] <= high
    assert all(found[i] == pytest.approx(i * found[1]) for i in range(len(found)))
    assert ticks(60, most=5) == (0, 20, 40, 60)
