"""Layouts: SimplerEnv's episodes of each task and the seeded ones between them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.sim.bridge.layouts import layout_of_seed
from magma_ros.sim.bridge.tasks import CARROT_ON_PLATE, EGGPLANT_IN_BASKET, SPOON_ON_TOWEL, STACK_CUBE, TASKS
from magma_ros.sim.suites import FIRST_DEMO_SEED

LOW_X, HIGH_X, LOW_Y, HIGH_Y = -0.235, -0.085, -0.075, 0.075
CORNERS = {"a": (-1, -1), "b": (-1, 1), "c": (1, -1), "d": (1, 1)}
PAIRS = ("ab", "ac", "ad", "ba", "bc", "bd", "ca", "cb", "cd", "da", "db", "dc")
"""SimplerEnv's order of (source, target) corners."""
PLATE_RADIUS_M = 0.055


def corner(name, half_edge_m):
    """Of a square around (-0.16, 0), in the world [m]."""
    x, y = CORNERS[name]
    return -0.16 + half_edge_m * x, half_edge_m * y


@pytest.mark.parametrize(
    ("task", "yaws_rad"), [(CARROT_ON_PLATE, (math.pi, -math.pi / 2)), (SPOON_ON_TOWEL, (0.0, math.pi / 2))]
)
@pytest.mark.parametrize("seed", range(24))
def test_official_layouts_of_carrot_and_spoon(task, yaws_rad, seed):
    """Seeds 0 to 23 are SimplerEnv's episodes: pair seed // 2, and one of two yaws by seed % 2."""
    layout = layout_of_seed(seed, task.placement)
    source, target = (corner(name, 0.075) for name in PAIRS[seed // 2])
    assert np.allclose(source, layout.source_xy_m)
    assert np.allclose(target, layout.target_xy_m)
    assert yaws_rad[seed % 2] == layout.source_yaw_rad


@pytest.mark.parametrize("seed", range(24))
def test_official_layouts_of_the_blocks(seed):
    """Seeds 0 to 11 are the pairs of a square of 10 cm, seeds 12 to 23 those of one of 20 cm, all unturned."""
    layout = layout_of_seed(seed, STACK_CUBE.placement)
    source, target = (corner(name, 0.05 if seed < 12 else 0.1) for name in PAIRS[seed % 12])
    assert np.allclose(source, layout.source_xy_m)
    assert np.allclose(target, layout.target_xy_m)
    assert layout.source_yaw_rad == 0.0


@pytest.mark.parametrize("seed", range(24))
def test_official_layouts_of_the_eggplant(seed):
    """Seeds 0 to 23 are eight points in the bowl, each with three yaws; the basket stays where it is."""
    layout = layout_of_seed(seed, EGGPLANT_IN_BASKET.placement)
    point = seed // 3
    expected = (-0.115 + 0.02 * (point // 4), 0.191 + 0.01 * (point % 4))
    assert np.allclose(expected, layout.source_xy_m)
    assert np.allclose((-0.125, 0.025), layout.target_xy_m)
    assert (0.0, math.pi / 4, -math.pi / 4)[seed % 3] == layout.source_yaw_rad


@given(st.integers(min_value=24, max_value=FIRST_DEMO_SEED - 1))
def test_seeded_layouts(seed):
    """Every later seed of a trial is a layout in the same square, repeatable, the carrot clear of the plate."""
    layout, again = (layout_of_seed(seed, CARROT_ON_PLATE.placement) for _ in range(2))
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


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_demonstrations_reach_beyond_the_trials(task):
    """Layouts of demonstrations fill ranges a fifth wider than those of SimplerEnv's episodes, in every direction."""
    official = np.array([_numbers(layout_of_seed(seed, task.placement)) for seed in range(24)])
    drawn = np.array([_numbers(layout_of_seed(FIRST_DEMO_SEED + n, task.placement)) for n in range(400)])
    low, high = official.min(axis=0), official.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    assert (np.abs(drawn - middle) <= 1.2 * half + 1e-9).all()
    moves = half > 0
    assert (drawn.min(axis=0) < low)[moves].all()
    assert (drawn.max(axis=0) > high)[moves].all()


def _numbers(layout):
    yaw_rad = layout.source_yaw_rad if layout.source_yaw_rad < 3.0 else -math.pi  # SimplerEnv's pi of the carrot
    return np.array([*layout.source_xy_m, yaw_rad, *layout.target_xy_m])


@given(st.integers(min_value=24, max_value=FIRST_DEMO_SEED - 1))
def test_seeded_layouts_of_the_other_tasks(seed):
    """Spoon, blocks and eggplant are drawn in their own ranges, source and target apart."""
    spoon, blocks, eggplant = (
        layout_of_seed(seed, task.placement) for task in (SPOON_ON_TOWEL, STACK_CUBE, EGGPLANT_IN_BASKET)
    )
    assert 0.0 <= spoon.source_yaw_rad <= math.pi / 2
    assert np.abs(spoon.source_xy_m - (-0.16, 0.0)).max() <= 0.075
    assert np.linalg.norm(spoon.source_xy_m - spoon.target_xy_m) > 0.0737
    assert np.abs(blocks.source_xy_m - (-0.16, 0.0)).max() <= 0.1
    assert np.linalg.norm(blocks.source_xy_m - blocks.target_xy_m) >= 0.08
    assert (np.abs(eggplant.source_xy_m - (-0.105, 0.206)) <= (0.01, 0.015)).all()
    assert abs(eggplant.source_yaw_rad) <= math.pi / 4


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_negative_seeds_are_refused(task):
    """A negative seed raises."""
    with pytest.raises(InvalidInputError, match="seed"):
        layout_of_seed(-1, task.placement)
