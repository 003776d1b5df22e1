"""Where a camera stands, as an arm's file says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCalibrated:
    """Nothing is known about how a camera projects, or where it stands."""

    kind: Literal["not_calibrated"] = "not_calibrated"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCamera:
    """A camera that stands still, its pose from a hand-eye calibration.

    Attributes:
        info: Topic of its CameraInfo.
        position_m, quat_xyzw: Its optical frame (x right, y down, z forward) in the arm's base frame [m].
    """

    kind: Literal["fixed_camera"] = "fixed_camera"
    info: str
    position_m: tuple[float, float, float]
    quat_xyzw: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInTf:
    """A camera whose optical frame, named by the CameraInfo on the topic `info`, is looked up in tf."""

    kind: Literal["camera_in_tf"] = "camera_in_tf"
    info: str


Calibration = NotCalibrated | FixedCamera | CameraInTf
