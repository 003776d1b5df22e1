"""Success rates with intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from magma_ros.errors import InvalidInputError
from magma_ros.sim.statistics import (
    MIN_CLUSTERS,
    success_by_step,
    suite_average,
    wilson_bounds,
    wilson_interval,
)

RATES = np.linspace(0.05, 0.95, 19)
NUM_SWEEPS = 2_000


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_is_the_one_of_scipy(confidence: float) -> None:
    """All counts of 1, 7 and 50 trials get SciPy's interval."""
    for trials in (1, 7, 50):
        for successes in range(trials + 1):
            expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
            actual = wilson_interval(successes, trials, confidence=confidence)
            np.testing.assert_allclose(actual, (expected.low, expected.high), atol=1e-12)


def test_wilson_takes_arrays_and_ends_at_the_ends() -> None:
    """Shapes broadcast; none and all succeed up to exactly 0 and 1; no trial says nothing."""
    low, high = wilson_bounds([[0], [3]], [3, 10])
    assert (2, 2) == low.shape == high.shape
    assert (0.0, 1.0) == (low[0, 0], high[1, 0])
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert 1.0 == wilson_interval(0, 0).width


@pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3), (0, float("inf")), (float("nan"), 3)])
def test_counts_that_cannot_be_are_refused(successes: float, trials: float) -> None:
    """More successes than trials, or fewer than none, raise."""
    with pytest.raises(InvalidInputError, match="expected 0 <= successes <= trials"):
        wilson_interval(successes, trials)


def test_wilson_covers_over_simulated_sweeps() -> None:
    """Of 2,000 sweeps at each rate from 0.05 to 0.95, at least 94 % of the intervals hold the rate, on average."""
    rng = np.random.default_rng(5)
    for trials in (10, 20, 50, 100, 500):
        low, high = wilson_bounds(rng.binomial(trials, RATES, size=(NUM_SWEEPS, RATES.size)), trials)
        assert np.mean((low <= RATES) & (RATES <= high)) >= 0.94


def test_wilson_covers_exactly_worked_out() -> None:
    """Summed over all counts instead of simulated, coverage is 95 % on average and never below 89 %, from n = 20."""
    rates = np.linspace(0.05, 0.95, 901)
    for trials in (20, 50, 100):
        counts = np.arange(trials + 1)[:, np.newaxis]
        low, high = wilson_bounds(counts, trials)
        coverage = np.sum(binom.pmf(counts, trials, rates) * ((low <= rates) & (rates <= high)), axis=0)
        assert 0.949 <= coverage.mean() <= 0.955
        assert coverage.min() >= 0.89


def test_suite_average_weighs_tasks_equally() -> None:
    """The mean is over tasks, whatever their trials; the interval belongs to as many as an even split would need."""
    average = suite_average([5, 10], [10, 40], seed=0)
    assert (0.5 + 0.25) / 2 == average.rate
    assert wilson_interval(0.375 * 32, 32) == average.interval


def test_equal_tasks_have_the_interval_of_the_pooled_trials() -> None:
    """Ten tasks of ten trials are a hundred trials; tasks alike do not make the cluster interval collapse."""
    average = suite_average([10] * 10, [10] * 10, seed=0)
    assert 1.0 == average.rate
    assert wilson_interval(100, 100) == average.interval == average.cluster_interval


def test_cluster_interval_is_seeded_and_wider_where_tasks_differ() -> None:
    """The same seed gives the same ends; solved and unsolved tasks say little about other tasks."""
    solved = [10, 10, 10, 10, 10, 0, 0, 0, 0, 0]
    average = suite_average(solved, [10] * 10, seed=3)
    assert average == suite_average(solved, [10] * 10, seed=3)
    assert average.cluster_interval is not None
    assert average.cluster_interval.width > 2.5 * average.interval.width


def test_few_tasks_have_no_cluster_interval() -> None:
    """Below the smallest number of tasks nothing is claimed about others."""
    assert suite_average([1] * (MIN_CLUSTERS - 1), [2] * (MIN_CLUSTERS - 1), seed=0).cluster_interval is None
    assert suite_average([1] * MIN_CLUSTERS, [2] * MIN_CLUSTERS, seed=0).cluster_interval is not None


@pytest.mark.parametrize(("successes", "trials"), [([], []), ([1, 2], [3]), ([0, 1], [0, 1]), ([4], [3])])
def test_a_suite_needs_every_task_judged(successes: list[int], trials: list[int]) -> None:
    """No task, other shapes, a task without a trial and impossible counts raise."""
    with pytest.raises(InvalidInputError):
        suite_average(successes, trials, seed=0)


def test_suite_intervals_cover_over_simulated_sweeps() -> None:
    """Ten tasks drawn from many, 20 trials each: both intervals hold what they are about often enough."""
    rng = np.random.default_rng(2)
    rates = rng.beta(3, 2, size=(600, 10))
    these, all_tasks = 0, 0
    for seed, tasks in enumerate(rates):
        average = suite_average(rng.binomial(20, tasks), np.full(10, 20), seed=seed, num_resamples=1_000)
        these += average.interval.low <= tasks.mean() <= average.interval.high
        assert average.cluster_interval is not None
        all_tasks += average.cluster_interval.low <= 3 / 5 <= average.cluster_interval.high
    assert these / len(rates) >= 0.94
    assert all_tasks / len(rates) >= 0.91


def test_success_grows_with_the_step() -> None:
    """At each step the share is of those that succeeded by then, with Wilson's interval; the last one is the rate."""
    curve = success_by_step([2, None, 4, 2], step_budget=5)
    assert [1, 2, 3, 4, 5] == curve.steps.tolist()
    assert [0.0, 0.5, 0.5, 0.75, 0.75] == curve.rates.tolist()
    assert wilson_interval(3, 4) == (curve.low[-1], curve.high[-1])
    assert wilson_interval(0, 4) == (curve.low[0], curve.high[0])


def test_a_curve_of_nothing_claims_nothing() -> None:
    """Without a judged trial the interval is everything."""
    curve = success_by_step([], step_budget=2)
    assert ([0.0, 0.0], [1.0, 1.0]) == (curve.low.tolist(), curve.high.tolist())


@pytest.mark.parametrize(("steps", "budget"), [([0], 5), ([6], 5), ([], 0)])
def test_steps_beyond_the_budget_are_refused(steps: list[int], budget: int) -> None:
    """A success before the first step or after the last raises."""
    with pytest.raises(InvalidInputError):
        success_by_step(steps, step_budget=budget)
