"""`CameraInfo` messages to camera models and back; no node in here."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from magma_ros.camera_model import CameraModel
from magma_ros.errors import InvalidInputError
from magma_ros.types import FloatArray

_LENSES = ("", "plumb_bob", "rational_polynomial")


def camera_info_message(matrix: FloatArray, *, width_px: int, height_px: int, stamp: Time, frame_id: str) -> CameraInfo:
    """The message of a camera without distortion: K, shape (3, 3) [px], and the size of its pictures [px]."""
    projection = np.column_stack([matrix, np.zeros(3)])
    message = CameraInfo(width=width_px, height=height_px, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header = Header(stamp=stamp, frame_id=frame_id)
    message.k, message.r, message.p = matrix.ravel(), np.eye(3).ravel(), projection.ravel()
    return message


def camera_model(message: CameraInfo) -> CameraModel:
    """How the camera of `message` projects, before rectification.

    Raises:
        InvalidInputError: it is not calibrated (K is 0), its numbers cannot be used, or its lens has another model than
            plumb_bob and rational_polynomial.
    """
    if message.distortion_model not in _LENSES:
        raise InvalidInputError(
            f"distortion_model: expected one of {_LENSES[1:]}, got {message.distortion_model[:64]!r}"
        )
    matrix = np.array(message.k, dtype=np.float64).reshape(3, 3)
    distortion = np.array(message.d, dtype=np.float64)
    return CameraModel(matrix, distortion, width_px=int(message.width), height_px=int(message.height))
