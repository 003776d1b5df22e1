"""Where points of the arm's base frame are in a camera's picture, as CameraInfo and the arm's file or tf say it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from magma_ros.arm import Arm, CameraTopic
from magma_ros.calibration import CameraInTf, FixedCamera, NotCalibrated
from magma_ros.camera_model import CameraModel
from magma_ros.errors import InvalidInputError, MagmaRosError, TransformError
from magma_ros.ros.camera_info import camera_model
from magma_ros.ros.camera_topics import info_topics
from magma_ros.ros.conversions import pose_from_message, seconds
from magma_ros.ros.measured_state import tf_topic
from magma_ros.ros.polling import PolledSubscription
from magma_ros.transforms import TransformTree
from magma_ros.types import FloatArray, Pose


class CameraGeometry:
    """One camera of an arm; what comes is read when somebody asks."""

    def __init__(self, arm: Arm, camera: CameraTopic) -> None:
        """Nothing has come yet."""
        self._base, self._camera = arm.frames.base, camera
        self._info = info_topics(arm).get(camera.name)
        self._model: CameraModel | MagmaRosError = TransformError(f"camera {camera.name!r}: no CameraInfo came yet")
        self._frame = self._refused = ""
        self._tree = TransformTree()
        self._subscriptions: list[PolledSubscription] = []

    def subscribe(self, node: Node) -> None:
        """Listen on `node` to whatever the calibration names.

        Raises:
            ArmConfigError: it is in tf, and tf2_msgs is not installed.
        """
        if self._info is None:
            return
        topics: list[tuple[Any, Any]] = [(self._info, self.keep_info)]
        if isinstance(self._camera.calibration, CameraInTf):
            topics += [
                (tf_topic(name, latched=static), partial(self.keep_transforms, static=static))
                for name, static in (("/tf", False), ("/tf_static", True))
            ]
        self._subscriptions = [PolledSubscription(node, topic, keep) for topic, keep in topics]

    def keep_info(self, message: CameraInfo) -> None:
        """Remember how the camera projects."""
        self._frame = message.header.frame_id
        try:
            self._model = camera_model(message)
        except InvalidInputError as error:
            self._model = error

    def keep_transforms(self, message: Any, *, static: bool) -> None:
        """Remember what a tf2_msgs/TFMessage has; a link that cannot be used is told when one is missing."""
        for link in message.transforms:
            stamp_s = seconds(link.header.stamp)
            try:
                pose = pose_from_message(link.transform)
                self._tree.set(link.header.frame_id, link.child_frame_id, pose, stamp_s=stamp_s, static=static)
            except (InvalidInputError, TransformError) as error:
                self._refused = f"; latest refused: {error}"

    def project(self, point_m: FloatArray) -> FloatArray:
        """The pixel (2,) (x, y) of a point (3,) of the base frame [m].

        Raises:
            MagmaRosError: the camera is not calibrated, CameraInfo or tf lack something, or the point is behind it.
        """
        model = self.model()
        (pixel,) = model.project(np.asarray(point_m)[None], pose_camera_in_base=self._pose())
        if not np.isfinite(pixel).all():
            raise InvalidInputError(f"camera {self._camera.name!r}: the point is not in front of it")
        return np.asarray(pixel, dtype=np.float64)

    def require_size(self, *, width_px: int, height_px: int) -> None:
        """See that pictures have the size that CameraInfo is about.

        Raises:
            MagmaRosError: they have another, or the camera is not calibrated.
        """
        model = self.model()
        if (model.width_px, model.height_px) != (width_px, height_px):
            raise InvalidInputError(
                f"camera {self._camera.name!r}: expected pictures of {model.width_px} x {model.height_px} px, as its "
                f"CameraInfo says, got {width_px} x {height_px}"
            )

    def model(self) -> CameraModel:
        """How the camera projects.

        Raises:
            MagmaRosError: it is not calibrated, or its CameraInfo is missing or cannot be used.
        """
        for subscription in self._subscriptions:
            subscription.read()
        if isinstance(self._camera.calibration, NotCalibrated):
            raise TransformError(
                f"camera {self._camera.name!r} is not calibrated: its calibration in the arm's file says so"
            )
        if isinstance(self._model, MagmaRosError):
            raise self._model
        return self._model

    def _pose(self) -> Pose:
        calibration = self._camera.calibration
        if isinstance(calibration, FixedCamera):
            return Pose(np.array(calibration.position_m), np.array(calibration.quat_xyzw))
        try:
            return self._tree.lookup(self._base, self._frame).pose
        except TransformError as error:
            raise TransformError(f"{error}{self._refused}") from error
