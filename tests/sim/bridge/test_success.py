"""SimplerEnv's rules for success, grasped and moved."""

import numpy as np
import pytest

from magma_ros.sim.bridge.success import Contacts, has_moved
from magma_ros.sim.bridge.tasks import CARROT_ON_PLATE, EGGPLANT_IN_BASKET, SPOON_ON_TOWEL, STACK_CUBE


def is_on_target(task, offset_m):
    """The task's rule on its own things, the source this far from the target [m]."""
    halves = np.array(task.source.half_size_m), np.array(task.target.half_size_m)
    return task.rule.is_on_target(np.array(offset_m), *halves)


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
    """The carrot's centre may be 8.08 cm aside and up to 4.2 cm above the plate's centre, and not below it."""
    assert is_on_target(CARROT_ON_PLATE, offset_m) is expected


@pytest.mark.parametrize(
    ("task", "xy_m", "z_m"),
    [(SPOON_ON_TOWEL, 0.0737, 0.038), (STACK_CUBE, 0.0242, 0.05), (EGGPLANT_IN_BASKET, 0.0793, 0.08)],
)
def test_each_task_has_its_own_reach(task, xy_m, z_m):
    """Half the target's diagonal plus 3 mm aside; both half heights plus 2 cm, for the eggplant 6 cm, above."""
    assert is_on_target(task, (xy_m - 2e-4, 0.0, z_m - 2e-4))
    assert not is_on_target(task, (xy_m + 2e-4, 0.0, z_m - 2e-4))
    assert not is_on_target(task, (xy_m - 2e-4, 0.0, z_m + 2e-4))


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ({"plate"}, True),
        ({"plate", "left_finger_link"}, True),
        ({"plate", "table"}, False),
        ({"plate", "distractor_0"}, False),
        ({"left_finger_link", "right_finger_link"}, False),
        (set(), False),
    ],
)
def test_full_success_wants_the_plate_alone(bodies, expected):
    """The carrot must touch the plate and nothing else but the robot."""
    contacts = Contacts(frozenset(bodies), 0.0, 0.0)
    assert CARROT_ON_PLATE.rule.allows(contacts, target="plate") is expected


@pytest.mark.parametrize("task", [SPOON_ON_TOWEL, EGGPLANT_IN_BASKET], ids=lambda task: task.name)
def test_partial_success_does_not_ask_what_is_touched(task):
    """A spoon may lie half on the table, and an eggplant against the sink."""
    assert task.rule.allows(Contacts(frozenset({"table"}), 0.0, 0.0), target=task.target.name)


@pytest.mark.parametrize(("forces", "expected"), [((2.0, 2.0), True), ((2.0, 0.0), False), ((0.0, 0.0), False)])
def test_a_grasp_has_two_sides(forces, expected):
    """Grasped means that both pads press."""
    assert Contacts(frozenset(), *forces).grasped is expected


def test_moved():
    """Moved means more than 3 cm in any direction."""
    start = np.array([-0.1, 0.05, 0.8715])
    assert not has_moved(start, start + np.array([0.0, 0.029, 0.0]))
    assert has_moved(start, start + np.array([0.0, 0.022, 0.022]))
