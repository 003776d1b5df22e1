"""Messages of an arm at rest, for tests that feed measured state without a graph."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped
from sensor_msgs.msg import JointState

from magma_ros.arm import Arm
from magma_ros.ros.conversions import time_message
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.pictures import image_message


def joint_state(positions: dict[str, float], *, stamp_s: float) -> JointState:
    message = JointState(name=list(positions), position=list(positions.values()))
    message.header.stamp = time_message(stamp_s)
    return message


def pose_stamped(frame: str, *, stamp_s: float, x: float = 0.3) -> PoseStamped:
    message = PoseStamped()
    message.header.frame_id, message.header.stamp = frame, time_message(stamp_s)
    message.pose.position.x = x
    return message


def transform(parent: str, child: str, *, stamp_s: float, x: float = 0.0) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, time_message(stamp_s)
    message.transform.translation.x = x
    return message


def rest(arm: Arm, *, gripper: float | None = None) -> dict[str, float]:
    """Positions of the arm's joints at home, and of the gripper where it is given."""
    joints = dict(zip(arm.home.joints, arm.home.positions_rad, strict=True))
    return joints if gripper is None else joints | {arm.gripper.joint: gripper}


def measured_state(arm: Arm, *, stamp_s: float) -> MeasuredState:
    """Of an arm whose pose and joints come by topic, measured once."""
    measured = MeasuredState(arm)
    measured.keep_joints(joint_state(rest(arm, gripper=0.5), stamp_s=stamp_s))
    measured.keep_pose(pose_stamped(arm.frames.base, stamp_s=stamp_s))
    return measured


def picture(stamp_s: float, *, shade: int = 9):
    pixels = np.full((4, 6, 3), shade, np.uint8)
    return image_message(pixels, stamp=time_message(stamp_s), frame_id="camera")
