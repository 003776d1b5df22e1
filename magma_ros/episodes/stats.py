"""Statistics of features, under LeRobot's keys: of one episode, and of several together."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magma_ros.types import ImageArray

QUANTILES: Mapping[str, float] = MappingProxyType({"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99})
MAX_SAMPLED_PICTURES = 100
"""Pictures of an episode that its statistics are taken from, evenly spaced."""
MAX_SAMPLED_SIDE_PX = 150

FeatureStats = dict[str, NDArray[Any]]
"""Statistic → its value per column, (n,); of pictures per colour, (3, 1, 1), where white is 1. `count` is (1,)."""


def of_column(values: NDArray[Any]) -> FeatureStats:
    """Of the steps of an episode, (T,) or (T, n)."""
    rows = values.reshape(len(values), -1)
    numbers = rows.astype(np.float64)
    quantiles = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(rows)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def of_pictures(pictures: ImageArray) -> FeatureStats:
    """Of the pictures of an episode, (T, height, width, 3): of some of them and of some of their pixels."""
    num_sampled = min(len(pictures), MAX_SAMPLED_PICTURES)
    steps = np.linspace(0, len(pictures) - 1, num_sampled).round().astype(np.int64)
    stride = max(1, max(pictures.shape[1:3]) // MAX_SAMPLED_SIDE_PX)
    pixels = pictures[steps, ::stride, ::stride].reshape(-1, 3)
    of_colours = [_of_levels(np.bincount(pixels[:, colour], minlength=256)) for colour in range(3)]
    stacked = {key: np.array([stats[key] for stats in of_colours]).reshape(3, 1, 1) for key in of_colours[0]}
    return {**stacked, "count": np.array([num_sampled])}


def merged(first: FeatureStats, second: FeatureStats) -> FeatureStats:
    """Of two sets of steps together. Quantiles are means, weighted by the counts: LeRobot's rule, not the truth."""
    counts = first["count"], second["count"]
    total = counts[0] + counts[1]

    def weighted(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((a * counts[0] + b * counts[1]) / total)

    mean = weighted(first["mean"], second["mean"])
    squares = [stats["std"] ** 2 + (stats["mean"] - mean) ** 2 for stats in (first, second)]
    return {
        "min": np.minimum(first["min"], second["min"]),
        "max": np.maximum(first["max"], second["max"]),
        "mean": mean,
        "std": np.sqrt(weighted(*squares)),
        "count": total,
        **{key: weighted(first[key], second[key]) for key in QUANTILES},
    }


def _of_levels(counts: NDArray[np.int64]) -> dict[str, float]:
    """Of pixels of one colour: `counts` says how many there are of each of the 256 levels."""
    levels = np.arange(256) / 255.0
    num_pixels = counts.sum()
    mean = counts @ levels / num_pixels
    present = levels[counts > 0]
    below = np.cumsum(counts)
    quantiles = {key: float(levels[np.searchsorted(below, share * num_pixels)]) for key, share in QUANTILES.items()}
    std = float(np.sqrt(counts @ (levels - mean) ** 2 / num_pixels))
    return {"min": float(present[0]), "max": float(present[-1]), "mean": float(mean), "std": std, **quantiles}
