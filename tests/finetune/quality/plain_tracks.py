"""Tracks of a few numbers: an arm whose commands and measurements are given row by row, at 5 Hz."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from magma_ros.contract import ActionContract
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track, track_of
from tests.examples import CONTRACT, make_episode

LIMITS = Thresholds()


def rows(translation_m: ArrayLike, *, turn_rad: ArrayLike = 0.0, opening: ArrayLike = 1.0) -> np.ndarray:
    """Actions along x, about z and of the gripper, (T, 7)."""
    x, yaw, gripper = np.broadcast_arrays(
        *(np.asarray(value, np.float64) for value in (translation_m, turn_rad, opening))
    )
    actions = np.zeros((len(x), 7))
    actions[:, 0], actions[:, 5], actions[:, 6] = x, yaw, gripper
    return actions


def plain_track(
    actions: np.ndarray,
    *,
    x_m: ArrayLike = 0.0,
    yaw_rad: ArrayLike = 0.0,
    index: int = 7,
    contract: ActionContract = CONTRACT,
    **changes: object,
) -> Track:
    """What the checks see of an arm that was measured at `x_m`, turned by `yaw_rad` about z; tiny pictures."""
    num_steps = len(actions)
    position, turn = np.zeros((num_steps, 3)), np.zeros((num_steps, 3))
    position[:, 0], turn[:, 2] = x_m, yaw_rad
    values = {
        "images": {"image": np.zeros((num_steps, 2, 2, 3), np.uint8)},
        "actions": actions,
        "ee_position_m": position,
        "ee_quat_xyzw": Rotation.from_rotvec(turn).as_quat(),
        "gripper_opening": np.clip(actions[:, 6], 0.0, 1.0),
        "joint_positions_rad": np.zeros((num_steps, 0)),
    }
    episode = make_episode(num_steps, **{**values, **changes})
    return track_of(episode, index=index, contract=contract, limits=LIMITS)


def travelled(displacements: np.ndarray) -> np.ndarray:
    """Where an arm is before each of the displacements, from zero."""
    return np.concatenate([[0.0], np.cumsum(displacements[:-1])])


def restless(seed: int, *, num_steps: int = 60, size: float = 0.01) -> np.ndarray:
    """Displacements that have nothing to do with each other, of a root mean square of `size`, (T,)."""
    drawn = np.random.default_rng(seed).normal(size=num_steps)
    return size * drawn / np.sqrt((drawn[:-1] ** 2).mean())
