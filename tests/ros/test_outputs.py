import sys
from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from moveit_msgs.srv import ServoCommandType
from scipy.spatial.transform import Rotation
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from magma_ros import arms
from magma_ros.arm import EeDeltaOutput, PoseOutput, TwistOutput
from magma_ros.errors import ArmConfigError, KinematicsError
from magma_ros.kinematics import Kinematics
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros.conversions import time_message
from magma_ros.ros.endpoints import LATCHED
from magma_ros.ros.outputs import StepOutput, setpoint_output
from magma_ros.ros.trajectory_output import MAX_JOINT_LAG_RAD
from magma_ros.setpoint import Setpoint
from magma_ros.stops import StopReason
from magma_ros.types import Action, Pose, Proprio
from tests.ros.two_nodes import TwoNodes
from tests.wx250s_urdf import HOME, urdf

SERVICE = "servo/switch_command_type"
ARM = arms.load("wx250s")
JOINTS = ARM.output.joints
KINEMATICS = Kinematics.of_arm(
    ARM, urdf(prefix="wx250s/").replace("wx250s/ee", "wx250s/ee_gripper_link"), joints=JOINTS
)
STAMP = time_message(100.0)


def arm_with(output, **changes):
    return replace(ARM, output=output, **changes)


TWIST = arm_with(TwistOutput(topic="command", frame="wx250s/base_link", command_timeout_s=0.1, command_type_service=""))
POSE = arm_with(PoseOutput(topic="command", frame="wx250s/base_link", command_type_service=""))
TRAJECTORY = arm_with(replace(ARM.output, topic="command", robot_description_topic="robot_description"))
STEPS = arm_with(EeDeltaOutput(topic="command"))


@pytest.fixture
def nodes():
    made = TwoNodes()
    yield made
    made.close()


def setpoint(pose=None, *, speed=(0.0, 0.0, 0.0), stopped=False):
    zero = np.zeros(3)
    moving = any(speed)
    return Setpoint(
        pose or KINEMATICS.pose(HOME),
        np.array(speed),
        zero,
        zero,
        zero,
        done=not moving,
        expired=False,
        waiting=False,
        stopped=stopped,
        dropped_m=0.0,
        dropped_rad=0.0,
    )


def moved(metres, turn=(0.0, 0.0, 0.0)):
    home = KINEMATICS.pose(HOME)
    turned = Rotation.from_rotvec(turn) * Rotation.from_quat(np.array(home.quat_xyzw))
    return Pose(home.position_m + np.array(metres), turned.as_quat())


def measured(joints=HOME, pose=None):
    pose = pose or KINEMATICS.pose(joints)
    return Proprio(pose.position_m, pose.quat_xyzw, 1.0, joints)


def start(nodes, arm, message):
    """The output of `arm`, and what it sends."""
    output = StepOutput(arm, nodes.node) if arm is STEPS else setpoint_output(arm, nodes.node)
    heard = nodes.listen(message, "command")
    nodes.wait(lambda: nodes.node.count_subscribers("command") > 0)
    return output, heard


def describe(nodes, text=None):
    publisher = nodes.peer.create_publisher(String, "robot_description", LATCHED.profile())
    text = urdf(prefix="wx250s/").replace("wx250s/ee", "wx250s/ee_gripper_link") if text is None else text
    publisher.publish(String(data=text))


def described(nodes):
    """A trajectory output that has its URDF, and what it sends."""
    describe(nodes)
    output, heard = start(nodes, TRAJECTORY, JointTrajectory)
    nodes.wait(lambda: output._described is not None)
    return output, heard


@pytest.mark.parametrize(
    ("arm", "message"),
    [(TWIST, TwistStamped), (POSE, PoseStamped), (TRAJECTORY, JointTrajectory), (STEPS, EndEffectorDelta)],
)
def test_publishers_on_the_command_topic_are_counted(nodes, arm, message):
    """Every output counts itself, and a second commander as soon as it is there."""
    output, _ = start(nodes, arm, message)
    nodes.wait(lambda: output.publisher_count() == 1)
    nodes.peer.create_publisher(message, "command", 1)
    nodes.wait(lambda: output.publisher_count() == 2)


