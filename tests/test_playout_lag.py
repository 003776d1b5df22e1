"""Setpoints for an arm that is behind, blocked or elsewhere: the playout closed on the measured pose."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.geometry import compose_ee_delta, quat_distance_rad
from magma_ros.types import Pose
from tests.playouts import HOME, LIMITS, PERIOD_S, STEP, make_action, make_playout, run

KINDS = ("linear", "angular")


def test_a_blocked_arm_is_not_told_to_be_ever_further_away() -> None:
    """Twenty actions against a wall leave the setpoint at the allowed lag; one back brings it nearer."""
    playout = make_playout()
    down, now_s = make_action(np.array([0, 0, -0.01, 0, 0, 0, 1.0])), 0.0
    for _ in range(20):
        playout.accept(down, now_s)
        setpoint = run(playout, now_s, now_s + PERIOD_S - 0.01, measured=HOME)
        now_s += PERIOD_S
    assert setpoint.waiting
    lag_m = HOME.position_m[2] - setpoint.pose.position_m[2]
    assert lag_m == pytest.approx(LIMITS.max_lag_m, abs=2e-3)
    assert setpoint.dropped_m > 0.1
    up = make_action(np.array([0, 0, 0.01, 0, 0, 0, 1.0]))
    playout.accept(up, now_s)
    back = run(playout, now_s, now_s + 0.45, measured=HOME)
    assert HOME.position_m[2] - back.pose.position_m[2] == pytest.approx(lag_m - 0.01, abs=2e-3)


def test_a_slow_arm_gets_all_of_its_motion() -> None:
    """An arm that follows at a tenth of the speed is waited for, and ends where the action leads."""
    playout = make_playout(dataclasses.replace(LIMITS, expiry_s=10.0))
    playout.accept(make_action(np.array([0.08, 0, 0, 0, 0, 0, 1.0])), 0.0)
    position, waited = HOME.position_m.copy(), False
    for now_s in np.arange(0.0, 5.0, 0.02):
        setpoint = playout.tick(float(now_s), Pose(position, HOME.quat_xyzw))
        waited |= setpoint.waiting
        position = position + np.clip(setpoint.pose.position_m - position, -8e-4, 8e-4)
    assert waited
    assert setpoint.done
    np.testing.assert_allclose(HOME.position_m + np.array([0.08, 0, 0]), setpoint.pose.position_m, atol=1e-6)
    assert setpoint.dropped_m == 0


def test_actions_add_to_the_measured_pose_where_the_contract_says_so() -> None:
    """With reference "measured", the setpoint ends one displacement from the pose given with the action."""
    playout = make_playout(reference="measured")
    measured = Pose(HOME.position_m + 0.004, HOME.quat_xyzw)
    playout.accept(make_action(), 0.0, measured=measured)
    end = run(playout, 0.0, 1.0)
    np.testing.assert_allclose(measured.position_m + STEP[:3], end.pose.position_m, atol=1e-9)
    with pytest.raises(InvalidInputError, match="measured"):
        playout.accept(make_action(), 1.0)


def along(kind: str, size: float) -> np.ndarray:
    """An action's row: to and fro, or about an axis, by `size` times the allowed lag."""
    row = np.array([0, 0, 0, 0, 0, 0, 1.0])
    row[:3] = size * LIMITS.max_lag_m * np.array([0.6, 0.0, -0.8]) * (kind == "linear")
    row[3:6] = size * LIMITS.max_lag_rad * np.array([0.0, 0.6, 0.8]) * (kind == "angular")
    return row


def displaced(kind: str, size: float) -> Pose:
    """HOME, moved like that."""
    return Pose(*compose_ee_delta(HOME.position_m, HOME.quat_xyzw, make_action(along(kind, size))))


def distance(one: Pose, other: Pose) -> tuple[float, float]:
    """In allowed lags: how far apart, and turned by how much."""
    apart_m = float(np.linalg.norm(one.position_m - other.position_m))
    return apart_m / LIMITS.max_lag_m, quat_distance_rad(one.quat_xyzw, other.quat_xyzw) / LIMITS.max_lag_rad


