from dataclasses import replace

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from magma_ros import arms
from magma_ros.errors import ArmConfigError
from magma_ros.ros import measured_state
from magma_ros.ros.conversions import time_message
from magma_ros.ros.endpoints import Qos
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Proprio
from tests.ros.arm_messages import joint_state, pose_stamped, rest, transform

SIM, UR5E, FR3 = arms.load("sim"), arms.load("ur5e"), arms.load("fr3")


def link_up(measured, arm, *, stamp_s, x=0.4):
    """Base, shoulder (static), and the frame that the arm's file names."""
    source = arm.topics.ee_pose
    static = transform(source.parent, "shoulder", stamp_s=0.0, x=0.1)
    measured.keep_static_transforms(TFMessage(transforms=[static]))
    measured.keep_transforms(TFMessage(transforms=[transform("shoulder", source.child, stamp_s=stamp_s, x=x)]))


@pytest.fixture
def sim():
    return MeasuredState(SIM)


def test_pose_and_joints_of_topics_make_proprio(sim):
    """Joints in the order of the arm's file whatever the message's, the gripper as an opening, the pose as it came."""
    positions = dict(reversed(rest(SIM, gripper=0.25).items())) | {"stranger": float("nan")}
    sim.keep_joints(joint_state(positions, stamp_s=10.0))
    sim.keep_pose(pose_stamped("base_link", stamp_s=10.0))
    seen = sim.proprio(since_s=10.0)
    assert isinstance(seen, Proprio)
    assert list(SIM.home.positions_rad) == seen.joint_positions_rad.tolist()
    assert (0.25, [0.3, 0.0, 0.0]) == (seen.gripper_opening, seen.ee_position_m.tolist())
    assert sim.pose().stamp_s == 10.0


def test_joints_may_come_in_parts(sim):
    """Two publishers that share a topic, one for the arm and one for the gripper, add up."""
    sim.keep_pose(pose_stamped("base_link", stamp_s=10.0))
    sim.keep_joints(joint_state(rest(SIM), stamp_s=10.0))
    sim.keep_joints(joint_state({"gripper": 1.0}, stamp_s=10.0))
    assert sim.proprio(since_s=10.0).gripper_opening == 1.0


def test_a_gripper_with_a_topic_of_its_own_is_read_there_alone():
    """fr3: the finger of the gripper's topic counts, the same name on the arm's topic does not."""
    measured = MeasuredState(FR3)
    link_up(measured, FR3, stamp_s=10.0)
    measured.keep_joints(joint_state(rest(FR3, gripper=0.0), stamp_s=10.0))
    missing = measured.proprio(since_s=10.0)
    assert (missing.reason, "fr3_finger_joint1" in missing.detail) == (StopReason.NO_PROPRIO, True)
    measured.keep_gripper(joint_state({"fr3_finger_joint1": 0.039}, stamp_s=10.0))
    assert measured.proprio(since_s=10.0).gripper_opening == 1.0


def test_a_flange_in_tf_is_extended_to_the_end_effector():
    """ur5e: tf ends at tool0, and the gripper's fixed offset of the arm's file is added."""
    measured = MeasuredState(UR5E)
    assert measured.pose() is None
    link_up(measured, UR5E, stamp_s=10.0)
    np.testing.assert_allclose([0.5, 0.0, 0.156], measured.pose().pose.position_m)
    assert measured.pose().stamp_s == 10.0


def test_an_end_effector_in_tf_is_taken_as_it_is():
    """fr3: the URDF has the end effector, so nothing is added."""
    measured = MeasuredState(FR3)
    link_up(measured, FR3, stamp_s=10.0)
    np.testing.assert_allclose([0.5, 0.0, 0.0], measured.pose().pose.position_m)


def test_missing_tf_is_named():
    """Without a chain from base to tool the stop is NO_TRANSFORM and names both."""
    stop = MeasuredState(UR5E).proprio(since_s=0.0)
    assert stop.reason is StopReason.NO_TRANSFORM
    assert "tool0" in stop.detail
    assert "base_link" in stop.detail


def test_a_pose_that_nothing_measures_is_no_pose():
    """A chain of static links alone is a drawing of an arm, not a measurement."""
    measured = MeasuredState(UR5E)
    measured.keep_static_transforms(TFMessage(transforms=[transform("base_link", "tool0", stamp_s=10.0)]))
    assert measured.pose() is None
    assert measured.proprio(since_s=0.0).reason is StopReason.NO_TRANSFORM


@pytest.mark.parametrize("late", ["pose", "arm", "gripper"])
def test_each_part_that_is_too_old_is_a_stop(sim, late):
    """Pose, one joint of the arm, or the gripper before `since_s` is STALE_STATE, however fresh the rest is."""
    stamps = {"pose": 10.0, "arm": 10.0, "gripper": 10.0} | {late: 9.5}
    sim.keep_pose(pose_stamped("base_link", stamp_s=stamps["pose"]))
    sim.keep_joints(joint_state(rest(SIM), stamp_s=stamps["arm"]))
    sim.keep_joints(joint_state({"gripper": 1.0}, stamp_s=stamps["gripper"]))
    assert isinstance(sim.proprio(since_s=9.5), Proprio)
    assert sim.proprio(since_s=9.6).reason is StopReason.STALE_STATE


def test_nothing_measured_is_a_stop(sim):
    """Before the first messages there is NO_PROPRIO and no pose."""
    assert sim.proprio(since_s=0.0).reason is StopReason.NO_PROPRIO
    assert sim.pose() is None


def spoil_frame(measured):
    measured.keep_pose(pose_stamped("map", stamp_s=10.0))


