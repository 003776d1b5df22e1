"""Where points of space are in a calibrated camera's picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from magma_ros.errors import InvalidInputError
from magma_ros.types import FloatArray, Pose, frozen_array

DISTORTION_LENGTHS = (0, 4, 5, 8, 12, 14)
"""Coefficients that OpenCV's models of a lens have; ROS calls two of them plumb_bob (5) and rational_polynomial (8)."""

_NEAREST_M = 1e-3


@dataclass(frozen=True, slots=True)
class CameraModel:
    """A pinhole with a lens, as `sensor_msgs/CameraInfo` describes it.

    Attributes:
        matrix: K, shape (3, 3) [px].
        distortion: D of OpenCV's model, one of `DISTORTION_LENGTHS`.
        width_px, height_px: Size of the pictures that it is about [px].
    """

    matrix: FloatArray
    distortion: FloatArray
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        matrix = frozen_array(self.matrix, shape=(3, 3), dtype=np.float64, name="K")
        distortion = frozen_array(self.distortion, shape=(-1,), dtype=np.float64, name="D")
        if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise InvalidInputError(f"K: expected finite numbers and focal lengths above 0, got {matrix.tolist()}")
        if len(distortion) not in DISTORTION_LENGTHS or not np.isfinite(distortion).all():
            raise InvalidInputError(
                f"D: expected {DISTORTION_LENGTHS} finite coefficients of OpenCV's model, got {distortion.tolist()}"
            )
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "distortion", distortion)

    def project(self, points_m: ArrayLike, *, pose_camera_in_base: Pose) -> FloatArray:
        """Pixels (n, 2) (x, y) of points (n, 3) in the base frame [m]; not a number for what is behind the camera.

        Pixels are counted from the middle of the upper left one, and may lie outside of the picture. The camera's frame
        is optical (REP 103): x right, y down, z forward.
        """
        turned = Rotation.from_quat(pose_camera_in_base.quat_xyzw).inv()
        in_camera = turned.apply(np.asarray(points_m, dtype=np.float64) - pose_camera_in_base.position_m)
        nowhere = np.zeros(3)
        found, _ = cv2.projectPoints(in_camera, nowhere, nowhere, self.matrix, self.distortion)
        pixels = np.array(found, dtype=np.float64).reshape(-1, 2)
        pixels[in_camera[:, 2] < _NEAREST_M] = np.nan
        return pixels

    def rays(self, points_px: ArrayLike) -> FloatArray:
        """Points (n, 3) of the camera's frame that are seen at pixels (n, 2), 1 m in front of it [m]."""
        pixels = np.asarray(points_px, dtype=np.float64).reshape(-1, 1, 2)
        flat = np.asarray(cv2.undistortPoints(pixels, self.matrix, self.distortion), dtype=np.float64).reshape(-1, 2)
        return np.column_stack([flat, np.ones(len(flat))])
