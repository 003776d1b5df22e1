"""Trials until an interval is narrow enough."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from magma_ros.errors import InvalidInputError
from magma_ros.sim import sequential
from magma_ros.sim.sequential import MOST_TRIALS, SequentialPlan, sequential_plan

RATES = np.linspace(0.05, 0.95, 19)
NUM_SWEEPS = 2_000


@pytest.fixture(scope="module")
def plan() -> SequentialPlan:
    return sequential_plan(width=0.2, max_trials=150, look_every=10)


@pytest.mark.parametrize(("max_trials", "look_every"), [(150, 10), (50, 5), (150, 1)])
def test_stopped_sweeps_cover(max_trials: int, look_every: int) -> None:
    """Of 2,000 sweeps at each rate from 0.05 to 0.95, at least 94 % hold the rate at each, 95 % on average."""
    plan = sequential_plan(width=0.2, max_trials=max_trials, look_every=look_every)
    rng, coverage = np.random.default_rng(7), []
    for rate in RATES:
        covered = 0
        for outcomes in rng.random((NUM_SWEEPS, max_trials)) < rate:
            result = plan.result(outcomes)
            assert result is not None
            covered += result.interval.low <= rate <= result.interval.high
        coverage.append(covered / NUM_SWEEPS)
    assert np.mean(coverage) >= 0.95
    assert min(coverage) >= 0.94


def test_an_interval_that_is_not_corrected_breaks_its_promise() -> None:
    """Stopping when the 95 % interval after Clopper and Pearson is narrow, it covers 94.0 % at the worst rate."""
    looks = np.arange(10, 151, 10)
    assert 0.939 <= sequential._worst_coverage(looks, sequential._most_rarer(looks, 0.2, 0.95), 0.95) <= 0.941


def test_the_worst_coverage_is_exact() -> None:
    """Every sequence of a small plan, enumerated, gives the coverage that the plan names, and no rate a lesser one."""
    plan = sequential_plan(width=0.6, max_trials=10, look_every=2)
    results = [(sum(outcomes), plan.result(outcomes)) for outcomes in itertools.product([True, False], repeat=10)]
    rates = np.linspace(0.0005, 0.9995, 2_000)
    coverage = np.zeros_like(rates)
    for successes, result in results:
        assert result is not None
        held = (result.interval.low <= rates) & (rates <= result.interval.high)
        coverage += rates**successes * (1 - rates) ** (10 - successes) * held
    assert plan.worst_coverage >= 0.95
    assert plan.worst_coverage <= coverage.min() <= plan.worst_coverage + 0.005
    assert {result.trials for _, result in results if result} > {10}


def test_the_interval_is_as_narrow_as_wanted(plan: SequentialPlan) -> None:
    """Every stop before the last look, and every one that says so, is at an interval within the wanted width."""
    rng = np.random.default_rng(9)
    for rate in (0.02, 0.3, 0.5, 0.97):
        for outcomes in rng.random((200, 150)) < rate:
            result = plan.result(outcomes)
            assert result is not None
            assert result.reached_width == (result.interval.width <= 0.2)
            assert result.reached_width or result.trials == 150


def test_the_interval_is_clopper_pearson_at_the_plans_confidence(plan: SequentialPlan) -> None:
    """SciPy's exact interval at the confidence that the plan worked out is the one reported."""
    result = plan.result(np.arange(150) % 3 == 0)
    assert result is not None
    expected = binomtest(result.successes, result.trials).proportion_ci(plan.interval_confidence, method="exact")
    np.testing.assert_allclose(result.interval, (expected.low, expected.high), atol=1e-12)
    assert plan.interval_confidence > 0.95


def test_it_stops_at_the_first_look_that_is_narrow_enough(plan: SequentialPlan) -> None:
    """One trial before the stop there is no result yet; trials that ran ahead of it change nothing."""
    outcomes = [True] * 150
    result = plan.result(outcomes)
    assert result is not None
    assert result.trials < 50
    assert plan.result(outcomes[: result.trials - 1]) is None
    assert result == plan.result(outcomes[: result.trials])
    assert result == plan.result(outcomes[: result.trials] + [False] * 100)
    assert plan.result([]) is None


def test_trials_that_run_out_say_so() -> None:
    """At most max_trials are used; the interval is then wider than wanted and covers all the same."""
    plan = sequential_plan(width=0.1, max_trials=25, look_every=10)
    result = plan.result([True, False] * 20)
    assert result is not None
    assert (25, False) == (result.trials, result.reached_width)
    assert (10, 20, 25) == plan.looks


def test_certain_rates_take_fewer_trials_than_a_fixed_number(plan: SequentialPlan) -> None:
    """A policy that always fails is known to 0.2 after a fraction of the trials that one at 0.5 takes."""
    failing, even = plan.result([False] * 150), plan.result([True, False] * 75)
    assert failing is not None
    assert even is not None
    assert 4 * failing.trials <= even.trials


@pytest.mark.parametrize(
    "options",
    [
        {"width": 0.0},
        {"width": 1.0},
        {"max_trials": 0},
        {"max_trials": MOST_TRIALS + 1},
        {"look_every": 0},
        {"confidence": 1.0},
    ],
)
def test_a_plan_out_of_range_is_refused(options: dict[str, float]) -> None:
    """Widths, trials, looks and confidences that cannot be raise."""
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        sequential_plan(**{"width": 0.2, "max_trials": 50, **options})