def spoil_pose(measured):
    measured.keep_pose(pose_stamped("base_link", stamp_s=10.0, x=float("nan")))


def spoil_joints(measured):
    measured.keep_joints(JointState(name=["waist"]))


def spoil_names(measured):
    measured.keep_joints(joint_state({"stranger": 0.0}, stamp_s=10.0))


def spoil_link(measured):
    measured.keep_transforms(TFMessage(transforms=[transform("a", "a", stamp_s=10.0)]))


def spoil_transform(measured):
    measured.keep_transforms(TFMessage(transforms=[transform("a", "b", stamp_s=10.0, x=float("inf"))]))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_frame, measured_state.WRONG_FRAME),
        (spoil_pose, measured_state.BAD_POSE),
        (spoil_joints, measured_state.BAD_JOINTS),
        (spoil_names, measured_state.NO_JOINT_OF_THIS_ARM),
        (spoil_link, measured_state.BAD_LINK),
        (spoil_transform, measured_state.BAD_POSE),
    ],
)
def test_a_malformed_message_is_counted_and_changes_nothing(sim, spoil, reason):
    """Each is one rejection under its reason; what was measured before stays, and what is missing tells of it."""
    assert "latest refused" not in sim.proprio(since_s=0.0).detail
    spoil(sim)
    assert {reason: 1} == dict(sim.rejected)
    assert "latest refused" in sim.proprio(since_s=0.0).detail
    sim.keep_pose(pose_stamped("base_link", stamp_s=10.0))
    sim.keep_joints(joint_state(rest(SIM, gripper=1.0), stamp_s=10.0))
    spoil(sim)
    assert isinstance(sim.proprio(since_s=10.0), Proprio)


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    made = Node("measuring", context=context, start_parameter_services=False)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


def subscriptions(node):
    return {subscription.topic_name: subscription.msg_type for subscription in node.subscriptions}


def test_an_arm_is_listened_to_where_its_file_says(node):
    """fr3: arm, gripper and tf each by their own topic; the simulated arm needs two."""
    MeasuredState(FR3).subscribe(node)
    assert {
        "/joint_states": JointState,
        "/fr3_gripper/joint_states": JointState,
        "/tf": TFMessage,
        "/tf_static": TFMessage,
    } == subscriptions(node)


def test_the_simulated_arm_needs_two_topics(node):
    """One topic has the arm's joints and the gripper's, and the pose is a topic too."""
    MeasuredState(SIM).subscribe(node)
    assert {"/joint_states": JointState, "/ee_pose": PoseStamped} == subscriptions(node)


def test_a_stamp_of_the_future_is_refused(node, sim):
    """A pose, joint or link stamped beyond now would stay fresh after its publisher died: counted, not kept."""
    sim.subscribe(node)
    now_s = node.get_clock().now().nanoseconds / 1e9
    sim.keep_pose(pose_stamped("base_link", stamp_s=now_s + 5.0))
    sim.keep_joints(joint_state(rest(SIM, gripper=1.0), stamp_s=now_s + 5.0))
    sim.keep_transforms(TFMessage(transforms=[transform("a", "b", stamp_s=now_s + 5.0)]))
    assert {measured_state.FUTURE_STAMP: 3} == dict(sim.rejected)
    assert sim.pose() is None


def test_a_clock_that_went_back_makes_what_was_measured_stale(sim):
    """State stamped after the present, because simulated time started over, is not fresh."""
    sim.keep_pose(pose_stamped("base_link", stamp_s=100.0))
    sim.keep_joints(joint_state(rest(SIM, gripper=1.0), stamp_s=100.0))
    now = [100.0]
    sim.compare_with(lambda: now[0])
    assert isinstance(sim.proprio(since_s=99.0), Proprio)
    now[0] = 1.0
    stop = sim.proprio(since_s=0.5)
    assert (stop.reason, "future" in stop.detail) == (StopReason.STALE_STATE, True)


def test_tf_without_its_messages_is_refused_by_name(node, monkeypatch):
    """Where tf2_msgs is not installed, an arm that is measured by tf says what it needs and what works without."""

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(measured_state.importlib, "import_module", missing)
    with pytest.raises(ArmConfigError, match="tf2_msgs"):
        MeasuredState(UR5E).subscribe(node)


def test_what_the_topics_say_arrives_over_the_graph(peer):
    """A pose through /tf and /tf_static, the latter sent before anyone listened, and joints become proprio."""
    arm = replace(UR5E, gripper=replace(UR5E.gripper, joint_states=UR5E.topics.joint_states))
    latched = Qos(reliable=True, latched=True).profile()
    static = peer.node.create_publisher(TFMessage, "/tf_static", latched)
    static.publish(TFMessage(transforms=[transform("base_link", "shoulder", stamp_s=0.0, x=0.1)]))
    measured = MeasuredState(arm)
    measured.subscribe(peer.node)
    moving = peer.node.create_publisher(TFMessage, "/tf", 10)
    joints = peer.node.create_publisher(JointState, arm.topics.joint_states, 10)

    def say():
        now_s = peer.node.get_clock().now().nanoseconds / 1e9
        moving.publish(TFMessage(transforms=[transform("shoulder", "tool0", stamp_s=now_s, x=0.4)]))
        joints.publish(joint_state(rest(arm, gripper=0.0), stamp_s=now_s))

    timer = peer.node.create_timer(0.05, say)
    peer.wait(lambda: not isinstance(measured.proprio(since_s=0.0), Stop), what="measured state")
    timer.cancel()
    np.testing.assert_allclose([0.5, 0.0, 0.156], measured.proprio(since_s=0.0).ee_position_m, atol=1e-12)
    assert not measured.rejected
    assert time_message(measured.pose().stamp_s).sec > 0
