"""Mistakes made on purpose: executed actions depart from the intended ones, so that a demonstration shows recovery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.types import Action, FloatArray


@dataclass(frozen=True, slots=True)
class StartPoses:
    """End-effector poses that an episode may begin at, in the robot's base frame.

    Attributes:
        low_m, high_m: Corners of the box of positions [m].
        down_quat_xyzw: Orientation in which the hand points straight down, at yaw 0.
        tilt_rad: Largest turn about each horizontal base axis [rad].
        yaw_rad: Smallest and largest turn about the vertical [rad].
    """

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    down_quat_xyzw: tuple[float, float, float, float]
    tilt_rad: float
    yaw_rad: tuple[float, float]

    def draw(self, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """One of them: position (3,) [m] and quat_xyzw (4,)."""
        position = generator.uniform(self.low_m, self.high_m)
        angles = [*generator.uniform(-self.tilt_rad, self.tilt_rad, 2), generator.uniform(*self.yaw_rad)]
        turned = Rotation.from_euler("xyz", angles) * Rotation.from_quat(self.down_quat_xyzw)
        return position, np.asarray(turned.as_quat())


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """How the executed actions of a task depart from the intended ones; ranges of whole numbers include both ends.

    Attributes:
        start_poses: Where the perturbed episodes of `start_share` begin; None: all begin where the task does.
        clean_share: Share of episodes that are not perturbed at all.
        start_share: Share of the others that begin at one of `start_poses`.
        noise_m, noise_rad: Standard deviation of the correlated noise at scale 1; an episode's scale is 0 … 1.3.
        noise_memory: Correlation of the noise between two steps.
        push_rate, push_m, push_rad: Pushes begun per step and their largest step per axis.
        push_steps: How long one lasts.
        flip_rate: Wrong gripper commands begun per step.
        flip_steps: How long one lasts.
        num_steps: After how many steps all of this ends, so that the expert can finish.
        longest_m, longest_rad: No executed step of a perturbed episode is longer; within the action contract.
    """

    start_poses: StartPoses | None = None
    clean_share: float = 0.15
    start_share: float = 0.5
    noise_m: float
    noise_rad: float
    noise_memory: float
    push_rate: float
    push_m: float
    push_rad: float
    push_steps: tuple[int, int]
    flip_rate: float
    flip_steps: tuple[int, int]
    num_steps: tuple[int, int]
    longest_m: float
    longest_rad: float


class Perturber:
    """Turns the intended actions of one episode into executed ones; `generator` fixes its whole course."""

    def __init__(self, perturbation: Perturbation, generator: np.random.Generator) -> None:
        self._settings, self._generator = perturbation, generator
        self.is_clean = bool(generator.random() < perturbation.clean_share)
        self._scale = float(generator.uniform(0.0, 1.3))
        self._steps_left = self._draw_between(perturbation.num_steps)
        self._noise = np.zeros(6)
        self._push, self._push_steps, self._flip_steps = np.zeros(6), 0, 0

    def start_pose(self) -> tuple[FloatArray, FloatArray] | None:
        """An end-effector pose in the base frame (position [m], quat_xyzw), or None to begin where the task does."""
        settings = self._settings
        if self.is_clean or settings.start_poses is None or self._generator.random() >= settings.start_share:
            return None
        return settings.start_poses.draw(self._generator)

    def execute(self, intended: Action) -> Action:
        """`intended` with noise, pushes and gripper flips."""
        self._steps_left -= 1
        if self.is_clean or self._steps_left < 0:
            return intended
        self._advance()
        settings = self._settings
        motion = np.concatenate([intended.translation_m, intended.rotation_vector_rad])
        motion = self._push if self._push_steps > 0 else motion + self._noise
        opening = 1.0 - intended.gripper_opening if self._flip_steps > 0 else intended.gripper_opening
        translation, rotation = _shorten(motion[:3], settings.longest_m), _shorten(motion[3:], settings.longest_rad)
        return Action(translation, rotation, opening, intended.frame)

    def _advance(self) -> None:
        settings, draw = self._settings, self._generator
        memory = settings.noise_memory
        spread = self._scale * np.repeat([settings.noise_m, settings.noise_rad], 3)
        self._noise = memory * self._noise + np.sqrt(1.0 - memory**2) * spread * draw.standard_normal(6)
        self._push_steps, self._flip_steps = self._push_steps - 1, self._flip_steps - 1
        if draw.random() < settings.push_rate:
            self._push_steps = self._draw_between(settings.push_steps)
            self._push = draw.uniform(-1.0, 1.0, 6) * np.repeat([settings.push_m, settings.push_rad], 3)
        if draw.random() < settings.flip_rate:
            self._flip_steps = self._draw_between(settings.flip_steps)

    def _draw_between(self, ends: tuple[int, int]) -> int:
        low, high = ends
        return int(self._generator.integers(low, high + 1))


def _shorten(vector: FloatArray, longest: float) -> FloatArray:
    return np.asarray(vector * min(1.0, longest / max(float(np.linalg.norm(vector)), 1e-12)))
