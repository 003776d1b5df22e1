"""Lags between series: found below a step, and not seen in noise."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.finetune.quality.lag import Correlogram, correlogram, estimate, estimates, reach_for


def smooth(generator: np.random.Generator, num_steps: int) -> np.ndarray:
    """Motion with a memory of a few steps, sampled ten times finer than a step."""
    kernel = np.hanning(60)
    return np.convolve(generator.normal(size=10 * num_steps + 200), kernel / kernel.sum(), "same")


def pair(seed: int, *, lag_steps: float, num_steps: int = 80, noise: float = 0.3) -> Correlogram:
    """A series and a noisy copy of it that comes later."""
    generator = np.random.default_rng(seed)
    fine = smooth(generator, num_steps)
    places = 100 + 10 * np.arange(num_steps)
    earlier, later = fine[places], fine[places - round(10 * lag_steps)]
    later = later + noise * later.std() * generator.normal(size=num_steps)
    curve = correlogram(later[:, None], earlier[:, None], reach=4)
    assert curve is not None
    return curve


@pytest.mark.parametrize("lag_steps", [-2.0, -0.6, 0.0, 0.4, 1.0, 2.5])
def test_lags_of_several_episodes_are_found_below_a_step(lag_steps: float) -> None:
    """To a sixth of a step, with the sign of what comes later."""
    found = estimate([pair(seed, lag_steps=lag_steps) for seed in range(12)])
    assert found is not None
    assert found.steps == pytest.approx(lag_steps, abs=0.17)
    assert found.num_series == 12


def test_a_single_episode_can_be_enough() -> None:
    """Two steps in eighty are certain; the score says so."""
    found = estimate([pair(3, lag_steps=2.0)])
    assert found is not None
    assert found.steps == pytest.approx(2.0, abs=0.3)
    assert found.score > 3.0


def test_one_late_episode_stands_out_among_its_peers() -> None:
    """Seven without a lag and one of two steps: that one alone, with a score that it does not reach by itself."""
    curves = {seed: pair(seed, lag_steps=2.0 if seed == 4 else 0.0, num_steps=45, noise=0.8) for seed in range(8)}
    late = {index: found for index, found in estimates(curves) if found.score >= 3.0}
    assert {4} == set(late)
    assert late[4].steps == pytest.approx(2.0, abs=0.4)
    alone = estimate([curves[4]])
    assert alone is not None
    assert alone.score < late[4].score


def unrelated(seed: int) -> Correlogram:
    """Two series that have nothing to do with each other."""
    generator = np.random.default_rng(seed)
    one, other = (smooth(generator, 60)[100:700:10, None] for _ in range(2))
    curve = correlogram(one, other, reach=5)
    assert curve is not None
    return curve


def test_unrelated_series_have_no_certain_lag() -> None:
    """Of 300 pairs at most three score like a lag; together they have none, and no single one is judged."""
    curves = {seed: unrelated(seed) for seed in range(300)}
    alone = [found for curve in curves.values() if (found := estimate([curve])) is not None]
    assert sum(found.score >= 3.0 and found.correlation >= 0.3 for found in alone) <= 3
    ((index, common),) = estimates(curves)
    assert index is None
    assert common.correlation < 0.1


def test_series_that_say_nothing_give_nothing() -> None:
    """Constant series, and ones that are too short, have no correlogram; none of them has no lag."""
    series = np.random.default_rng(0).normal(size=(40, 1))
    assert correlogram(np.ones((40, 1)), series, reach=4) is None
    assert correlogram(series, np.ones((40, 1)), reach=4) is None
    assert correlogram(series[:15], series[:15], reach=4) is None
    assert estimate([]) is None


def test_vectors_correlate_by_their_direction() -> None:
    """A vector that turns the other way is anticorrelated; scale does not matter."""
    series = np.random.default_rng(1).normal(size=(60, 3))
    curve = correlogram(-5.0 * series, series, reach=3)
    assert curve is not None
    assert curve.values[curve.reach] == pytest.approx(-1.0)


def test_slow_and_fast_robots_are_looked_at_for_as_long() -> None:
    """Five steps at 5 Hz, twelve at 20 Hz: 0.6 s, or a little more."""
    assert (5, 12, 5) == (reach_for(5.0), reach_for(20.0), reach_for(1.0))
