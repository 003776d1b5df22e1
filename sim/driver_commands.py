"""Commands that a stand-in driver takes: the messages of each output, and which of them are followed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from std_msgs.msg import Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from magma_ros.arm import Arm, GripperTopic
from magma_ros.errors import EnvError
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions
from magma_ros.ros.conversions import GripperJoint
from magma_ros.sim.kinematic_arm import KinematicArm
from magma_ros.types import Pose

_QUATERNION_TOLERANCE = 1e-3
_MOTION: Mapping[str, Any] = MappingProxyType(
    {"twist": TwistStamped, "pose": PoseStamped, "ee_delta": EndEffectorDelta}
)
_GRIPPER: Mapping[str, Any] = MappingProxyType(
    {
        "magma_ros/msg/EndEffectorDelta": EndEffectorDelta,
        "std_msgs/msg/Float64": Float64,
        "std_msgs/msg/Float64MultiArray": Float64MultiArray,
        "trajectory_msgs/msg/JointTrajectory": JointTrajectory,
    }
)


def motion_message(arm: Arm) -> Any:
    """The message type of the arm's output.

    Raises:
        EnvError: an output that the stand-in cannot follow.
    """
    if arm.output.kind not in _MOTION:
        raise EnvError(f"output.kind: expected one of {sorted(_MOTION)}, got {arm.output.kind!r}")
    return _MOTION[arm.output.kind]


def gripper_topic(arm: Arm) -> tuple[Any, str]:
    """Message type and topic of the gripper's goals.

    Raises:
        EnvError: a form of command that the stand-in cannot take.
    """
    command = arm.gripper.command
    if not isinstance(command, GripperTopic):
        raise EnvError(f"gripper.command.kind: expected 'gripper_topic', got {command.kind!r}")
    return _GRIPPER[command.message], command.topic


def opening_of(message: Any, joint: GripperJoint) -> float | None:
    """The opening (0 closed … 1 open) that a goal means; None where it holds no finite number."""
    if isinstance(message, EndEffectorDelta):
        position = message.gripper_opening
    elif isinstance(message, JointTrajectory):
        position = next((point.positions[0] for point in message.points[-1:] if point.positions), math.nan)
    elif isinstance(message, Float64MultiArray):
        position = next(iter(message.data), math.nan)
    else:
        position = message.data
    if not math.isfinite(position):
        return None
    return min(1.0, max(0.0, position)) if isinstance(message, EndEffectorDelta) else joint.opening(position)


class MotionCommands:
    """Lets an arm follow the commands that it may, each for as long as it counts."""

    def __init__(self, model: KinematicArm, *, frame: str, timeout_s: float) -> None:
        """For commands in `frame`; a twist counts for `timeout_s` after its stamp [s], as in MoveIt Servo."""
        self._model, self._frame, self._timeout_s = model, frame, timeout_s
        self._expires_s = math.inf

    def take(self, message: Any, now_s: float) -> str:
        """Why the command is refused, a word before a colon; empty when it is followed from now on [s]."""
        if isinstance(message, TwistStamped):
            return self._take_twist(message, now_s)
        return self._take_pose(message) if isinstance(message, PoseStamped) else self._take_step(message)

    def expire(self, now_s: float) -> None:
        """Come to rest if the last twist no longer counts, or if the clock was set back to before it could."""
        is_set_back = self._expires_s - now_s > 2.0 * self._timeout_s and self._expires_s < math.inf
        if now_s >= self._expires_s or is_set_back:
            self._expires_s = math.inf
            self._model.stop()

    def _take_twist(self, message: TwistStamped, now_s: float) -> str:
        linear, angular = _numbers(message.twist.linear, "xyz"), _numbers(message.twist.angular, "xyz")
        age_s = now_s - conversions.seconds(message.header.stamp)
        if not abs(age_s) < self._timeout_s:
            return f"stale: expected a stamp within {self._timeout_s:.3f} s of now, got one of {age_s:.3f} s ago"
        refusal = self._fault(message.header.frame_id, [*linear, *angular])
        if not refusal:
            self._model.follow_twist(linear, angular)
            self._expires_s = now_s - age_s + self._timeout_s
        return refusal

    def _take_pose(self, message: PoseStamped) -> str:
        position, quat = _numbers(message.pose.position, "xyz"), _numbers(message.pose.orientation, "xyzw")
        refusal = self._fault(message.header.frame_id, [*position, *quat])
        if not refusal and abs(np.linalg.norm(quat) - 1.0) > _QUATERNION_TOLERANCE:
            refusal = f"quaternion: expected unit norm, got {quat}"
        if not refusal:
            self._model.follow_pose(Pose(np.array(position), np.array(quat)))
        return refusal

    def _take_step(self, message: EndEffectorDelta) -> str:
        action = conversions.action_from_message(message)
        refusal = self._fault(action.frame, action.to_array().tolist())
        if not refusal:
            self._model.follow_step(action)
        return refusal

    def _fault(self, frame: str, numbers: Sequence[float]) -> str:
        if frame != self._frame:
            return f"wrong frame: expected {self._frame!r}, got {frame[:64]!r}"
        return "" if np.isfinite(numbers).all() else "non-finite: expected finite numbers"


def _numbers(value: Any, names: str) -> list[float]:
    return [getattr(value, name) for name in names]