def test_an_arm_of_the_other_kind_is_refused(nodes):
    """Steps and setpoints are not mixed up: each constructor names what it expected."""
    with pytest.raises(ArmConfigError, match="expected ee_delta, got 'twist'"):
        StepOutput(TWIST, nodes.node)
    with pytest.raises(ArmConfigError, match=r"expected twist, pose or joint_trajectory, got 'ee_delta'"):
        setpoint_output(STEPS, nodes.node)


def test_a_step_carries_the_pictures_stamp(nodes):
    """An action goes out as it is, in its frame."""
    output, heard = start(nodes, STEPS, EndEffectorDelta)
    output.send(Action([0.01, 0.0, 0.0], [0.0, 0.0, 0.1], 0.5, "base"), stamp=STAMP)
    nodes.wait(lambda: heard)
    got = heard[0]
    assert (STAMP, "base") == (got.header.stamp, got.header.frame_id)
    assert (0.01, 0.1, 0.5) == (got.translation_m.x, got.rotation_vector_rad.z, got.gripper_opening)


# Twists


def test_a_twist_has_the_setpoints_speed_in_the_arms_frame(nodes):
    """On the path nothing is corrected: m/s along the base's axes, stamped now."""
    output, heard = start(nodes, TWIST, TwistStamped)
    assert output.send(setpoint(speed=(0.1, 0.0, -0.05)), stamp=STAMP, measured=measured()) is None
    nodes.wait(lambda: heard)
    got = heard[0]
    assert (STAMP, "wx250s/base_link") == (got.header.stamp, got.header.frame_id)
    assert (0.1, 0.0, -0.05) == (got.twist.linear.x, got.twist.linear.y, got.twist.linear.z)


def follow(nodes, *, blind, scale=0.9, seconds=4.0):
    """How far an arm ends from its setpoint that integrates twists times `scale` [m]; the setpoint moves 10 cm."""
    output, heard = start(nodes, TWIST, TwistStamped)
    home, travelled, rate_hz = KINEMATICS.pose(HOME), np.zeros(3), 50.0
    for tick in range(int(seconds * rate_hz)):
        progress_m = min(0.1 * tick / rate_hz, 0.1)
        goal = setpoint(moved((progress_m, 0.0, 0.0)), speed=(0.1 if progress_m < 0.1 else 0.0, 0.0, 0.0))
        at = Pose(home.position_m + travelled, home.quat_xyzw)
        before = len(heard)
        state = None if blind else measured(pose=at)
        output.send(goal, stamp=time_message(100.0 + tick / rate_hz), measured=state)
        nodes.wait(lambda before=before: len(heard) > before)
        twist = heard[-1].twist.linear
        travelled = travelled + scale / rate_hz * np.array([twist.x, twist.y, twist.z])
    return abs(0.1 - travelled[0])


@pytest.mark.parametrize(("blind", "error_m"), [(True, 0.01), (False, 0.0)])
def test_a_measured_pose_brings_an_arm_that_drifts_back(nodes, blind, error_m):
    """An arm that moves 10 % less than told is 10 mm off after 10 cm of speeds alone, and within 1 mm measured."""
    assert pytest.approx(error_m, abs=0.001) == follow(nodes, blind=blind)


def test_the_last_word_is_zero_speed(nodes):
    """`hold` sends zeros, and forgets the path and the correction that was under way."""
    output, heard = start(nodes, TWIST, TwistStamped)
    output.send(setpoint(speed=(0.1, 0.0, 0.0)), stamp=STAMP, measured=measured())
    output.hold(stamp=STAMP)
    nodes.wait(lambda: len(heard) > 1 or (heard and heard[0].twist.linear.x == 0.0))
    got = heard[-1].twist
    assert [0.0] * 6 == [getattr(part, axis) for part in (got.linear, got.angular) for axis in "xyz"]


def test_a_clock_that_was_set_back_does_not_end_the_twists(nodes):
    """Simulated time that starts again is a new path, not an error in every tick from then on."""
    output, _ = start(nodes, TWIST, TwistStamped)
    output.send(setpoint(), stamp=STAMP, measured=measured())
    assert output.send(setpoint(), stamp=time_message(1.0), measured=measured()) is None


# MoveIt Servo


