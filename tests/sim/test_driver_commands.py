"""Which commands a stand-in driver follows, for how long, and what a gripper's goal means; no node, no clock."""

from __future__ import annotations

import math

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from std_msgs.msg import Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from magma_ros import arms
from magma_ros.errors import EnvError
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions
from magma_ros.ros.conversions import GripperJoint
from magma_ros.sim.driver_commands import MotionCommands, gripper_topic, motion_message, opening_of
from magma_ros.sim.kinematic_arm import KinematicArm
from magma_ros.types import Action, Pose

START = Pose(np.array([0.3, 0.0, 0.2]), np.array([0.0, 0.0, 0.0, 1.0]))
NOW_S = 1000.0
JOINT = GripperJoint("finger", closed_position=0.8, open_position=0.2)


class Driver:
    """Commands in front of a real arm without physics, whose twists count for a quarter of a second."""

    def __init__(self) -> None:
        self.model = KinematicArm(START, lag_s=0.001, max_speed_m_s=10.0, max_speed_rad_s=10.0)
        self.commands = MotionCommands(self.model, frame="base_link", timeout_s=0.25)

    def moved(self, *, for_s: float = 1.0) -> list[float]:
        """How far the end effector goes from here."""
        before = self.model.pose.position_m
        self.model.advance(for_s)
        return np.round(self.model.pose.position_m - before, 6).tolist()


@pytest.fixture
def driver() -> Driver:
    return Driver()


def twist(x=0.0, *, angular_z=0.0, frame="base_link", age_s=0.0) -> TwistStamped:
    message = TwistStamped()
    message.header.stamp, message.header.frame_id = conversions.time_message(NOW_S - age_s), frame
    message.twist.linear.x, message.twist.angular.z = x, angular_z
    return message


def pose(position=(0.4, 0.1, 0.3), quat_xyzw=(0.0, 0.0, 0.0, 1.0), *, frame="base_link") -> PoseStamped:
    message = PoseStamped()
    message.header.frame_id = frame
    at, turn = message.pose.position, message.pose.orientation
    at.x, at.y, at.z = position
    turn.x, turn.y, turn.z, turn.w = quat_xyzw
    return message


def step(z_m=0.01, *, frame="base_link", opening=1.0) -> EndEffectorDelta:
    action = Action(np.array([0.0, 0.0, z_m]), np.zeros(3), opening, frame)
    return conversions.action_message(action, stamp=conversions.time_message(0.0))


def test_a_twist_is_followed(driver) -> None:
    """Along and about the base's axes, with nothing to complain about."""
    assert driver.commands.take(twist(0.1, angular_z=0.5), NOW_S) == ""
    assert driver.moved() == [0.1, 0.0, 0.0]
    np.testing.assert_allclose(driver.model.pose.quat_xyzw, [0, 0, math.sin(0.25), math.cos(0.25)], atol=1e-9)


@pytest.mark.parametrize(("late_s", "x_m"), [(0.2499, 0.1), (0.25, 0.0), (7.0, 0.0)])
def test_a_twist_counts_until_its_time_out(driver, late_s, x_m) -> None:
    """A quarter of a second after its stamp the arm comes to rest, and not a tenth of a millisecond before."""
    driver.commands.take(twist(0.1), NOW_S)
    driver.commands.expire(NOW_S + late_s)
    assert driver.moved() == [pytest.approx(x_m, abs=1e-4), 0.0, 0.0]


def test_the_time_out_counts_from_the_stamp(driver) -> None:
    """A twist that was on its way for 0.125 s has as much left."""
    driver.commands.take(twist(0.1, age_s=0.125), NOW_S)
    driver.commands.expire(NOW_S + 0.12)
    assert driver.moved()[0] == pytest.approx(0.1, abs=1e-4)
    driver.commands.expire(NOW_S + 0.125)
    driver.model.advance(1.0)
    assert driver.moved() == [0.0, 0.0, 0.0]


