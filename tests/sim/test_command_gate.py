import math
from dataclasses import replace

import numpy as np
import pytest

from magma_ros.sim.command_gate import CommandGate
from magma_ros.types import Action
from tests import examples

CONTRACT = replace(examples.CONTRACT, max_translation_m=0.05)


@pytest.fixture
def gate():
    return CommandGate(CONTRACT, max_age_s=0.3)


def action(*, x=0.01, yaw=0.0, gripper=1.0, frame="base_link"):
    return Action(np.array([x, 0.0, 0.0]), np.array([0.0, 0.0, yaw]), gripper, frame)


def test_a_good_command_is_used_once(gate):
    """The next tick gets the command, the one after it none."""
    assert gate.offer(action(), stamp_s=10.0) == ""
    taken, dropped = gate.take(10.2)
    assert (taken.translation_m[0], dropped) == (0.01, "")
    assert gate.take(10.4) == (None, "")


def test_a_newer_command_replaces_the_waiting_one(gate):
    """Only the newest command waits."""
    gate.offer(action(x=0.01), stamp_s=10.0)
    gate.offer(action(x=0.02), stamp_s=10.1)
    assert gate.take(10.2)[0].translation_m[0] == 0.02


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (action(x=math.nan), "non-finite"),
        (action(x=math.inf), "non-finite"),
        (action(gripper=math.nan), "non-finite"),
        (action(frame="camera"), "wrong frame"),
        (action(x=0.051), "too long"),
        (action(yaw=0.51), "too long"),
        (action(gripper=1.01), "gripper"),
        (action(gripper=-0.01), "gripper"),
    ],
)
def test_a_command_that_no_arm_should_follow_is_refused(gate, bad, reason):
    """A refused command says why, and does not take the place of the good one that waits."""
    gate.offer(action(), stamp_s=10.0)
    assert gate.offer(bad, stamp_s=10.1).startswith(reason)
    assert gate.take(10.2)[0].translation_m[0] == 0.01


@pytest.mark.parametrize("stamp_s", [10.0, 9.9])
def test_an_answer_to_the_same_or_an_older_picture_is_refused(gate, stamp_s):
    """A repeated or reordered command is not a second one."""
    gate.offer(action(), stamp_s=10.0)
    gate.take(10.2)
    assert gate.offer(action(), stamp_s=stamp_s).startswith("repeated")


def test_an_answer_to_a_picture_from_before_the_last_motion_is_refused(gate):
    """What was decided before the arm moved would move it twice."""
    gate.offer(action(), stamp_s=10.0)
    gate.take(10.2)
    assert gate.offer(action(), stamp_s=10.1).startswith("outdated")
    assert gate.offer(action(), stamp_s=10.21) == ""


@pytest.mark.parametrize("now_s", [10.31, 9.9])
def test_a_command_of_an_old_or_a_future_picture_is_dropped(gate, now_s):
    """Too late, or stamped after the present: the tick gets nothing and is told why."""
    gate.offer(action(), stamp_s=10.0)
    taken, dropped = gate.take(now_s)
    assert taken is None
    assert dropped.startswith("stale")


def test_clearing_forgets_the_waiting_command(gate):
    """After a reset of the world nothing of before moves it."""
    gate.offer(action(), stamp_s=10.0)
    gate.clear(10.05)
    assert (None, "") == gate.take(10.1)


def test_an_answer_to_a_picture_from_before_the_clearing_is_refused(gate):
    """What a policy saw before the reset says nothing about the world after it; the first picture after it counts."""
    gate.clear(10.1)
    assert gate.offer(action(), stamp_s=10.0).startswith("outdated")
    assert gate.take(10.15) == (None, "")
    assert gate.offer(action(), stamp_s=10.1) == ""
