"""What the checks see of an episode: its numbers, measured motion, and how much each picture shows and changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magma_ros import images
from magma_ros.contract import ActionContract
from magma_ros.episodes import Episode
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.types import FloatArray, ImageArray

WIDTH_PX = 96
"""Pictures are compared at this width at most: noise averages out, and a motion of a millimetre is still seen."""
SIGNATURE_PX = 12


@dataclass(frozen=True, slots=True, eq=False)
class CameraTrack:
    """One camera over an episode of T steps, in grey levels 0 … 255.

    Attributes:
        change: Mean absolute difference of each picture to the next, (T-1,).
        brightness, contrast: Mean and standard deviation of each picture, (T,).
        signature: First and last picture, tiny, (2, `SIGNATURE_PX`, `SIGNATURE_PX`).
    """

    change: FloatArray
    brightness: FloatArray
    contrast: FloatArray
    signature: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """An episode of T steps without its pictures, which are reduced to `cameras`.

    Attributes:
        index: Number of the episode.
        contract: Of its dataset.
        actions, ee_position_m, ee_quat_xyzw, gripper_opening, joint_positions_rad, stamps_s: As in `Episode`.
        translation_m, rotation_rad: Measured displacement from each step to the next, base axes, (T-1, 3); no rotation
            where a quaternion is none.
        way_m: Length of that displacement, turns with a lever arm, (T-1,) [m].
        cameras: Name → what it shows.
        instruction, success, operator: As in `Episode`.
        num_interventions: Steps in which a person acted.
    """

    index: int
    contract: ActionContract
    actions: FloatArray
    ee_position_m: FloatArray
    ee_quat_xyzw: FloatArray
    gripper_opening: FloatArray
    joint_positions_rad: FloatArray
    stamps_s: FloatArray
    translation_m: FloatArray
    rotation_rad: FloatArray
    way_m: FloatArray
    cameras: Mapping[str, CameraTrack]
    instruction: str
    success: bool
    operator: str
    num_interventions: int

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def duration_s(self) -> float:
        """From the first to the last capture."""
        return float(self.stamps_s[-1] - self.stamps_s[0])

    def commands_still(self, limits: Thresholds) -> NDArray[np.bool_]:
        """Steps whose action asks for no motion, (T,)."""
        return _is_still(self.actions[:, :3], self.actions[:, 3:6], self.contract.control_period_s, limits)

    def measured_still(self, limits: Thresholds) -> NDArray[np.bool_]:
        """Steps until whose next one nothing moved, (T-1,)."""
        return _is_still(self.translation_m, self.rotation_rad, self.contract.control_period_s, limits)


def track_of(episode: Episode, *, index: int, contract: ActionContract, limits: Thresholds) -> Track:
    """Reduce one episode to what the checks see."""
    translation = np.diff(episode.ee_position_m, axis=0)
    rotation = _turns(episode.ee_quat_xyzw)
    way = np.linalg.norm(translation, axis=1) + limits.lever_m * np.linalg.norm(rotation, axis=1)
    return Track(
        index=index,
        contract=contract,
        actions=episode.actions,
        ee_position_m=episode.ee_position_m,
        ee_quat_xyzw=episode.ee_quat_xyzw,
        gripper_opening=episode.gripper_opening,
        joint_positions_rad=episode.joint_positions_rad,
        stamps_s=episode.stamps_s,
        translation_m=translation,
        rotation_rad=rotation,
        way_m=way,
        cameras=MappingProxyType({name: camera_track(pictures) for name, pictures in episode.images.items()}),
        instruction=episode.instruction,
        success=episode.success,
        operator=episode.operator,
        num_interventions=int(episode.interventions.sum()),
    )


def camera_track(pictures: ImageArray) -> CameraTrack:
    """Reduce the pictures of one camera, (T, height, width, 3)."""
    width_px = min(WIDTH_PX, pictures.shape[2])
    height_px = max(1, round(pictures.shape[1] * width_px / pictures.shape[2]))
    grey = np.stack([_grey(picture, height_px, width_px) for picture in pictures])
    ends = np.stack([_grey(pictures[step], SIGNATURE_PX, SIGNATURE_PX) for step in (0, -1)])
    return CameraTrack(
        change=np.array([np.abs(grey[i + 1] - grey[i]).mean() for i in range(len(grey) - 1)], np.float64),
        brightness=grey.mean(axis=(1, 2), dtype=np.float64),
        contrast=grey.std(axis=(1, 2), dtype=np.float64),
        signature=ends.astype(np.float64),
    )


def stretches(marked: NDArray[np.bool_], *, at_least: float = 1) -> list[tuple[int, int]]:
    """First and last index of each run of True that is `at_least` so long."""
    found, start = [], 0
    for value, run in groupby(marked.tolist()):
        length = len(list(run))
        if value and length >= at_least:
            found.append((start, start + length - 1))
        start += length
    return found


def _grey(picture: ImageArray, height_px: int, width_px: int) -> NDArray[np.float32]:
    small = images.resize(picture, height_px=height_px, width_px=width_px)
    return np.asarray(cv2.cvtColor(small.astype(np.float32), cv2.COLOR_RGB2GRAY))


def _turns(quat_xyzw: FloatArray) -> FloatArray:
    """Rotation vectors from each orientation to the next, (T-1, 3) [rad]."""
    if len(quat_xyzw) < 2 or (np.linalg.norm(quat_xyzw, axis=1) < 1e-6).any():
        return np.zeros((len(quat_xyzw) - 1, 3))
    orientations = Rotation.from_quat(quat_xyzw)
    return np.asarray((orientations[1:] * orientations[:-1].inv()).as_rotvec()).reshape(-1, 3)


def _is_still(
    translation_m: FloatArray, rotation_rad: FloatArray, period_s: float, limits: Thresholds
) -> NDArray[np.bool_]:
    slow = np.linalg.norm(translation_m, axis=1) < limits.still_speed_m_s * period_s
    return np.asarray(slow & (np.linalg.norm(rotation_rad, axis=1) < limits.still_turn_rad_s * period_s))
