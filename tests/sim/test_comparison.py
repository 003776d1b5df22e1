"""Two policies on the same seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from magma_ros.errors import InvalidInputError
from magma_ros.sim.comparison import (
    compare_paired,
    mcnemar_p_value,
    mcnemar_power,
    pairs_for_difference,
    tango_interval,
)


def outcomes(both: int, only_first: int, only_second: int, neither: int) -> tuple[dict[int, bool], dict[int, bool]]:
    """Two policies' outcomes by seed, with these counts."""
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return dict(enumerate(first)), dict(enumerate(second))


def test_comparison_counts_every_pair() -> None:
    """Four counts, both rates and their difference come out of the outcomes."""
    comparison = compare_paired(*outcomes(59, 6, 16, 80))
    assert (59, 6, 16, 80) == (comparison.both, comparison.only_first, comparison.only_second, comparison.neither)
    assert (161, 65 / 161, 75 / 161) == (comparison.pairs, comparison.first_rate, comparison.second_rate)
    assert -10 / 161 == comparison.difference


def test_comparison_agrees_with_published_values() -> None:
    """Response before and after consolidation therapy (Cavo et al. 2012).

    The values are those of the R package contingencytables (tests/testthat/test-ch8.R), which goes with Fagerland,
    Lydersen and Laake, Statistical Analysis of Contingency Tables, chapter 8.
    """
    comparison = compare_paired(*outcomes(59, 6, 16, 80))
    assert 0.052479 == round(comparison.p_value, 6)
    assert (-0.1240, -0.0054) == (round(comparison.interval.low, 4), round(comparison.interval.high, 4))


def test_trials_without_counterpart_are_left_out_and_counted() -> None:
    """A seed that only one policy was judged on is no pair."""
    comparison = compare_paired({("a", 0): True, ("a", 1): True, ("b", 0): False}, {("a", 0): False, ("b", 1): True})
    assert (1, 3, 1) == (comparison.pairs, comparison.num_unpaired, comparison.only_first)


def test_policies_without_a_common_seed_are_refused() -> None:
    """Nothing is said about unpaired trials."""
    with pytest.raises(InvalidInputError, match="none in common"):
        compare_paired({0: True}, {1: True})


