"""Rotations, and composing an end-effector displacement onto a pose; SciPy does the arithmetic."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from magma_ros.errors import InvalidInputError
from magma_ros.types import Action, FloatArray, Pose


def rpy_to_rotation_vector(rotation_rpy_rad: ArrayLike) -> FloatArray:
    """Axis times angle of fixed-axis roll-pitch-yaw angles, shape (..., 3) [rad], angle at most pi.

    Fixed axes: turn by roll about x, then by pitch about the *original* y, then by yaw about the original z,
    so that R = Rz(yaw) Ry(pitch) Rx(roll).

    Raises:
        InvalidInputError: the last dimension is not 3, or a value is not finite.
    """
    rpy = _finite(rotation_rpy_rad, width=3, name="rotation_rpy_rad")
    vectors = Rotation.from_euler("xyz", rpy.reshape(-1, 3)).as_rotvec()
    return np.asarray(vectors, dtype=np.float64).reshape(rpy.shape)


def rotation_vector_to_rpy(rotation_vector_rad: ArrayLike) -> FloatArray:
    """Fixed-axis roll-pitch-yaw angles of axis times angle, shape (..., 3) [rad], pitch in [-pi/2, pi/2].

    At pitch = ±pi/2 roll and yaw turn about one line and only their sum is determined: the answer is one of the
    many that describe the same rotation.

    Raises:
        InvalidInputError: the last dimension is not 3, or a value is not finite.
    """
    vectors = _finite(rotation_vector_rad, width=3, name="rotation_vector_rad")
    matrix = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    roll = np.arctan2(matrix[:, 2, 1], matrix[:, 2, 2])
    pitch = np.arctan2(-matrix[:, 2, 0], np.hypot(matrix[:, 0, 0], matrix[:, 1, 0]))
    # Yaw from what is left after undoing roll: exact next to the gimbal lock too, where roll alone is noise.
    sin, cos = np.sin(roll), np.cos(roll)
    yaw = np.arctan2(
        sin * matrix[:, 0, 2] - cos * matrix[:, 0, 1],
        cos * matrix[:, 1, 1] - sin * matrix[:, 1, 2],
    )
    return np.stack([roll, pitch, yaw], axis=-1).reshape(vectors.shape)


def compose_ee_delta(position_m: ArrayLike, quat_xyzw: ArrayLike, action: Action) -> tuple[FloatArray, FloatArray]:
    """The pose after `action`: (position [m], shape (3,); quat_xyzw, shape (4,)).

    The pose and the displacement share their axes: p' = p + dp and R' = dR R, a rotation about the end effector itself.

    Raises:
        InvalidInputError: a value is not finite or the quaternion has no direction.
    """
    position = _finite(position_m, width=3, name="position_m")
    turned = Rotation.from_rotvec(_finite(action.rotation_vector_rad, width=3, name="action")) * _rotation(quat_xyzw)
    return position + _finite(action.translation_m, width=3, name="action"), np.asarray(turned.as_quat())


def relative_ee_delta(
    from_position_m: ArrayLike, from_quat_xyzw: ArrayLike, to_position_m: ArrayLike, to_quat_xyzw: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """The displacement between two poses: (translation [m], rotation vector [rad]); undoes `compose_ee_delta`.

    Raises:
        InvalidInputError: a value is not finite or a quaternion has no direction.
    """
    start = _finite(from_position_m, width=3, name="from_position_m")
    end = _finite(to_position_m, width=3, name="to_position_m")
    turn = _rotation(to_quat_xyzw) * _rotation(from_quat_xyzw).inv()
    return end - start, np.asarray(turn.as_rotvec())


def compose_poses(*poses: Pose) -> Pose:
    """The pose of the last frame in the first, from each frame's pose in the one before it; of unit norm.

    As matrices, with SciPy at both ends only: a chain of ten costs little more than one.

    Raises:
        InvalidInputError: no pose, a value is not finite, or a quaternion has no direction.
    """
    if not poses:
        raise InvalidInputError("poses: expected at least one, got none")
    offsets = _finite([pose.position_m for pose in poses], width=3, name="position_m")
    turns = _rotation([pose.quat_xyzw for pose in poses]).as_matrix()
    position, turn = offsets[0], turns[0]
    for next_offset, next_turn in zip(offsets[1:], turns[1:], strict=True):
        position, turn = position + turn @ next_offset, turn @ next_turn
    return Pose(position, Rotation.from_matrix(turn).as_quat())


def quat_distance_rad(first_quat_xyzw: ArrayLike, second_quat_xyzw: ArrayLike) -> float:
    """The angle of the rotation between two orientations, 0 … pi [rad]; q and -q are one orientation."""
    return float((_rotation(first_quat_xyzw) * _rotation(second_quat_xyzw).inv()).magnitude())


def _finite(values: ArrayLike, *, width: int, name: str) -> FloatArray:
    array = np.array(values, dtype=np.float64)  # a copy: SciPy wants to be able to write
    if array.ndim < 1 or array.shape[-1] != width:
        raise InvalidInputError(f"{name}: expected shape (..., {width}), got {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidInputError(f"{name}: expected finite numbers, got {array.tolist()}")
    return array


def _rotation(quat_xyzw: ArrayLike) -> Rotation:
    quat = _finite(quat_xyzw, width=4, name="quat_xyzw")
    if (np.linalg.norm(quat, axis=-1) < 1e-6).any():
        raise InvalidInputError(f"quat_xyzw: expected unit norm, got {quat.tolist()}")
    return Rotation.from_quat(quat)