def test_the_next_twist_begins_the_time_anew(driver) -> None:
    """Before the first has run out, and after."""
    driver.commands.take(twist(0.1), NOW_S)
    driver.commands.take(twist(0.1, age_s=-0.2), NOW_S + 0.2)
    driver.commands.expire(NOW_S + 0.44)
    assert driver.moved()[0] == pytest.approx(0.1, abs=1e-4)
    driver.commands.expire(NOW_S + 0.46)
    driver.commands.take(twist(0.2, age_s=-0.5), NOW_S + 0.5)
    driver.commands.expire(NOW_S + 0.6)
    assert driver.moved()[0] == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("age_s", [0.25, 9.0, -0.25, -9.0])
def test_a_stamp_a_time_out_away_is_stale(driver, age_s) -> None:
    """In the past and in the future alike; the arm stays where it is."""
    expected = f"stale: expected a stamp within 0.250 s of now, got one of {age_s:.3f} s ago"
    assert driver.commands.take(twist(0.1, age_s=age_s), NOW_S) == expected
    assert driver.moved() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("age_s", [0.2499, -0.2499])
def test_a_stamp_just_within_the_time_out_counts(driver, age_s) -> None:
    """On either side of now."""
    assert driver.commands.take(twist(0.1, age_s=age_s), NOW_S) == ""


@pytest.mark.parametrize("bad", [twist(0.1, frame="tool"), pose(frame="tool"), step(frame="tool")])
def test_a_command_in_another_frame_is_refused(driver, bad) -> None:
    """Of each kind; the refusal says which frame was expected, and nothing moves."""
    assert driver.commands.take(bad, NOW_S) == "wrong frame: expected 'base_link', got 'tool'"
    assert driver.moved() == [0.0, 0.0, 0.0]


def test_a_long_frame_is_cut_in_the_refusal(driver) -> None:
    """A log line stays a line: 64 characters of it."""
    assert driver.commands.take(twist(frame="x" * 1000), NOW_S).endswith(f"got '{'x' * 64}'")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(driver, number) -> None:
    """Wherever they are in a twist, a pose or a step; the gripper of a step counts too."""
    bad = [twist(number), twist(angular_z=number), pose((number, 0.0, 0.0)), pose(quat_xyzw=(0.0, 0.0, number, 1.0))]
    for message in [*bad, step(number), step(opening=number)]:
        assert driver.commands.take(message, NOW_S) == "non-finite: expected finite numbers"
    assert driver.moved() == [0.0, 0.0, 0.0]


def test_a_refused_twist_does_not_prolong_the_last_one(driver) -> None:
    """The arm comes to rest when the twist that it followed has run out."""
    driver.commands.take(twist(0.1), NOW_S)
    driver.commands.take(twist(math.nan, age_s=-0.2), NOW_S + 0.2)
    driver.commands.expire(NOW_S + 0.25)
    assert driver.moved() == [0.0, 0.0, 0.0]


def test_a_pose_is_gone_to_whatever_its_stamp(driver) -> None:
    """A target is followed until the next one: it has no time-out."""
    assert driver.commands.take(pose(), NOW_S) == ""
    driver.commands.expire(NOW_S + 1e6)
    assert driver.moved() == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(("w", "refused"), [(1.0009, False), (1.0011, True), (0.9991, False), (0.9989, True)])
def test_a_quaternion_is_of_unit_norm_to_a_thousandth(driver, w, refused) -> None:
    """A longer or shorter one is no orientation."""
    refusal = driver.commands.take(pose(quat_xyzw=(0.0, 0.0, 0.0, w)), NOW_S)
    assert refusal == (f"quaternion: expected unit norm, got [0.0, 0.0, 0.0, {w}]" if refused else "")
    assert driver.moved() == ([0.0, 0.0, 0.0] if refused else [0.1, 0.1, 0.1])


