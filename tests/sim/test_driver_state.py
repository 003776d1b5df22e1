"""What a stand-in driver publishes of the measured arm; its publishers are made up, the messages are real."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import JointState

from magma_ros import arms
from magma_ros.arm import Arm
from magma_ros.errors import EnvError
from magma_ros.ros import conversions
from magma_ros.ros.conversions import GripperJoint
from magma_ros.sim.driver_state import StatePublisher
from magma_ros.types import Proprio

STAMP = conversions.time_message(12.5)
QUARTER_Z = [0.0, 0.0, 0.5**0.5, 0.5**0.5]
PROPRIO = Proprio([0.3, 0.1, 0.2], QUARTER_Z, 0.25, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


class Node:
    """Keeps what each publisher is, and what is published by topic."""

    def __init__(self) -> None:
        self.offered: dict[str, tuple[Any, Any]] = {}
        self.sent: dict[str, list[Any]] = {}

    def create_publisher(self, message: Any, topic: str, profile: Any) -> Publisher:
        self.offered[topic] = message, profile
        return Publisher(self.sent.setdefault(topic, []))


class Publisher:
    def __init__(self, sent: list[Any]) -> None:
        self.publish = sent.append


def changed(name: str = "stand_in", **changes: Any) -> Arm:
    """An arm of ours; keys such as `topics__joint_states` change its file."""
    document = arms.load(name).to_dict()
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for key in parents:
            place = place[key]
        place[last] = value
    return arms.from_dict(document)


def published(arm: Arm, proprio: Proprio = PROPRIO) -> Node:
    node, gripper = Node(), GripperJoint("finger", closed_position=0.8, open_position=0.0)
    StatePublisher(node, arm, gripper=gripper).publish(proprio, STAMP)
    return node


def numbers(position: Any, turn: Any) -> list[float]:
    return [position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w]


def test_joints_come_in_the_order_of_home_with_the_gripper_last() -> None:
    """A quarter open, from 0.8 closed to 0 open, is 0.6; stamped, and sent once."""
    (message,) = published(changed()).sent["joint_states"]
    assert list(message.name) == ["joint_1", "joint_2", "joint_3", "joint_4", "joint_5", "joint_6", "finger"]
    np.testing.assert_allclose(message.position, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6], atol=1e-12)
    assert message.header.stamp == STAMP


def test_a_gripper_with_a_topic_of_its_own_is_on_both() -> None:
    """Arm and gripper are in each, so that either reader finds what it wants."""
    node = published(changed(gripper__joint_states="gripper/joint_states"))
    assert node.offered.keys() == {"joint_states", "gripper/joint_states", "ee_pose"}
    assert node.sent["joint_states"] == node.sent["gripper/joint_states"]
    assert len(node.sent["joint_states"]) == 1


def test_the_end_effector_is_published_as_it_is_measured() -> None:
    """Where the file says that the end effector is measured: in the parent's frame, without an offset."""
    (message,) = published(changed(topics__ee_pose__parent="base_link")).sent["ee_pose"]
    np.testing.assert_allclose(
        numbers(message.pose.position, message.pose.orientation), [0.3, 0.1, 0.2, *QUARTER_Z], atol=1e-12
    )
    assert (message.header.frame_id, message.header.stamp) == ("base_link", STAMP)


def test_the_flange_is_behind_the_end_effector_along_its_own_axis() -> None:
    """10 cm along x of a tool that is turned by 90 degrees about z are 10 cm along the base's y."""
    (message,) = published(changed(topics__ee_pose__child="flange")).sent["ee_pose"]
    np.testing.assert_allclose(
        numbers(message.pose.position, message.pose.orientation), [0.3, 0.0, 0.2, *QUARTER_Z], atol=1e-12
    )


def test_a_turned_tool_is_turned_back() -> None:
    """Tool and flange a quarter turn about z apart: the flange is not turned, the offset is along its axes."""
    arm = changed(topics__ee_pose__child="flange", frames__pose_ee_in_flange__quat_xyzw=QUARTER_Z)
    (message,) = published(arm).sent["ee_pose"]
    np.testing.assert_allclose(
        numbers(message.pose.position, message.pose.orientation), [0.2, 0.1, 0.2, 0.0, 0.0, 0.0, 1.0], atol=1e-12
    )


def test_a_pose_in_tf_is_a_transform_to_the_child() -> None:
    """On /tf, which is in no namespace; the flange's for an arm whose file names the flange."""
    tree = {"kind": "tf", "parent": "base_link", "child": "flange"}
    node = published(changed(topics__ee_pose=tree))
    ((stamped,),) = (message.transforms for message in node.sent["/tf"])
    assert (stamped.header.frame_id, stamped.child_frame_id, stamped.header.stamp) == ("base_link", "flange", STAMP)
    transform = stamped.transform
    np.testing.assert_allclose(
        numbers(transform.translation, transform.rotation), [0.3, 0.0, 0.2, *QUARTER_Z], atol=1e-12
    )
    assert node.offered.keys() == {"joint_states", "/tf"}
    assert node.offered["/tf"][1].depth == 100


def test_measured_state_is_offered_reliably() -> None:
    """So that readers of both kinds connect; the newest sample replaces the one before."""
    offered = published(changed()).offered
    assert (offered["joint_states"][0], offered["ee_pose"][0]) == (JointState, PoseStamped)
    for _, profile in offered.values():
        assert (profile.reliability, profile.depth) == (ReliabilityPolicy.RELIABLE, 1)


def test_without_tf2_msgs_only_an_arm_in_tf_is_refused(monkeypatch) -> None:
    """The message says what the file asks for and what is missing."""
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    assert published(changed()).sent["ee_pose"]
    tree = {"kind": "tf", "parent": "base_link", "child": "ee"}
    with pytest.raises(EnvError, match=r"^topics\.ee_pose\.kind: expected tf2_msgs for 'tf', it is not installed \("):
        published(changed(topics__ee_pose=tree))
