"""Where source and target of a task begin: SimplerEnv's episodes, and layouts that are drawn in the same range.

Demonstrations are drawn in wider ranges: SimplerEnv's layouts are corners and end stops of the range, and a policy
knows least at the edge of what it was shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from typing import Protocol

import numpy as np

from magma_ros.errors import InvalidInputError
from magma_ros.sim.suites import FIRST_DEMO_SEED
from magma_ros.types import FloatArray, frozen_array

SQUARE_CENTRE_M = (-0.16, 0.0)
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
_MIN_GAP_M = 0.004
DEMO_REACH = 1.2
"""How far demonstrations reach from the middle of each range, as a share of what trials do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Start of one trial, in the world frame.

    Attributes:
        source_xy_m: Centre of the source, shape (2,) [m].
        source_yaw_rad: Direction of its x axis, about the vertical [rad].
        target_xy_m: Centre of the target, shape (2,) [m].
    """

    source_xy_m: FloatArray
    source_yaw_rad: float
    target_xy_m: FloatArray

    def __post_init__(self) -> None:
        for name in ("source_xy_m", "target_xy_m"):
            value = frozen_array(getattr(self, name), shape=(2,), dtype=np.float64, name=name)
            object.__setattr__(self, name, value)


class Placement(Protocol):
    """The layouts of one task; a value, so that it can be a key."""

    def __hash__(self) -> int:
        """Equal placements have equal hashes."""
        ...

    def official(self) -> tuple[Layout, ...]:
        """SimplerEnv's episodes in its order: position `episode // num_yaws`, yaw `episode % num_yaws`."""
        ...

    def draw(self, generator: np.random.Generator, *, reach: float) -> Layout:
        """A layout in the same range (`reach` 1.0), or in one that is `reach` times as wide about its middle."""
        ...


@dataclass(frozen=True, slots=True)
class OnSquare:
    """Source and target at two corners of a square around `SQUARE_CENTRE_M`; drawn ones are anywhere in the largest.

    Attributes:
        half_edges_m: Of the squares [m].
        yaws_rad: SimplerEnv's yaws of the source [rad].
        yaw_range_rad: Drawn yaws lie between these two [rad].
        source_half_m: Half length and half width of the source's outline [m].
        target_radius_m: Of a circle around the target's outline [m].
        min_distance_m: Between the two centres, so that fingers fit between and nothing counts as done already [m].
    """

    half_edges_m: tuple[float, ...]
    yaws_rad: tuple[float, ...]
    yaw_range_rad: tuple[float, float]
    source_half_m: tuple[float, float]
    target_radius_m: float
    min_distance_m: float

    def official(self) -> tuple[Layout, ...]:
        """The ordered pairs of each square's corners, each with every yaw."""
        centre = np.array(SQUARE_CENTRE_M)
        pairs = [
            (centre + half * np.array(source), centre + half * np.array(target))
            for half in self.half_edges_m
            for source, target in permutations(_CORNERS, 2)
        ]
        return tuple(Layout(source, yaw, target) for (source, target), yaw in product(pairs, self.yaws_rad))

    def draw(self, generator: np.random.Generator, *, reach: float) -> Layout:
        """Uniform in the square and in yaw, the two apart from each other."""
        half = max(self.half_edges_m) * reach
        while True:
            xy = np.array(SQUARE_CENTRE_M) + generator.uniform(-half, half, size=(2, 2))
            layout = Layout(xy[0], generator.uniform(*_widened(self.yaw_range_rad, reach)), xy[1])
            if np.linalg.norm(xy[0] - xy[1]) >= self.min_distance_m and self._gap_m(layout) >= _MIN_GAP_M:
                return layout

    def _gap_m(self, layout: Layout) -> float:
        """Free table between the source's outline and the target's circle [m]; negative when they overlap."""
        cos, sin = math.cos(layout.source_yaw_rad), math.sin(layout.source_yaw_rad)
        dx, dy = layout.target_xy_m - layout.source_xy_m
        along, across = abs(cos * dx + sin * dy), abs(-sin * dx + cos * dy)
        outside = np.maximum(np.array([along, across]) - self.source_half_m, 0.0)
        return float(np.linalg.norm(outside)) - self.target_radius_m


@dataclass(frozen=True, slots=True)
class InBowl:
    """The source on a small grid, the target where it is fixed.

    Attributes:
        centre_m: Of the grid [m].
        half_span_m: Of the grid, along x and y [m].
        grid: Number of points along x and y.
        yaws_rad: SimplerEnv's yaws of the source; drawn ones lie between the lowest and the highest [rad].
        target_xy_m: [m]
    """

    centre_m: tuple[float, float]
    half_span_m: tuple[float, float]
    grid: tuple[int, int]
    yaws_rad: tuple[float, ...]
    target_xy_m: tuple[float, float]

    def official(self) -> tuple[Layout, ...]:
        """The grid's points, y fastest, each with every yaw."""
        xs, ys = (
            middle + np.linspace(-half, half, count)
            for middle, half, count in zip(self.centre_m, self.half_span_m, self.grid, strict=True)
        )
        target = np.array(self.target_xy_m)
        return tuple(Layout(np.array([x, y]), yaw, target) for x, y, yaw in product(xs, ys, self.yaws_rad))

    def draw(self, generator: np.random.Generator, *, reach: float) -> Layout:
        """Uniform over the grid's rectangle and in yaw."""
        half = np.array(self.half_span_m) * reach
        xy = np.array(self.centre_m) + generator.uniform(-half, half)
        yaw = generator.uniform(*_widened((min(self.yaws_rad), max(self.yaws_rad)), reach))
        return Layout(xy, yaw, np.array(self.target_xy_m))


def layout_of_seed(seed: int, placement: Placement) -> Layout:
    """SimplerEnv's episode `seed` while there is one; beyond, a layout drawn from that seed alone.

    It is drawn in the same range, from `FIRST_DEMO_SEED` on in one `DEMO_REACH` times as wide.

    Raises:
        InvalidInputError: a negative seed.
    """
    if seed < 0:
        raise InvalidInputError(f"seed: expected 0 or more, got {seed}")
    official = _official(placement)
    reach = DEMO_REACH if seed >= FIRST_DEMO_SEED else 1.0
    return official[seed] if seed < len(official) else placement.draw(np.random.default_rng(seed), reach=reach)


def _widened(bounds: tuple[float, float], reach: float) -> tuple[float, float]:
    """`bounds`, `reach` times as far from their middle; the very same for 1.0."""
    margin = (reach - 1.0) * (bounds[1] - bounds[0]) / 2.0
    return bounds[0] - margin, bounds[1] + margin


@cache
def _official(placement: Placement) -> tuple[Layout, ...]:
    return placement.official()
