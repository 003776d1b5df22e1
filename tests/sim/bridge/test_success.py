"""SimplerEnv's rules for success, grasped and moved."""

import numpy as np
import pytest

from magma_ros.sim.bridge.success import Contacts, has_moved, is_on_target, is_success

ON_PLATE = Contacts(frozenset({"plate"}), 0.0, 0.0)
PLATE_M = np.array([-0.1, 0.05, 0.8715])
ABOVE_M = np.array([0.0, 0.0, 0.022])


@pytest.mark.parametrize(
    ("offset_m", "expected"),
    [
        ((0.0, 0.0, 0.022), True),
        ((0.08, 0.0, 0.022), True),
        ((0.082, 0.0, 0.022), False),
        ((0.057, 0.057, 0.022), True),
        ((0.0, 0.0, 0.0419), True),
        ((0.0, 0.0, 0.0421), False),
        ((0.0, 0.0, -0.001), False),
    ],
)
def test_on_target(offset_m, expected):
    """The centre may be 8.08 cm aside and up to 4.2 cm above the plate's centre, and not below it."""
    assert is_on_target(PLATE_M + offset_m, PLATE_M) is expected


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ({"plate"}, True),
        ({"plate", "left_finger_link"}, True),
        ({"plate", "table"}, False),
        ({"left_finger_link", "right_finger_link"}, False),
        (set(), False),
    ],
)
def test_full_success_wants_the_plate_alone(bodies, expected):
    """The carrot must touch the plate and nothing else but the robot."""
    contacts = Contacts(frozenset(bodies), 0.0, 0.0)
    assert is_success(PLATE_M + ABOVE_M, PLATE_M, contacts) is expected


def test_success_needs_the_place_too():
    """Touching the plate from beside it is not success."""
    assert not is_success(PLATE_M + np.array([0.1, 0, 0.022]), PLATE_M, ON_PLATE)


@pytest.mark.parametrize(("forces", "expected"), [((2.0, 2.0), True), ((2.0, 0.0), False), ((0.0, 0.0), False)])
def test_a_grasp_has_two_sides(forces, expected):
    """Grasped means that both pads press."""
    assert Contacts(frozenset(), *forces).grasped is expected


def test_moved():
    """Moved means more than 3 cm in any direction."""
    assert not has_moved(PLATE_M, PLATE_M + np.array([0.0, 0.029, 0.0]))
    assert has_moved(PLATE_M, PLATE_M + np.array([0.0, 0.022, 0.022]))
