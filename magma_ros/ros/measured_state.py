"""What the robot measures, newest values only: joints, gripper and end effector, from the topics in the arm's file."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from magma_ros.arm import Arm, PoseFromTopic
from magma_ros.errors import ArmConfigError, InvalidInputError, TransformError
from magma_ros.geometry import compose_poses
from magma_ros.ros.conversions import GripperJoint, pose_from_message, positions_from_message, seconds
from magma_ros.ros.endpoints import Qos, Topic
from magma_ros.ros.interface import EE_POSE, JOINTS
from magma_ros.ros.polling import PolledSubscription
from magma_ros.safety import MAX_FUTURE_STAMP_S
from magma_ros.stops import Stop, StopReason
from magma_ros.transforms import TransformTree
from magma_ros.types import Pose, Proprio, StampedPose

FUTURE_STAMP = "future_stamp"
"""Stamped later than now by more than `MAX_FUTURE_STAMP_S`: it would look fresh for ever."""
BAD_JOINTS = "bad_joints"
"""Names and positions that do not belong together, or a joint of this arm that is not finite."""
NO_JOINT_OF_THIS_ARM = "no_joint_of_this_arm"
"""Right in itself, about other joints."""
WRONG_FRAME = "wrong_frame"
"""A pose in another frame than the arm's file says."""
BAD_POSE = "bad_pose"
"""A pose or transform that is not finite or not of unit norm."""
BAD_LINK = "bad_link"
"""A transform that fits in no tree: a cycle, a name of no use, a frame too many."""


