"""Invented episodes whose camera sees the arm move, and faults to plant into any episode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.contract import ActionContract
from magma_ros.episodes import Episode
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.report import judge
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track, track_of
from tests.model.random_checkpoints import CONTRACT

SIDE_PX = 64
LIMITS = Thresholds()


def reaching(seed: int, *, num_steps: int = 60, noise_levels: float = 1.0) -> Episode:
    """A hand that goes from one random place to the next, grips, rests for a moment, and a noisy camera above it.

    The arm does exactly what it is told, within the same step.
    """
    generator = np.random.default_rng(seed)
    actions = _commands(generator, num_steps)
    positions = np.array([0.3, 0.0, 0.15]) + np.cumsum(np.vstack([np.zeros(3), actions[:-1, :3]]), axis=0)
    turns = [Rotation.from_rotvec(vector) for vector in actions[:-1, 3:6]]
    orientations = [Rotation.identity()]
    for turn in turns:
        orientations.append(turn * orientations[-1])
    opening = np.convolve(np.concatenate([[actions[0, 6]] * 2, actions[:, 6]]), np.full(3, 1 / 3), "valid")
    return Episode(
        images={"image": pictures_of(positions, opening, generator, noise_levels)},
        actions=actions,
        ee_position_m=positions,
        ee_quat_xyzw=np.stack([orientation.as_quat() for orientation in orientations]),
        gripper_opening=opening,
        joint_positions_rad=positions @ generator.normal(size=(3, 6)) + 0.5,
        stamps_s=10.0 + 0.2 * np.arange(num_steps),
        instruction=("put the carrot on the plate", "stack the green block")[seed % 2],
        seed=seed,
        success=True,
    )


def _commands(generator: np.random.Generator, num_steps: int) -> np.ndarray:
    """Sweeps of a few steps each, with a gripper that changes between some of them and short rests."""
    rows: list[np.ndarray] = []
    opening = 1.0
    while len(rows) < num_steps:
        length, direction = int(generator.integers(3, 8)), generator.normal(size=6)
        bell = np.sin(np.pi * (np.arange(length) + 0.5) / length)[:, None]
        move = bell * direction * np.repeat([0.014, 0.06], 3)
        move[:, 3:] = np.clip(move[:, 3:], -0.2, 0.2)
        move[:, :3] = np.clip(move[:, :3], -0.028, 0.028)
        rows += list(np.column_stack([move, np.full(length, opening)]))
        if generator.random() < 0.4:
            opening = 1.0 - opening
            rows += [np.array([0, 0, 0, 0, 0, 0, opening])] * int(generator.integers(2, 5))
    return np.stack(rows[:num_steps])


def pictures_of(
    positions: np.ndarray, opening: np.ndarray, generator: np.random.Generator, noise_levels: float
) -> np.ndarray:
    """A bright, striped hand over a textured table, as seen from above, with a camera's noise."""
    table = generator.integers(60, 120, (SIDE_PX // 8, SIDE_PX // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.float64)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    pictures = []
    for (x, y, z), gap in zip(positions, opening, strict=True):
        across, down = SIDE_PX * (0.5 + 1.5 * y), SIDE_PX * (0.5 + 1.5 * (x - 0.3))
        distance = np.hypot(columns - across, rows - down)
        hand = np.clip(9.0 + 20.0 * (z - 0.15) - distance, 0.0, 1.0)[..., None]
        stripes = 190.0 + 40.0 * np.sin(columns - across)[..., None] - 30.0 * gap
        pictures.append(table * (1 - hand) + stripes * hand)
    noisy = np.stack(pictures) + noise_levels * generator.normal(size=(len(pictures), SIDE_PX, SIDE_PX, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def tracks_of(episodes: Sequence[Episode], *, contract: ActionContract = CONTRACT) -> list[Track]:
    """Episodes that were never on a disk, as the checks see them."""
    return [track_of(e, index=i, contract=contract, limits=LIMITS) for i, e in enumerate(episodes)]


def findings_of(episodes: Sequence[Episode], *, contract: ActionContract = CONTRACT) -> list[Finding]:
    """What the checks find in them."""
    return judge(tracks_of(episodes, contract=contract), LIMITS)


def errors_of(episodes: Sequence[Episode], *, contract: ActionContract = CONTRACT) -> set[str]:
    """Codes of the errors among that."""
    return {finding.code for finding in findings_of(episodes, contract=contract) if finding.severity == "error"}


def late_camera(episode: Episode, *, steps: int = 2) -> Episode:
    """Each picture is the one of `steps` earlier, or with a negative number later; those at the end stay."""
    shown = np.clip(np.arange(len(episode)) - steps, 0, len(episode) - 1)
    return replace(episode, images={name: pictures[shown] for name, pictures in episode.images.items()})


def frozen_camera(episode: Episode) -> Episode:
    """From a third of the episode on, the picture stays for another third."""
    third = len(episode) // 3
    shown = np.where(
        (np.arange(len(episode)) >= third) & (np.arange(len(episode)) < 2 * third), third, np.arange(len(episode))
    )
    return replace(episode, images={name: pictures[shown] for name, pictures in episode.images.items()})


def swapped_gripper(episode: Episode) -> Episode:
    """The command means the opposite; the measurement is right."""
    actions = episode.actions.copy()
    actions[:, 6] = 1.0 - actions[:, 6]
    return replace(episode, actions=actions)


def degrees_in_actions(episode: Episode) -> Episode:
    """Rotations are commanded in degrees."""
    actions = episode.actions.copy()
    actions[:, 3:6] = np.degrees(actions[:, 3:6])
    return replace(episode, actions=actions)


def degrees_in_joints(episode: Episode) -> Episode:
    """Joints are measured in degrees."""
    return replace(episode, joint_positions_rad=np.degrees(episode.joint_positions_rad))


def millimetres(episode: Episode) -> Episode:
    """The end effector is measured in millimetres."""
    return replace(episode, ee_position_m=1000.0 * episode.ee_position_m)


def late_actions(episode: Episode, *, steps: int = 3) -> Episode:
    """Each row holds the action of `steps` earlier."""
    return replace(episode, actions=episode.actions[np.maximum(np.arange(len(episode)) - steps, 0)])


def wide_gripper(episode: Episode) -> Episode:
    """Openings in percent."""
    actions = episode.actions.copy()
    actions[:, 6] *= 100.0
    return replace(episode, actions=actions, gripper_opening=100.0 * episode.gripper_opening)


def half_rate(episode: Episode) -> Episode:
    """Stamped at half the rate."""
    return replace(episode, stamps_s=2.0 * episode.stamps_s)


def long_gap(episode: Episode) -> Episode:
    """Two seconds are missing in the middle."""
    return replace(episode, stamps_s=episode.stamps_s + np.where(np.arange(len(episode)) > len(episode) // 2, 2.0, 0.0))


def black_pictures(episode: Episode) -> Episode:
    """Somebody left the lens cap on."""
    return replace(episode, images={name: np.zeros_like(pictures) for name, pictures in episode.images.items()})


def euler_for_quaternions(episode: Episode) -> Episode:
    """Three angles and a zero where a quaternion belongs."""
    return replace(episode, ee_quat_xyzw=np.tile([3.0, 0.1, 0.2, 0.0], (len(episode), 1)))


SYSTEMATIC: Mapping[str, tuple[Callable[[Episode], Episode], str]] = MappingProxyType(
    {
        plant.__name__: (plant, code)
        for plant, code in (
            (late_camera, "camera_lag"),
            (frozen_camera, "frozen_frames"),
            (swapped_gripper, "gripper_inverted"),
            (degrees_in_actions, "units_suspect"),
            (degrees_in_joints, "units_suspect"),
            (millimetres, "units_suspect"),
            (euler_for_quaternions, "units_suspect"),
            (late_actions, "action_state_offset"),
            (wide_gripper, "gripper_out_of_range"),
            (half_rate, "irregular_rate"),
            (long_gap, "gap"),
            (black_pictures, "dark_picture"),
        )
    }
)
"""Name → a fault that changes an episode, and the code that must name it."""