def test_mcnemar_is_scipys_binomial_test() -> None:
    """Every table with up to 30 pairs on either side has the p-value of a fair coin."""
    for only_first in range(31):
        for only_second in range(31):
            throws = only_first + only_second
            expected = binomtest(only_first, throws).pvalue if throws else 1.0
            assert mcnemar_p_value(only_first, only_second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [
        (6, 16, 0.052478790283203125),
        (1, 7, 0.0703125),
        (0, 0, 1.0),
        (12, 2, 0.012939453125),
        (5, 5, 1.0),
        (9, 0, 0.00390625),
        (60, 35, 0.013378703026003939),
        (121, 59, 4.4344492637551645e-06),
    ],
)
def test_mcnemar_is_the_one_of_statsmodels(only_first: int, only_second: int, expected: float) -> None:
    """The p-values are those of statsmodels 0.15.0, `stats.contingency_tables.mcnemar(table, exact=True)`."""
    assert mcnemar_p_value(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_tango_is_antisymmetric_and_holds_the_difference() -> None:
    """Exchanging the policies turns the interval round; it lies within -1 … 1 around what was seen."""
    for pairs in (1, 2, 7, 50, 10_000):
        for only_first in {0, 1, pairs // 3, pairs}:
            for only_second in {0, (pairs - only_first) // 2, pairs - only_first}:
                low, high = tango_interval(only_first, only_second, pairs)
                turned = tango_interval(only_second, only_first, pairs)
                assert -1 <= low <= (only_first - only_second) / pairs <= high <= 1
                assert (low, high) == pytest.approx((-turned.high, -turned.low), abs=1e-9)


def test_tango_leaves_room_when_no_pair_differs() -> None:
    """Ten pairs alike do not show that two policies are alike."""
    low, high = tango_interval(0, 0, 10)
    assert (-0.2775, 0.2775) == (round(low, 4), round(high, 4))


def test_tango_covers_over_simulated_sweeps() -> None:
    """Of 2,000 comparisons at each pair of rates, on seeds of unequal difficulty, at least 94 % hold the difference."""
    rng, pairs, covered, known = np.random.default_rng(4), 50, [], {}
    for first_rate, second_rate in ((0.05, 0.1), (0.2, 0.8), (0.5, 0.5), (0.6, 0.9), (0.9, 0.95), (0.95, 0.95)):
        difficulty = rng.random((2_000, pairs))
        same = rng.random((2_000, pairs)) < 0.5
        first = difficulty < first_rate
        second = np.where(same, difficulty, rng.random((2_000, pairs))) < second_rate
        only_first, only_second = (first & ~second).sum(axis=1), (second & ~first).sum(axis=1)
        for counts in zip(only_first.tolist(), only_second.tolist(), strict=True):
            if counts not in known:
                known[counts] = tango_interval(*counts, pairs)
            low, high = known[counts]
            covered.append(low <= first_rate - second_rate <= high)
    assert np.mean(covered) >= 0.94


def test_power_is_the_share_of_simulated_comparisons_that_find_it() -> None:
    """The power that is worked out is the one of 20,000 simulated comparisons."""
    rng = np.random.default_rng(6)
    counts = rng.multinomial(80, [0.25, 0.1, 0.65], size=20_000)[:, :2]
    tables, times = np.unique(counts, axis=0, return_counts=True)
    found = np.array([mcnemar_p_value(*table) <= 0.05 for table in tables.tolist()]) @ times / 20_000
    assert mcnemar_power(80, only_first=0.25, only_second=0.1) == pytest.approx(found, abs=0.012)


@pytest.mark.parametrize(
    ("rates", "differing", "pairs"), [((0.9, 0.8), None, 215), ((0.9, 0.8), 0.1, 78), ((0.5, 0.4), None, 408)]
)
def test_advised_pairs_are_the_fewest(rates: tuple[float, float], differing: float | None, pairs: int) -> None:
    """With the advised number of pairs the wanted power is reached, with one less it is not."""
    assert pairs == pairs_for_difference(*rates, differing=differing)
    differing = differing or rates[0] * (1 - rates[1]) + rates[1] * (1 - rates[0])
    chances = {
        "only_first": (differing + rates[0] - rates[1]) / 2,
        "only_second": max(0.0, (differing - rates[0] + rates[1]) / 2),
    }
    assert mcnemar_power(pairs, **chances) >= 0.8 > mcnemar_power(pairs - 1, **chances)


def test_a_difference_out_of_reach_is_refused() -> None:
    """A difference of a thousandth asks for more pairs than anyone simulates."""
    with pytest.raises(InvalidInputError, match="at most"):
        pairs_for_difference(0.5, 0.499)


@pytest.mark.parametrize(
    "options",
    [
        {"first_rate": 0.5, "second_rate": 0.5},
        {"first_rate": 1.1, "second_rate": 0.5},
        {"first_rate": 0.9, "second_rate": 0.5, "differing": 0.3},
        {"first_rate": 0.9, "second_rate": 0.5, "differing": 0.7},
        {"first_rate": 0.9, "second_rate": 0.5, "power": 1.0},
        {"first_rate": 0.9, "second_rate": 0.5, "significance": 0.0},
    ],
)
def test_advice_needs_a_question(options: dict[str, float]) -> None:
    """Equal or impossible rates, impossible shares of differing pairs and certain power raise."""
    with pytest.raises(InvalidInputError):
        pairs_for_difference(**options)


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int]) -> None:
    """Fewer than none, more than all, and no pair at all raise."""
    with pytest.raises(InvalidInputError, match="pairs"):
        tango_interval(*counts)
