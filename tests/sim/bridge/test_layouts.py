"""Layouts: SimplerEnv's 24 and the seeded ones between them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.sim.bridge.layouts import PLATE_RADIUS_M, layout_of_seed

LOW_X, HIGH_X, LOW_Y, HIGH_Y = -0.235, -0.085, -0.075, 0.075
CORNERS = {"a": (LOW_X, LOW_Y), "b": (LOW_X, HIGH_Y), "c": (HIGH_X, LOW_Y), "d": (HIGH_X, HIGH_Y)}
PAIRS = ("ab", "ac", "ad", "ba", "bc", "bd", "ca", "cb", "cd", "da", "db", "dc")
"""SimplerEnv's order of (carrot, plate) corners."""


@pytest.mark.parametrize("seed", range(24))
def test_official_layouts(seed):
    """Seeds 0 to 23 are SimplerEnv's episodes: pair seed // 2, carrot yaw 180 or -90 degrees by seed % 2."""
    layout = layout_of_seed(seed)
    source, target = (CORNERS[name] for name in PAIRS[seed // 2])
    assert np.allclose(layout.source_xy_m, source)
    assert np.allclose(layout.target_xy_m, target)
    assert layout.source_yaw_rad == (math.pi, -math.pi / 2)[seed % 2]


@given(st.integers(min_value=24, max_value=2**40))
def test_seeded_layouts(seed):
    """Every later seed is its own layout in the same square, repeatable, the carrot clear of the plate."""
    layout, again = layout_of_seed(seed), layout_of_seed(seed)
    assert np.array_equal(layout.source_xy_m, again.source_xy_m)
    for x, y in (layout.source_xy_m, layout.target_xy_m):
        assert LOW_X <= x <= HIGH_X
        assert LOW_Y <= y <= HIGH_Y
    assert -math.pi <= layout.source_yaw_rad <= -math.pi / 2
    assert np.linalg.norm(layout.source_xy_m - layout.target_xy_m) >= 0.09
    along = np.linspace(-0.0575, 0.0575, 24)
    direction = np.array([math.cos(layout.source_yaw_rad), math.sin(layout.source_yaw_rad)])
    axis = layout.source_xy_m + along[:, None] * direction
    assert np.linalg.norm(axis - layout.target_xy_m, axis=1).min() > PLATE_RADIUS_M


def test_negative_seeds_are_refused():
    """A negative seed raises."""
    with pytest.raises(InvalidInputError, match="seed"):
        layout_of_seed(-1)
