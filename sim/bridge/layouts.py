"""Where carrot and plate begin: SimplerEnv's 24 layouts (seeds 0..23) and seeded ones between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from magma_ros.errors import InvalidInputError
from magma_ros.types import FloatArray, frozen_array

NUM_OFFICIAL_LAYOUTS = 24
SQUARE_CENTRE_M = (-0.16, 0.0)
SQUARE_HALF_EDGE_M = 0.075
SOURCE_YAWS_RAD = (math.pi, -math.pi / 2)
"""SimplerEnv's two carrot yaws; seeded ones lie in the quarter turn between -pi (the same as pi) and -pi/2."""
MIN_CENTRE_DISTANCE_M = 0.09
CARROT_HALF_SIZE_M = (0.0575, 0.016, 0.019)
PLATE_RADIUS_M = 0.055
PLATE_HALF_HEIGHT_M = 0.003
_MIN_GAP_M = 0.004


@dataclass(frozen=True, slots=True)
class Layout:
    """Start of one trial, in the world frame.

    Attributes:
        source_xy_m: Centre of the carrot, shape (2,) [m].
        source_yaw_rad: Direction from its stem to its tip, about the vertical [rad].
        target_xy_m: Centre of the plate, shape (2,) [m].
    """

    source_xy_m: FloatArray
    source_yaw_rad: float
    target_xy_m: FloatArray

    def __post_init__(self) -> None:
        for name in ("source_xy_m", "target_xy_m"):
            value = frozen_array(getattr(self, name), shape=(2,), dtype=np.float64, name=name)
            object.__setattr__(self, name, value)


def layout_of_seed(seed: int) -> Layout:
    """SimplerEnv's episode `seed` for 0..23; beyond, a layout drawn in the same square from that seed alone.

    Raises:
        InvalidInputError: a negative seed.
    """
    if seed < 0:
        raise InvalidInputError(f"seed: expected 0 or more, got {seed}")
    return official_layout(seed) if seed < NUM_OFFICIAL_LAYOUTS else _drawn_layout(seed)


def official_layout(episode: int) -> Layout:
    """Episode 0..23 of PutCarrotOnPlateInScene: position `episode // 2`, yaw `episode % 2`.

    Source: SimplerEnv's grid order, the ordered pairs of the square's corners.
    """
    centre, half = np.array(SQUARE_CENTRE_M), SQUARE_HALF_EDGE_M
    corners = [centre + half * np.array(c) for c in ((-1, -1), (-1, 1), (1, -1), (1, 1))]
    source, target = list(permutations(corners, 2))[episode // len(SOURCE_YAWS_RAD)]
    return Layout(source, SOURCE_YAWS_RAD[episode % len(SOURCE_YAWS_RAD)], target)


def _drawn_layout(seed: int) -> Layout:
    generator = np.random.default_rng(seed)
    while True:
        xy = np.array(SQUARE_CENTRE_M) + generator.uniform(-SQUARE_HALF_EDGE_M, SQUARE_HALF_EDGE_M, size=(2, 2))
        layout = Layout(xy[0], generator.uniform(-math.pi, -math.pi / 2), xy[1])
        if np.linalg.norm(xy[0] - xy[1]) >= MIN_CENTRE_DISTANCE_M and _gap_m(layout) >= _MIN_GAP_M:
            return layout


def _gap_m(layout: Layout) -> float:
    """Free table between the carrot's outline and the plate's rim [m]; negative when they overlap."""
    cos, sin = math.cos(layout.source_yaw_rad), math.sin(layout.source_yaw_rad)
    dx, dy = layout.target_xy_m - layout.source_xy_m
    along, across = abs(cos * dx + sin * dy), abs(-sin * dx + cos * dy)
    outside = np.maximum(np.array([along, across]) - CARROT_HALF_SIZE_M[:2], 0.0)
    return float(np.linalg.norm(outside)) - PLATE_RADIUS_M
