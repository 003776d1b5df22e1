"""The arm without physics goes where it is told, no faster than it may, and each deliberate fault is what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.geometry import relative_ee_delta
from magma_ros.sim.kinematic_arm import FAULTS, KinematicArm, Ramp
from magma_ros.types import Action, Pose

START = Pose(np.array([0.3, 0.0, 0.2]), np.array([0.0, 0.5**0.5, 0.0, 0.5**0.5]))
PERIOD_S = 0.01


def made(fault: str = "none", *, lag_s: float = 0.02) -> KinematicArm:
    return KinematicArm(START, lag_s=lag_s, max_speed_m_s=0.2, max_speed_rad_s=1.0, fault=FAULTS[fault])


def moved(arm: KinematicArm) -> np.ndarray:
    """Translation [m] and rotation vector [rad] from the start, shape (6,)."""
    start, end = START, arm.pose
    return np.concatenate(relative_ee_delta(start.position_m, start.quat_xyzw, end.position_m, end.quat_xyzw))


def drive(arm: KinematicArm, twist: list[float], *, duration_s: float) -> np.ndarray:
    """What a twist for `duration_s`, and then a stop, moves the arm by."""
    arm.follow_twist(twist[:3], twist[3:])
    for _ in range(round(duration_s / PERIOD_S)):
        arm.advance(PERIOD_S)
    arm.stop()
    for _ in range(100):
        arm.advance(PERIOD_S)
    return moved(arm)


def test_a_twist_moves_as_far_as_speed_times_time() -> None:
    """The lag delays the motion and takes nothing from it; the rotation is about the base's axes."""
    twist = [0.02, -0.01, 0.03, 0.0, 0.0, 0.1]
    np.testing.assert_allclose(np.array(twist) * 0.5, drive(made(), twist, duration_s=0.5), atol=1e-9)


def test_speed_follows_with_the_lag() -> None:
    """One time constant after a step the speed is 63 % of it, whatever the period of the ticks."""
    arm = made(lag_s=0.1)
    arm.follow_twist([0.1, 0.0, 0.0], [0.0, 0.0, 0.0])
    for _ in range(10):
        before = arm.pose.position_m[0]
        arm.advance(0.01)
    assert 0.1 * (1 - math.exp(-1)) == pytest.approx((arm.pose.position_m[0] - before) / 0.01, rel=1e-9)


def test_no_command_makes_it_faster_than_it_may_go() -> None:
    """A speed of 100 m/s and rad/s is cut to the arm's own, along its direction."""
    far = drive(made(), [100.0, 100.0, 0.0, 0.0, 0.0, 100.0], duration_s=0.5)
    assert np.linalg.norm(far[:3]) < 0.2 * 0.6
    assert far[0] == pytest.approx(far[1])
    assert far[5] < 1.0 * 0.6


def test_a_pose_is_reached_and_kept() -> None:
    """Position and orientation of a target are those of the arm half a second later."""
    arm, target = made(), Pose(START.position_m + 0.02, Rotation.from_euler("z", 0.2).as_quat())
    arm.follow_pose(target)
    for _ in range(300):
        arm.advance(PERIOD_S)
    np.testing.assert_allclose(target.position_m, arm.pose.position_m, atol=1e-6)
    assert (Rotation.from_quat(arm.pose.quat_xyzw) * Rotation.from_quat(target.quat_xyzw).inv()).magnitude() < 1e-6


def test_steps_add_up() -> None:
    """Two displacements before the first is done move the arm by their sum."""
    arm = made()
    for _ in range(2):
        arm.follow_step(Action(np.array([0.01, 0.0, 0.0]), np.array([0.0, 0.0, 0.05]), 1.0, "base_link"))
        arm.advance(PERIOD_S)
    for _ in range(100):
        arm.advance(PERIOD_S)
    np.testing.assert_allclose([0.02, 0, 0, 0, 0, 0.1], moved(arm), atol=1e-6)


@pytest.mark.parametrize(
    ("fault", "twist", "expected"),
    [
        ("swapped_axes", [0.02, 0, 0, 0, 0, 0], [0, 0.02, 0, 0, 0, 0]),
        ("swapped_axes", [0, 0, 0, 0, 0.1, 0], [0, 0, 0, 0.1, 0, 0]),
        ("wrong_sign", [0, 0, 0.02, 0, 0, 0], [0, 0, -0.02, 0, 0, 0]),
        ("wrong_sign", [0, 0, 0, 0, 0, 0.1], [0, 0, 0, 0, 0, -0.1]),
        ("m_as_mm", [0.02, 0, 0, 0, 0, 0.1], [0.00002, 0, 0, 0, 0, 0.1]),
        ("mm_as_m", [0.0001, 0, 0, 0, 0, 0], [0.1, 0, 0, 0, 0, 0]),
        ("rad_as_deg", [0.02, 0, 0, 0, 0, 0.1], [0.02, 0, 0, 0, 0, math.radians(0.1)]),
        ("deg_as_rad", [0, 0, 0, 0, 0, 0.01], [0, 0, 0, 0, 0, math.degrees(0.01)]),
        ("rotated_base", [0.02, 0, 0, 0, 0, 0], [0, 0.02, 0, 0, 0, 0]),
        ("rotated_base", [0, 0.02, 0, 0, 0, 0], [-0.02, 0, 0, 0, 0, 0]),
        ("dead_axis", [0.02, 0.02, 0, 0, 0.1, 0], [0.02, 0, 0, 0, 0, 0]),
    ],
)
def test_each_fault_is_what_its_name_says(fault: str, twist: list[float], expected: list[float]) -> None:
    """One second of a twist moves the arm as the wrong driver would."""
    np.testing.assert_allclose(expected, drive(made(fault), twist, duration_s=1.0), atol=1e-9)


def test_a_ramp_goes_to_its_goal_and_stops_there() -> None:
    """Half the way after half the travel time, and no further than the goal."""
    ramp = Ramp(1.0, rate=2.0)
    ramp.goal = 0.0
    ramp.advance(0.25)
    assert 0.5 == ramp.value
    ramp.advance(10.0)
    assert 0.0 == ramp.value
