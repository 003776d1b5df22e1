"""From the newest messages to one observation; no node in here."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CompressedImage, Image, JointState

from magma_ros.errors import InvalidInputError
from magma_ros.ros.conversions import GripperJoint, proprio_from_messages, seconds
from magma_ros.ros.pictures import picture_from_message
from magma_ros.types import Observation, Proprio, Stop, StopReason


class Observer:
    """Joins a picture with the newest measured state."""

    def __init__(self, *, camera: str, gripper: GripperJoint | None, frame: str, max_proprio_lag_s: float) -> None:
        """See pictures as `camera`, measured by `gripper` (None: nothing measures it), with poses in `frame`.

        Measured state that is more than `max_proprio_lag_s` older than the picture is left out: the safety filter stops
        the arm if it needs it.
        """
        self._camera, self._gripper, self._frame = camera, gripper, frame
        self._max_proprio_lag_s = max_proprio_lag_s
        self._joints: JointState | None = None
        self._ee_pose: PoseStamped | None = None

    def keep(self, message: JointState | PoseStamped) -> None:
        """Remember the newest measured state."""
        if isinstance(message, JointState):
            self._joints = message
        else:
            self._ee_pose = message

    def observe(self, picture: Image | CompressedImage, *, instruction: str) -> Observation | Stop:
        """What the policy sees at `picture`, or why it is not usable."""
        try:
            pixels = picture_from_message(picture)
        except InvalidInputError as error:
            return Stop(StopReason.NO_OBSERVATION, str(error))
        stamp_s = seconds(picture.header.stamp)
        try:
            proprio = self._proprio(stamp_s - self._max_proprio_lag_s)
        except InvalidInputError as error:
            return Stop(StopReason.NO_PROPRIO, str(error))
        return Observation({self._camera: pixels}, instruction, stamp_s, proprio)

    def _proprio(self, since_s: float) -> Proprio | None:
        joints, ee_pose, gripper = self._joints, self._ee_pose, self._gripper
        if joints is None or ee_pose is None or gripper is None:
            return None
        if min(seconds(joints.header.stamp), seconds(ee_pose.header.stamp)) < since_s:
            return None
        return proprio_from_messages(joints, ee_pose, gripper=gripper, frame=self._frame)