@pytest.mark.parametrize("kind", KINDS)
def test_a_setpoint_waits_at_the_allowed_lag_in_the_action_s_direction(kind: str) -> None:
    """Of an action three lags long an arm that does not move gets one; waiting is not being done."""
    playout = make_playout(dataclasses.replace(LIMITS, expiry_s=10.0))
    playout.accept(make_action(along(kind, 3.0)), 0.0)
    setpoint = run(playout, 0.0, 2.0, measured=HOME)
    assert setpoint.waiting
    assert not setpoint.done
    assert (0.0, 0.0) == (setpoint.dropped_m, setpoint.dropped_rad)
    assert max(distance(displaced(kind, 1.0), setpoint.pose)) <= 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_waiting_setpoint_goes_on_when_the_arm_is_near_again(kind: str) -> None:
    """At nine tenths of the allowed lag it still waits, at seven tenths it goes on; so it does not flutter."""
    playout = make_playout(dataclasses.replace(LIMITS, expiry_s=10.0))
    playout.accept(make_action(along(kind, 3.0)), 0.0)
    run(playout, 0.0, 2.0, measured=HOME)
    assert playout.tick(2.0, displaced(kind, 0.1)).waiting
    assert not playout.tick(2.0, displaced(kind, 0.3)).waiting
    assert not run(playout, 2.0, 2.04, measured=displaced(kind, 0.3)).waiting
    end = run(playout, 2.04, 4.0)
    assert end.done
    assert max(distance(displaced(kind, 3.0), end.pose)) <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_an_arm_that_follows_is_never_waited_for(kind: str) -> None:
    """However long its action, an arm that is half a lag behind gets it in the action's own time."""
    playout = make_playout(dataclasses.replace(LIMITS, expiry_s=10.0), control_period_s=1.0)
    playout.accept(make_action(along(kind, 4.0)), 0.0)
    follower = HOME
    for now_s in np.arange(0.0, 2.02, 0.02):
        setpoint = playout.tick(float(now_s), follower)
        assert not setpoint.waiting
        follower = setpoint.pose
    assert setpoint.done
    assert max(distance(displaced(kind, 4.0), setpoint.pose)) <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_blocked_arm_was_told_is_done_or_dropped(kind: str) -> None:
    """Ten actions of half a lag each: where the goal is and what was dropped are together what was told."""
    playout, now_s = make_playout(), 0.0
    for _ in range(10):
        playout.accept(make_action(along(kind, 0.5)), now_s)
        setpoint = run(playout, now_s, now_s + PERIOD_S - 0.01, measured=HOME)
        now_s += PERIOD_S
    playout.stop(now_s)
    setpoint = run(playout, now_s, now_s + 1.0, measured=HOME)
    assert setpoint.stopped
    assert not setpoint.waiting
    dropped = setpoint.dropped_m / LIMITS.max_lag_m, setpoint.dropped_rad / LIMITS.max_lag_rad
    told = np.add(dropped, distance(HOME, setpoint.pose))
    np.testing.assert_allclose([5.0 * (kind == "linear"), 5.0 * (kind == "angular")], told, atol=2e-2)


def test_a_stopped_setpoint_is_not_moved_by_the_arm() -> None:
    """Somebody pushes the arm away after a stop: the setpoint stays where it stopped."""
    playout = make_playout()
    playout.accept(make_action(along("linear", 0.5)), 0.0)
    playout.tick(0.1, HOME)
    playout.stop(0.1)
    stopped = run(playout, 0.1, 1.0, measured=HOME)
    pushed = run(playout, 1.0, 2.0, measured=displaced("linear", 5.0))
    np.testing.assert_array_equal(stopped.pose.position_m, pushed.pose.position_m)
    assert not pushed.waiting


def test_a_blocked_arm_may_be_led_another_way() -> None:
    """The action that comes while the setpoint waits counts from where it waits, not from the goal it did not reach."""
    playout = make_playout(dataclasses.replace(LIMITS, expiry_s=10.0))
    playout.accept(make_action(along("linear", 3.0)), 0.0)
    run(playout, 0.0, 2.0, measured=HOME)
    playout.accept(make_action(along("linear", -1.0)), 2.0)
    setpoint = playout.tick(2.0)
    assert not setpoint.waiting
    assert setpoint.dropped_m == pytest.approx(2.0 * LIMITS.max_lag_m, abs=1e-4)
    end = run(playout, 2.0, 3.0, measured=HOME)
    assert end.done
    assert max(distance(HOME, end.pose)) <= 1e-2
