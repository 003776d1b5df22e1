"""Measured state as an arm's file says: joint states, and the pose of flange or end effector on a topic or in tf."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, Transform, TransformStamped, Vector3
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState

from magma_ros.arm import Arm, PoseFromTf
from magma_ros.errors import EnvError
from magma_ros.ros import conversions
from magma_ros.ros.conversions import GripperJoint
from magma_ros.ros.endpoints import STATE, Qos
from magma_ros.types import Proprio

_TF = Qos(reliable=True, depth=100)


class StatePublisher:
    """Publishes joints and pose of one arm."""

    def __init__(self, node: Node, arm: Arm, *, gripper: GripperJoint) -> None:
        """Publish on `node`, the gripper as the position of its joint.

        Raises:
            EnvError: the pose goes to tf and tf2_msgs is not installed.
        """
        self._arm, self._gripper = arm, gripper
        topics = sorted({arm.topics.joint_states, arm.gripper.joint_states})
        self._joints = [node.create_publisher(JointState, topic, STATE.profile()) for topic in topics]
        source = arm.topics.ee_pose
        if isinstance(source, PoseFromTf):
            self._tf_message = _tf_message()
            self._pose = node.create_publisher(self._tf_message, "/tf", _TF.profile())
        else:
            self._pose = node.create_publisher(PoseStamped, source.topic, STATE.profile())

    def publish(self, proprio: Proprio, stamp: Time) -> None:
        """Publish `proprio`, whose end effector is in the arm's base frame."""
        arm = self._arm
        state = conversions.joint_state_message(
            proprio, joint_names=arm.home.joints, gripper=self._gripper, stamp=stamp
        )
        for publisher in self._joints:
            publisher.publish(state)
        pose = conversions.pose_message(_of_child(arm, proprio), frame=arm.topics.ee_pose.parent, stamp=stamp)
        self._pose.publish(self._transforms(pose) if isinstance(arm.topics.ee_pose, PoseFromTf) else pose)

    def _transforms(self, message: PoseStamped) -> Any:
        position, child = message.pose.position, self._arm.topics.ee_pose.child
        transform = Transform(
            translation=Vector3(x=position.x, y=position.y, z=position.z), rotation=message.pose.orientation
        )
        stamped = TransformStamped(header=message.header, child_frame_id=child, transform=transform)
        return self._tf_message(transforms=[stamped])


def _of_child(arm: Arm, proprio: Proprio) -> Proprio:
    """`proprio` with the pose of the frame that the arm's file says is measured: end effector, or flange."""
    if arm.topics.ee_pose.child == arm.frames.end_effector:
        return proprio
    offset = arm.frames.pose_ee_in_flange
    flange = Rotation.from_quat(proprio.ee_quat_xyzw) * Rotation.from_quat(offset.quat_xyzw).inv()
    position = proprio.ee_position_m - flange.apply(offset.position_m)
    return Proprio(position, flange.as_quat(), proprio.gripper_opening, proprio.joint_positions_rad)


def _tf_message() -> Any:
    try:
        from tf2_msgs.msg import TFMessage  # noqa: PLC0415  not everywhere, and only arms whose pose is in tf need it
    except ImportError as error:
        raise EnvError(f"topics.ee_pose.kind: expected tf2_msgs for 'tf', it is not installed ({error})") from error
    return TFMessage
