from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros import arms
from magma_ros.errors import InvalidInputError
from magma_ros.gripper import GripperFilter

GRIPPER = replace(arms.load("ur5e").gripper, hysteresis=0.2, dwell_s=0.5)  # closed at 0.7929 rad, open at 0
HALF_RAD = 0.39645


def test_an_opening_becomes_the_joints_position() -> None:
    """Closed, half and open are the positions of the arm's file, and those between them in proportion."""
    for opening, position in ((0.0, 0.7929), (0.5, HALF_RAD), (1.0, 0.0)):
        assert pytest.approx(position) == GripperFilter(GRIPPER).offer(opening, 0.0)


def test_a_change_below_the_hysteresis_is_no_goal() -> None:
    """Noise of the wanted opening is neither a goal nor a suppressed change; a change of just the hysteresis is one."""
    filtered = GripperFilter(GRIPPER)
    filtered.offer(0.5, 0.0)
    assert [None] * 3 == [filtered.offer(0.5 + noise, 1.0) for noise in (0.19, -0.19, 0.0)]
    assert filtered.num_suppressed == 0
    assert filtered.offer(0.7, 1.0) is not None


def test_a_change_that_comes_too_soon_becomes_a_goal_when_the_dwell_is_over() -> None:
    """An opening that had to wait is not lost: the first tick after the dwell returns it, once."""
    filtered = GripperFilter(GRIPPER)
    filtered.offer(1.0, 0.0)
    assert filtered.offer(0.0, 0.1) is None
    assert filtered.num_suppressed == 1
    assert filtered.tick(0.49) is None
    assert pytest.approx(0.7929) == filtered.tick(0.5)
    assert filtered.tick(5.0) is None


def test_of_several_changes_that_wait_the_last_counts() -> None:
    """Chatter within the dwell is one goal or none: what was wanted last, if that is not where the gripper goes."""
    filtered = GripperFilter(GRIPPER)
    filtered.offer(1.0, 0.0)
    filtered.offer(0.0, 0.1)
    filtered.offer(1.0, 0.2)
    assert filtered.tick(1.0) is None
    filtered.offer(0.0, 1.0)
    filtered.offer(1.0, 1.1)
    filtered.offer(0.5, 1.2)
    assert pytest.approx(HALF_RAD) == filtered.tick(2.0)


def test_after_a_reset_the_next_offer_is_a_goal_at_once() -> None:
    """A reset forgets goal, dwell, time and what waited, so that it serves after a clock that was set back."""
    filtered = GripperFilter(GRIPPER)
    filtered.offer(1.0, 100.0)
    filtered.offer(0.0, 100.1)
    filtered.reset()
    assert filtered.tick(1.0) is None
    assert pytest.approx(0.0) == filtered.offer(1.0, 1.0)


@pytest.mark.parametrize("opening", [-0.01, 1.01, math.nan, math.inf])
def test_an_opening_that_is_none_is_refused(opening) -> None:
    """Numbers outside 0 … 1 raise, and what was wanted before stays."""
    filtered = GripperFilter(GRIPPER)
    with pytest.raises(InvalidInputError, match="expected 0"):
        filtered.offer(opening, 0.0)
    assert filtered.tick(1.0) is None


@pytest.mark.parametrize("now_s", [0.9, math.nan])
def test_time_that_runs_backwards_is_refused(now_s) -> None:
    """A clock that was set back raises: the dwell would otherwise last for ever."""
    filtered = GripperFilter(GRIPPER)
    filtered.offer(1.0, 1.0)
    with pytest.raises(InvalidInputError, match="now_s"):
        filtered.tick(now_s)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 0.3)), min_size=1, max_size=60))
def test_goals_keep_hysteresis_and_dwell_and_end_where_it_was_wanted(offers) -> None:
    """Whatever is offered, goals are far enough apart in opening and time, and the gripper ends near the last offer."""
    filtered, now_s, goals = GripperFilter(GRIPPER), 0.0, []
    for opening, gap_s in offers:
        now_s += gap_s
        goals.append((now_s, filtered.offer(opening, now_s)))
    goals.append((now_s + 1.0, filtered.tick(now_s + 1.0)))
    goals = [(at_s, 1.0 - position / 0.7929) for at_s, position in goals if position is not None]
    for (before_s, before), (after_s, after) in itertools.pairwise(goals):
        assert after_s - before_s >= 0.5 - 1e-6
        assert abs(after - before) >= 0.2 - 1e-6
    assert abs(goals[-1][1] - offers[-1][0]) <= 0.2