def test_steps_add_up_from_target_to_target(driver) -> None:
    """Two steps of a centimetre are two centimetres, though the arm had no time for the first."""
    assert [driver.commands.take(step(), NOW_S), driver.commands.take(step(), NOW_S)] == ["", ""]
    assert driver.moved() == [0.0, 0.0, 0.02]


@pytest.mark.parametrize(("position", "expected"), [(0.2, 1.0), (0.8, 0.0), (0.65, 0.25), (0.1, 1.0), (0.9, 0.0)])
def test_a_goal_is_a_position_of_the_grippers_joint(position, expected) -> None:
    """0.8 is closed and 0.2 open, clipped, in whichever message it comes; of a trajectory the last point counts."""
    points = [JointTrajectoryPoint(positions=row) for row in ([0.5], [0.3], [position, 7.0])]
    for goal in (
        Float64(data=position),
        Float64MultiArray(data=[position, 7.0]),
        JointTrajectory(points=points),
    ):
        assert opening_of(goal, JOINT) == pytest.approx(expected)


@pytest.mark.parametrize(("opening", "expected"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0), (-0.5, 0.0), (1.5, 1.0)])
def test_the_goal_of_a_step_is_an_opening_already(opening, expected) -> None:
    """0 closed, 1 open, clipped, whatever the joint's positions are."""
    assert opening_of(step(opening=opening), JOINT) == expected


@pytest.mark.parametrize(
    "goal",
    [
        Float64(data=math.nan),
        Float64(data=math.inf),
        Float64MultiArray(data=[]),
        Float64MultiArray(data=[math.nan]),
        JointTrajectory(),
        JointTrajectory(points=[JointTrajectoryPoint(positions=[0.5]), JointTrajectoryPoint()]),
        JointTrajectory(points=[JointTrajectoryPoint(positions=[-math.inf])]),
        step(opening=math.nan),
    ],
)
def test_a_goal_without_a_finite_number_means_nothing(goal) -> None:
    """Empty, NaN or infinite: the gripper keeps its goal."""
    assert opening_of(goal, JOINT) is None


def test_the_messages_of_an_arm_are_those_of_its_file() -> None:
    """Twists for the stand-in, steps for the simulated arm, whose gripper listens to them as well."""
    assert motion_message(arms.load("stand_in")) is TwistStamped
    assert motion_message(arms.load("sim")) is EndEffectorDelta
    assert gripper_topic(arms.load("stand_in")) == (Float64, "gripper_command")
    assert gripper_topic(arms.load("sim")) == (EndEffectorDelta, "ee_delta")
    assert gripper_topic(arms.load("wx250s")) == (JointTrajectory, "wx250s/gripper_controller/joint_trajectory")


def test_an_output_that_it_cannot_follow_is_refused() -> None:
    """Joint trajectories need joints; the message lists what it can follow."""
    expected = r"^output\.kind: expected one of \['ee_delta', 'pose', 'twist'\], got 'joint_trajectory'$"
    with pytest.raises(EnvError, match=expected):
        motion_message(arms.load("fr3"))


def test_a_gripper_that_takes_actions_is_refused() -> None:
    """The stand-in has no action server."""
    with pytest.raises(EnvError, match=r"^gripper\.command\.kind: expected 'gripper_topic', got 'gripper_command'$"):
        gripper_topic(arms.load("ur5e"))


@pytest.mark.parametrize(("back_s", "moved_m"), [(0.2, 0.1), (0.3, 0.0), (50.0, 0.0), (NOW_S, 0.0)])
def test_a_twist_ends_when_the_clock_is_set_back(driver, back_s, moved_m):
    """It would count until its time comes again; what a late message may have shifted the clock by is none of it."""
    assert not driver.commands.take(twist(0.1), NOW_S)
    driver.commands.expire(NOW_S - back_s)
    assert [moved_m, 0.0, 0.0] == pytest.approx(driver.moved(), abs=1e-3)
