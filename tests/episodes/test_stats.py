"""Statistics of features."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.episodes import stats


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_parts_together_are_the_whole(lengths: list[int], seed: int) -> None:
    """Count, extremes, mean and deviation of parts, merged one by one, are those of all rows at once."""
    draw = np.random.default_rng(seed)
    parts = [draw.normal(draw.normal(), 1.0, (length, 3)) for length in lengths]
    merged = stats.of_column(parts[0])
    for part in parts[1:]:
        merged = stats.merged(merged, stats.of_column(part))
    whole = stats.of_column(np.concatenate(parts))
    assert {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"} == set(merged)
    for key in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(whole[key], merged[key], rtol=1e-9, atol=1e-12)


def test_pictures_are_measured_per_colour_where_white_is_one() -> None:
    """Shape (3, 1, 1), as LeRobot broadcasts it over channels first."""
    pictures = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)
    actual = stats.of_pictures(pictures)
    shares = pictures.reshape(-1, 3) / 255.0
    for key, expected in {
        "min": shares.min(0),
        "max": shares.max(0),
        "mean": shares.mean(0),
        "std": shares.std(0),
    }.items():
        np.testing.assert_allclose(expected.reshape(3, 1, 1), actual[key], atol=1e-12)
    for key, share in stats.QUANTILES.items():
        np.testing.assert_allclose(np.quantile(shares, share, axis=0).reshape(3, 1, 1), actual[key], atol=2 / 255)
    assert actual["count"].tolist() == [5]


def test_long_episodes_of_large_pictures_are_sampled() -> None:
    """A hundred pictures and a quarter of the pixels say as much."""
    pictures = np.zeros((250, 300, 2, 3), np.uint8)
    pictures[:, ::2] = 100
    actual = stats.of_pictures(pictures)
    assert actual["count"].tolist() == [100]
    assert actual["max"].max() == actual["min"].min() == 100 / 255


def test_numbers_keep_their_kind() -> None:
    """Extremes of whole numbers and of marks are whole numbers and marks, as LeRobot has them."""
    assert stats.of_column(np.arange(3))["max"].dtype == np.int64
    assert stats.of_column(np.array([True, False]))["min"].tolist() == [False]
    assert stats.of_column(np.arange(3.0))["mean"].tolist() == [1.0]