def serve(nodes, answers):
    """Command types that Servo was asked for; it answers with `answers`, the last one for ever."""
    asked = []

    def answer(request, response):
        asked.append(request.command_type)
        response.success = answers[min(len(asked), len(answers)) - 1]
        return response

    return asked, nodes.peer.create_service(ServoCommandType, SERVICE, answer)


def with_service(arm):
    return replace(arm, output=replace(arm.output, command_type_service=SERVICE))


@pytest.mark.parametrize(
    ("arm", "message", "number"), [(TWIST, TwistStamped, 1), (POSE, PoseStamped, 2)], ids=["twist", "pose"]
)
def test_servo_is_switched_before_anything_moves(nodes, arm, message, number):
    """Without the service, and until it says yes, `send` returns at once with the reason and commands no motion."""
    output, heard = start(nodes, with_service(arm), message)
    stop = output.send(setpoint(speed=(0.1, 0.0, 0.0)), stamp=STAMP, measured=measured())
    assert (StopReason.OUTPUT_NOT_READY, f"{SERVICE} is not there: start MoveIt Servo") == (stop.reason, stop.detail)
    asked, _ = serve(nodes, [True])
    nodes.wait(lambda: output.send(setpoint(speed=(0.1, 0.0, 0.0)), stamp=STAMP, measured=measured()) is None)
    assert [number] == asked
    nodes.wait(lambda: heard and (message is PoseStamped or heard[-1].twist.linear.x == 0.1))


def test_servo_that_was_restarted_is_switched_again(nodes):
    """A server that went away and came back listens to joints again, so it is asked again."""
    output, _ = start(nodes, with_service(TWIST), TwistStamped)
    asked, service = serve(nodes, [True])
    nodes.wait(lambda: output.send(setpoint(), stamp=STAMP, measured=measured()) is None)
    nodes.peer.destroy_service(service)
    nodes.wait(lambda: output.send(setpoint(), stamp=STAMP, measured=measured()) is not None)
    again, _ = serve(nodes, [True])
    nodes.wait(lambda: output.send(setpoint(), stamp=STAMP, measured=measured()) is None)
    assert ([1], [1]) == (asked, again)


def test_a_refusal_of_servo_is_reported_and_asked_again_later(nodes):
    """A no is not asked again in every tick, but a second later."""
    output, _ = start(nodes, with_service(TWIST), TwistStamped)
    asked, _ = serve(nodes, [False, True])
    details = set()

    def is_switched():
        stop = output.send(setpoint(), stamp=STAMP, measured=measured())
        details.add("" if stop is None else stop.detail)
        return stop is None

    nodes.wait(is_switched)
    assert [1, 1] == asked
    assert f"{SERVICE} refused to listen to TWIST commands" in details


def test_missing_moveit_msgs_are_named(nodes, monkeypatch):
    """Where moveit_msgs is not installed, an arm that needs it says so; one without a service does not need it."""
    monkeypatch.setitem(sys.modules, "moveit_msgs.srv", None)
    with pytest.raises(ArmConfigError, match="needs the ROS package moveit_msgs, which is not installed"):
        setpoint_output(with_service(TWIST), nodes.node)
    setpoint_output(TWIST, nodes.node)


# Poses


def test_a_pose_is_the_setpoints(nodes):
    """Position, orientation, frame and stamp; `hold` sends nothing further to reach."""
    output, heard = start(nodes, POSE, PoseStamped)
    output.send(setpoint(moved((0.0, 0.02, 0.0))), stamp=STAMP)
    output.hold(stamp=STAMP)
    output.send(setpoint(moved((0.0, 0.03, 0.0))), stamp=STAMP)
    nodes.wait(lambda: heard and heard[-1].pose.position.y == moved((0.0, 0.03, 0.0)).position_m[1])
    assert ("wx250s/base_link", STAMP) == (heard[-1].header.frame_id, heard[-1].header.stamp)
    assert len(heard) <= 2


# Joint trajectories