class MeasuredState:
    """The newest measured state of one arm, read when asked for; malformed messages are counted and change nothing.

    A joint keeps its newest position whichever message brought it, so several publishers may share a topic. Freshness
    is judged by the capture stamps, per joint and per link of tf.

    Attributes:
        rejected: How many messages were not used, by the reasons at the top of this module; of `/tf`, how many of the
            transforms in them.
    """

    def __init__(self, arm: Arm) -> None:
        """Measure `arm`; nothing is known until its messages come."""
        self.rejected: Counter[str] = Counter()
        self._arm = arm
        self._gripper = GripperJoint(arm.gripper.joint, arm.gripper.closed_position, arm.gripper.open_position)
        self._has_one_joint_topic = arm.gripper.joint_states == arm.topics.joint_states
        self._offset = Pose(
            np.array(arm.frames.pose_ee_in_flange.position_m), np.array(arm.frames.pose_ee_in_flange.quat_xyzw)
        )
        self._joints: dict[str, tuple[float, float]] = {}
        self._ee_pose: StampedPose | None = None
        self._tree = TransformTree()
        self._located: StampedPose | Stop | None = None
        self._latest_refusal = ""
        self._subscriptions: list[PolledSubscription] = []
        self._now_s: Callable[[], float] = lambda: float("inf")

    def subscribe(self, node: Node) -> None:
        """Listen on `node`, whose clock is the one that stamps are compared with from now on.

        Raises:
            ArmConfigError: the pose comes from tf, and tf2_msgs is not installed.
        """
        clock = node.get_clock()
        self.compare_with(lambda: seconds(clock.now().to_msg()))
        self._subscriptions = [PolledSubscription(node, topic, keep) for topic, keep in self.inputs()]

    def inputs(self) -> list[tuple[Topic, Callable[[Any], None]]]:
        """The topics that the arm's file names, each with what takes its messages.

        Raises:
            ArmConfigError: the pose comes from tf, and tf2_msgs is not installed.
        """
        topics = self._arm.topics
        found: list[tuple[Topic, Callable[[Any], None]]] = [
            (replace(JOINTS, name=topics.joint_states), self.keep_joints)
        ]
        if not self._has_one_joint_topic:
            found.append((replace(JOINTS, name=self._arm.gripper.joint_states), self.keep_gripper))
        if isinstance(topics.ee_pose, PoseFromTopic):
            found.append((replace(EE_POSE, name=topics.ee_pose.topic), self.keep_pose))
        else:
            found.append((tf_topic("/tf", latched=False), self.keep_transforms))
            found.append((tf_topic("/tf_static", latched=True), self.keep_static_transforms))
        return found

    def compare_with(self, now_s: Callable[[], float]) -> None:
        """Let `now_s` give the present in the clock of the stamps [s]; until then no stamp is of the future."""
        self._now_s = now_s

    def keep_joints(self, message: JointState) -> None:
        """Remember the arm's joints, and the gripper's where one topic has both."""
        wanted = {*self._arm.home.joints, *([self._gripper.name] if self._has_one_joint_topic else [])}
        self._keep_positions(message, wanted)

    def keep_gripper(self, message: JointState) -> None:
        """Remember the gripper's joint."""
        self._keep_positions(message, {self._gripper.name})

    def keep_pose(self, message: PoseStamped) -> None:
        """Remember the pose of the end effector or the flange."""
        stamp_s, parent = seconds(message.header.stamp), self._arm.topics.ee_pose.parent
        if self._is_of_the_future(stamp_s):
            return
        if message.header.frame_id != parent:
            self._refuse(WRONG_FRAME, f"ee_pose: expected frame {parent!r}, got {message.header.frame_id[:64]!r}")
            return
        self._located = None
        try:
            self._ee_pose = StampedPose(pose_from_message(message.pose), stamp_s)
        except InvalidInputError as error:
            self._refuse(BAD_POSE, str(error))

    def keep_transforms(self, message: Any) -> None:
        """Remember what a tf2_msgs/TFMessage of `/tf` has."""
        self._keep_links(message, static=False)

    def keep_static_transforms(self, message: Any) -> None:
        """Remember what a tf2_msgs/TFMessage of `/tf_static` has."""
        self._keep_links(message, static=True)

    def pose(self) -> StampedPose | None:
        """The newest pose of the end effector in the arm's base frame [m]; None where it is not known."""
        self.read()
        located = self._locate()
        return None if isinstance(located, Stop) else located

    def proprio(self, *, since_s: float) -> Proprio | Stop:
        """All of the measured state, or why it may not be used: something is missing, or measured before `since_s` [s].

        Arm joints are in the order of the arm's file, whatever order the messages have.
        """
        self.read()
        located = self._locate()
        if isinstance(located, Stop):
            return replace(located, detail=located.detail + self._latest_refusal)
        names = (*self._arm.home.joints, self._gripper.name)
        missing = [name for name in names if name not in self._joints]
        if missing:
            return Stop(StopReason.NO_PROPRIO, f"joint_states: expected {missing}, got none yet{self._latest_refusal}")
        stamps = {name: self._joints[name][1] for name in names} | {"ee_pose": located.stamp_s}
        newest_s = self._now_s() + MAX_FUTURE_STAMP_S
        for name, stamp_s in stamps.items():
            if not since_s <= stamp_s <= newest_s:
                behind = f"{since_s - stamp_s:.3f} s older than allowed" if stamp_s < since_s else "of the future"
                return Stop(StopReason.STALE_STATE, f"{name}: the newest value is {behind}{self._latest_refusal}")
        positions = [self._joints[name][0] for name in names]
        return Proprio(
            ee_position_m=located.pose.position_m,
            ee_quat_xyzw=located.pose.quat_xyzw,
            gripper_opening=self._gripper.opening(positions[-1]),
            joint_positions_rad=np.array(positions[:-1]),
        )

    def read(self) -> None:
        """Take in what has come; `pose` and `proprio` do so by themselves."""
        for subscription in self._subscriptions:
            subscription.read()

    def _locate(self) -> StampedPose | Stop:
        """Where the end effector is in the base frame; worked out once for each message about it."""
        if self._located is None:
            self._located = self._locate_afresh()
        return self._located

    def _locate_afresh(self) -> StampedPose | Stop:
        """A flange that is measured instead of the end effector is extended to it."""
        source = self._arm.topics.ee_pose
        if isinstance(source, PoseFromTopic):
            if self._ee_pose is None:
                return Stop(StopReason.NO_PROPRIO, f"{source.topic}: expected a pose, got none yet")
            measured = self._ee_pose
        else:
            try:
                found = self._tree.lookup(source.parent, source.child)
            except TransformError as error:
                return Stop(StopReason.NO_TRANSFORM, str(error))
            if found.stamp_s is None:
                return Stop(StopReason.NO_TRANSFORM, f"{source.child!r}: every link is static, so nothing measures it")
            measured = StampedPose(found.pose, found.stamp_s)
        if source.child == self._arm.frames.end_effector:
            return measured
        return StampedPose(compose_poses(measured.pose, self._offset), measured.stamp_s)

    def _keep_positions(self, message: JointState, wanted: Collection[str]) -> None:
        stamp_s = seconds(message.header.stamp)
        if self._is_of_the_future(stamp_s):
            return
        try:
            found = positions_from_message(message, wanted=wanted)
        except InvalidInputError as error:
            self._refuse(BAD_JOINTS, str(error))
            return
        if not found:
            self._refuse(NO_JOINT_OF_THIS_ARM, f"joint_states: expected some of {sorted(wanted)}, got other joints")
        self._joints |= {name: (position, stamp_s) for name, position in found.items()}

    def _keep_links(self, message: Any, *, static: bool) -> None:
        self._located = None
        for link in message.transforms:
            stamp_s = seconds(link.header.stamp)
            if not static and self._is_of_the_future(stamp_s):
                continue
            try:
                pose = pose_from_message(link.transform)
                self._tree.set(link.header.frame_id, link.child_frame_id, pose, stamp_s=stamp_s, static=static)
            except InvalidInputError as error:
                self._refuse(BAD_POSE, f"tf {link.child_frame_id[:64]!r}: {error}")
            except TransformError as error:
                self._refuse(BAD_LINK, f"tf: {error}")

    def _is_of_the_future(self, stamp_s: float) -> bool:
        ahead_s = stamp_s - self._now_s()
        if ahead_s <= MAX_FUTURE_STAMP_S:
            return False
        self._refuse(FUTURE_STAMP, f"a stamp {ahead_s:.3f} s in the future")
        return True

    def _refuse(self, reason: str, detail: str) -> None:
        self.rejected[reason] += 1
        self._latest_refusal = f"; latest refused: {detail}"


def tf_topic(name: str, *, latched: bool) -> Topic:
    """A topic of tf2 with its quality of service.

    Raises:
        ArmConfigError: tf2_msgs is not installed.
    """
    try:
        message = importlib.import_module("tf2_msgs.msg").TFMessage
    except ImportError as error:
        raise ArmConfigError(
            f"topics.ee_pose.kind: 'tf' needs the ROS package tf2_msgs, which is not installed ({error}); "
            "available without it: 'topic'"
        ) from error
    qos = Qos(reliable=True, latched=latched, depth=100)
    return Topic(name, message, qos, qos, "links between frames; depth 100 as tf2's own listener has it")
