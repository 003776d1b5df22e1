"""How an arm is wiggled: the steps of one axis, whether it keeps to what it was told, and where it is at rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.arm import Arm
from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import ContractError, InvalidInputError
from magma_ros.geometry import relative_ee_delta
from magma_ros.safety import SafetyLimits
from magma_ros.types import FloatArray, Pose
from magma_ros.wiggle_report import AXES

CONTROL_RATE_HZ = 5.0
OFF_PATH_SHARE = 0.3
"""An arm that is this share of the motion beside, before or beyond its path is stopped; one that lags is not."""

_WITHIN = 0.999  # a step of exactly the limit is shortened by the rounding of its length


@dataclass(frozen=True, slots=True, kw_only=True)
class WiggleMotion:
    """How far and how fast each axis is moved.

    Attributes:
        distance_m: Along an axis [m].
        angle_deg: About an axis [degrees].
        speed_m_s: On the way along it, as far as the arm's limits allow [m/s].
        speed_deg_s: On the way about it, likewise [degrees/s].
        settle_s: Rest before each measurement [s].
    """

    distance_m: float = 0.02
    angle_deg: float = 5.0
    speed_m_s: float = 0.05
    speed_deg_s: float = 12.5
    settle_s: float = 0.5

    def __post_init__(self) -> None:
        ranges = {"distance_m": 0.1, "angle_deg": 30.0, "speed_m_s": 0.25, "speed_deg_s": 60.0, "settle_s": 10.0}
        for name, most in ranges.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value <= most):
                raise ContractError(f"{name}: expected more than 0 and at most {most}, got {value!r}")

    def displacement(self, axis: str) -> FloatArray:
        """Translation [m] and rotation vector [rad] of one axis, shape (6,)."""
        if axis not in AXES:
            raise ContractError(f"axes: expected some of {AXES}, got {axis!r}")
        index, moved = AXES.index(axis), np.zeros(6)
        moved[index] = self.distance_m if index < 3 else math.radians(self.angle_deg)
        return moved

    def steps(self, displacement: FloatArray, limits: SafetyLimits) -> list[FloatArray]:
        """`displacement` in equal parts, one for each control period, none longer than `limits` allow."""
        longest_m = min(self.speed_m_s / CONTROL_RATE_HZ, _WITHIN * limits.max_translation_step_m)
        widest_rad = min(math.radians(self.speed_deg_s) / CONTROL_RATE_HZ, _WITHIN * limits.max_rotation_step_rad)
        share = max(np.linalg.norm(displacement[:3]) / longest_m, np.linalg.norm(displacement[3:]) / widest_rad)
        count = max(1, math.ceil(share - 1e-9))
        return [displacement / count] * count


def wiggle_contract(arm: Arm, *, leg: int = 0) -> ActionContract:
    """What the numbers of one leg mean: displacements in the arm's base frame, added to the last target.

    Each leg has a contract of its own, by its number, so that a motion node begins it where the arm is measured: what a
    wrong driver made of the leg before is no drift to be corrected.
    """
    return ActionContract(
        embodiment=f"wiggle_{arm.name}_{leg}",
        frame=arm.frames.base,
        rotation_form="rotation_vector",
        gripper_polarity="open_is_one",
        reference="target",
        control_rate_hz=CONTROL_RATE_HZ,
        max_translation_m=arm.limits.max_translation_step_m,
        max_rotation_rad=arm.limits.max_rotation_step_rad,
        cameras=(CameraSpec(arm.topics.cameras[0].name, 1, 1),),
    )


def no_room(arm: Arm, position_m: FloatArray, motion: WiggleMotion, axes: Sequence[str]) -> str:
    """Why the arm cannot be wiggled from here, a sentence for a person; empty when it can."""
    box = arm.limits.workspace
    low, high = np.array(box.min_m), np.array(box.max_m)
    end = position_m + np.sum([motion.displacement(axis)[:3] for axis in axes], axis=0)
    if (position_m >= low).all() and (end <= high).all():
        return ""
    shown = f"the end effector is measured at {position_m.round(4).tolist()} m"
    millimetres = position_m / 1000
    if (millimetres >= low).all() and (millimetres <= high).all():
        return f"{shown}, which is inside the workspace if it is meant in millimetres: ee_pose has the wrong unit"
    return f"{shown}; expected {box.min_m} to {box.max_m} with {motion.distance_m} m to spare above"


def off_path(start: Pose, displacement: FloatArray, measured: Pose) -> bool:
    """Whether `measured` is off the way from `start` by `displacement`, shape (6,), by more than `OFF_PATH_SHARE`.

    Of a turn, where its centre may be wrong, the translation does not count.
    """
    moved = np.concatenate(
        relative_ee_delta(start.position_m, start.quat_xyzw, measured.position_m, measured.quat_xyzw)
    )
    kind = slice(0, 3) if displacement[:3].any() else slice(3, 6)
    way, moved = displacement[kind], moved[kind]
    share = np.clip(moved @ way / (way @ way), 0.0, 1.0)
    return bool(np.linalg.norm(moved - share * way) > OFF_PATH_SHARE * np.linalg.norm(way))


@dataclass(frozen=True, slots=True)
class Rest:
    """Mean pose of several measurements, and how uncertain it is: one standard deviation of the mean [m], [rad]."""

    pose: Pose
    noise_m: float
    noise_rad: float


def rest_of(poses: Sequence[Pose]) -> Rest:
    """Where an arm at rest is, measured several times.

    Raises:
        InvalidInputError: no measurement.
    """
    if not poses:
        raise InvalidInputError("expected at least one measured pose, got none")
    positions = np.array([pose.position_m for pose in poses])
    turns = Rotation.from_quat(np.array([pose.quat_xyzw for pose in poses]))
    mean = turns.mean()
    spread_m = float(np.linalg.norm(positions.std(axis=0)))
    spread_rad = float(np.sqrt(np.mean(np.square((turns * mean.inv()).magnitude()))))
    root = math.sqrt(len(poses))
    return Rest(Pose(positions.mean(axis=0), mean.as_quat()), spread_m / root, spread_rad / root)