def test_a_trajectory_starts_at_the_measured_joints_and_reaches_the_setpoint(nodes):
    """One point each, in the controller's order, no joint faster than it can be, and in the end at the setpoint."""
    output, heard = described(nodes)
    joints = HOME
    for tick in range(60):
        goal = moved((0.0005 * min(tick, 40), 0.0, -0.0002 * min(tick, 40)), (0.0, 0.002 * min(tick, 40), 0.0))
        assert output.send(setpoint(goal), stamp=STAMP, measured=measured(joints)) is None
        nodes.wait(lambda tick=tick: len(heard) > tick)
        told = np.array(heard[-1].points[0].positions)
        assert np.abs(told - joints).max() <= 3.1416 / ARM.command_rate_hz
        joints = told
    assert (list(JOINTS), 1, 0) == (heard[0].joint_names, len(heard[0].points), heard[0].header.stamp.sec)
    assert (0, 100_000_000) == (heard[0].points[0].time_from_start.sec, heard[0].points[0].time_from_start.nanosec)
    assert np.abs(KINEMATICS.error(joints, goal)).max() < 1e-5
    assert np.abs(np.array(heard[0].points[0].positions) - HOME).max() < 1e-3


def test_without_a_urdf_or_measured_joints_nothing_is_sent(nodes):
    """`send` says what is missing: the description at first, then the joints."""
    output, heard = start(nodes, TRAJECTORY, JointTrajectory)
    stop = output.send(setpoint(), stamp=STAMP, measured=measured())
    assert StopReason.OUTPUT_NOT_READY == stop.reason
    assert "robot_description" in stop.detail
    describe(nodes)
    nodes.wait(lambda: output._described is not None)
    assert StopReason.NO_PROPRIO == output.send(setpoint(), stamp=STAMP).reason
    assert output.send(setpoint(), stamp=STAMP, measured=measured()) is None
    nodes.wait(lambda: heard)
    assert len(heard) == 1


def test_a_urdf_of_another_arm_is_reported(nodes):
    """A description without the arm's joints or links keeps the arm still and says what it has."""
    output, _ = start(nodes, TRAJECTORY, JointTrajectory)
    describe(nodes, urdf())
    nodes.wait(lambda: output._urdf)
    stop = output.send(setpoint(), stamp=STAMP, measured=measured())
    assert StopReason.OUTPUT_NOT_READY == stop.reason
    assert "expected one of the URDF, got 'wx250s/base_link'" in stop.detail


def test_a_setpoint_that_is_not_at_the_measured_joints_starts_nothing(nodes):
    """From rest the setpoint must be where URDF and joints say that the end effector is."""
    output, heard = described(nodes)
    stop = output.send(setpoint(moved((0.0, 0.06, 0.0))), stamp=STAMP, measured=measured())
    assert (StopReason.START_JUMP, []) == (stop.reason, heard)
    assert "0.060 m" in stop.detail
    assert output.send(setpoint(moved((0.0, 0.001, 0.0))), stamp=STAMP, measured=measured()) is None


def test_an_arm_that_does_not_follow_is_not_told_to_be_ever_further_away(nodes):
    """A joint too far from its command stops the arm, whatever the end effector does."""
    output, heard = described(nodes)
    assert output.send(setpoint(), stamp=STAMP, measured=measured()) is None
    turned = HOME + np.array([0.0, 0.0, 0.0, 0.0, 0.0, MAX_JOINT_LAG_RAD + 0.01])
    stop = output.send(setpoint(), stamp=STAMP, measured=measured(turned))
    assert StopReason.DISCONTINUITY == stop.reason
    assert "'wrist_rotate'" in stop.detail
    nodes.wait(lambda: heard)
    assert len(heard) == 1


def test_after_a_hold_motion_starts_at_the_measured_joints_again(nodes):
    """An arm that was moved by hand after `hold` is not pulled back to the last command."""
    output, heard = described(nodes)
    output.send(setpoint(), stamp=STAMP, measured=measured())
    output.hold(stamp=STAMP)
    elsewhere = HOME + 0.4
    pose = KINEMATICS.pose(elsewhere)
    assert output.send(setpoint(pose), stamp=STAMP, measured=measured(elsewhere)) is None
    nodes.wait(lambda: len(heard) > 1)
    assert pytest.approx(elsewhere, abs=1e-6) == list(heard[-1].points[0].positions)


def test_missing_pinocchio_is_named(nodes, monkeypatch):
    """Only an arm that takes joint trajectories needs Pinocchio, and it says so when it is brought up."""
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(KinematicsError, match=r"pip install 'magma_ros\[ik\]'"):
        setpoint_output(TRAJECTORY, nodes.node)
    setpoint_output(TWIST, nodes.node)
