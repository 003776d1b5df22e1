"""Scripted experts: what a policy should do, as a memoryless function of the state that the camera can see.

There is no timer and no phase: the same state always gives the same action, so that a policy that sees one frame can
learn it, and every state that a policy gets itself into has a label. A funnel couples height to horizontal error: high
when far, low when near.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv, WorldPoses
from magma_ros.sim.bridge.layouts import CARROT_HALF_SIZE_M, PLATE_HALF_HEIGHT_M
from magma_ros.sim.bridge.scene import BASE_POSITION_M, TABLE_TOP_M
from magma_ros.types import Action, FloatArray

_TABLE_M = TABLE_TOP_M - BASE_POSITION_M[2]
_CARROT_ON_TABLE_M = _TABLE_M + CARROT_HALF_SIZE_M[2]
_CARROT_ON_PLATE_M = _CARROT_ON_TABLE_M + 2 * PLATE_HALF_HEIGHT_M
_HOME_FINGER_YAW_RAD = np.pi / 2
"""Yaw of the end effector's y axis, in the base frame, when the fingers close across a carrot that lies along x."""


@dataclass(frozen=True, slots=True)
class CarrotTuning:
    """Gains and geometry of `carrot_action`; lengths [m], angles [rad], heights above the point named.

    Attributes:
        gain, rotation_gain: Share of the measured error commanded per step; the arm lags its target by about a step.
        max_step_m, max_turn_rad: Longest step.
        min_step_m: Shortest step while the goal is farther than that.
        grasp_height_m: End effector above the table where the fingers close.
        close_below_m: Error in height under which the fingers close.
        align_radius_m, funnel_slope, hover_m: Funnel over the carrot: radius of its foot, rise per metre, top.
        place_radius_m, place_slope, carry_m: The same of the funnel over the plate.
        release_gap_m: Gap between carrot and plate under which the fingers open.
        retreat_m: Rise after the release.
        closed_opening: Fingers closed further than this hold the carrot.
    """

    gain: float = 0.36
    rotation_gain: float = 0.36
    max_step_m: float = 0.03
    max_turn_rad: float = 0.25
    min_step_m: float = 0.006
    grasp_height_m: float = 0.0195
    close_below_m: float = 0.008
    align_radius_m: float = 0.006
    funnel_slope: float = 3.0
    hover_m: float = 0.07
    place_radius_m: float = 0.012
    place_slope: float = 1.2
    carry_m: float = 0.055
    release_gap_m: float = 0.007
    retreat_m: float = 0.08
    closed_opening: float = 0.66


class CarrotExpert:
    """Puts the carrot on the plate, reading the poses of a `BridgeEnv`; holds no state of its own."""

    def __init__(self, env: BridgeEnv, *, tuning: CarrotTuning | None = None) -> None:
        self._env = env
        self._tuning = tuning or CarrotTuning()

    def act(self) -> Action:
        """The action for the environment's present state, in "base_link"."""
        return carrot_action(self._env.poses(), self._tuning)


def carrot_action(poses: WorldPoses, tuning: CarrotTuning) -> Action:
    """The expert's action in the state `poses`; gripper opening 0 or 1."""
    between = is_between_fingers(poses)
    closed = poses.gripper_opening < tuning.closed_opening
    if between and closed and not _over_plate(poses, tuning):
        return _carry(poses, tuning)
    if _resting_on_plate(poses) or (between and closed):
        return _retreat(poses, tuning)
    return _approach(poses, tuning, between=between)


def is_between_fingers(poses: WorldPoses) -> bool:
    """The carrot's root is where closing fingers meet it."""
    ee = Rotation.from_quat(poses.ee_quat_xyzw)
    offset = ee.inv().apply(poses.source_position_m - poses.ee_position_m)
    along = Rotation.from_quat(poses.source_quat_xyzw).apply([1.0, 0.0, 0.0])
    slide = np.clip(-offset @ ee.inv().apply(along), -0.04, 0.04)
    approach, across, _ = offset + slide * ee.inv().apply(along)
    return bool(-0.03 < approach < 0.03 and abs(across) < 0.014 and abs(slide) < 0.04)


def _over_plate(poses: WorldPoses, tuning: CarrotTuning) -> bool:
    """The held carrot may be let go."""
    offset = poses.source_position_m - poses.target_position_m
    gap = poses.source_position_m[2] - _CARROT_ON_PLATE_M
    return bool(np.linalg.norm(offset[:2]) < 0.025 and gap < tuning.release_gap_m)


def _resting_on_plate(poses: WorldPoses) -> bool:
    """The carrot lies well on the plate: nothing is left to do."""
    offset = poses.source_position_m - poses.target_position_m
    gap = poses.source_position_m[2] - _CARROT_ON_PLATE_M
    return bool(np.linalg.norm(offset[:2]) < 0.045 and -0.006 < gap < 0.012)


def _approach(poses: WorldPoses, tuning: CarrotTuning, *, between: bool) -> Action:
    goal = poses.source_position_m.copy()
    goal[2] = max(goal[2], _CARROT_ON_TABLE_M) - CARROT_HALF_SIZE_M[2] + tuning.grasp_height_m
    turn = _turn(poses, _yaw_error(poses))
    error = goal - poses.ee_position_m
    misaligned = np.linalg.norm(error[:2]) + 0.05 * max(0.0, float(np.linalg.norm(turn)) - 0.1)
    lift = np.clip((misaligned - tuning.align_radius_m) * tuning.funnel_slope, 0.0, tuning.hover_m)
    ready = between and error[2] > -tuning.close_below_m and misaligned < 0.02
    translation = _toward(error, lift, tuning)
    return _action(translation, turn, 0.0 if ready else 1.0, tuning)


def _carry(poses: WorldPoses, tuning: CarrotTuning) -> Action:
    error = poses.target_position_m - poses.source_position_m
    error[2] = _CARROT_ON_PLATE_M + 0.002 - poses.source_position_m[2]
    far = float(np.linalg.norm(error[:2])) - tuning.place_radius_m
    lift = np.clip(far * tuning.place_slope, 0.0, tuning.carry_m)
    return _action(_toward(error, lift, tuning), _turn(poses, 0.0), 0.0, tuning)


def _retreat(poses: WorldPoses, tuning: CarrotTuning) -> Action:
    rise = poses.source_position_m[2] + tuning.retreat_m - poses.ee_position_m[2]
    opened = poses.gripper_opening > tuning.closed_opening
    translation = np.array([0.0, 0.0, np.clip(rise, 0.0, 0.02) if opened else 0.0])
    return _action(translation, np.zeros(3), 1.0, tuning)


def _toward(error_m: FloatArray, lift_m: float, tuning: CarrotTuning) -> FloatArray:
    """The step along `error_m`, over a funnel whose wall is `lift_m` above the goal here: below it, up first."""
    error = error_m + np.array([0.0, 0.0, lift_m])
    error[:2] *= np.clip(1.5 - error[2] / 0.03, 0.0, 1.0)
    distance = float(np.linalg.norm(error))
    if distance < 1e-9:
        return np.zeros(3)
    length = min(max(tuning.gain * distance, min(tuning.min_step_m, distance)), tuning.max_step_m)
    return np.asarray(error * (length / distance))


def _yaw_error(poses: WorldPoses) -> float:
    """Turn about the vertical that puts the fingers across the carrot [rad]; always within one quarter turn of home."""
    along = Rotation.from_quat(poses.source_quat_xyzw).apply([1.0, 0.0, 0.0])
    carrot_yaw = (np.arctan2(along[1], along[0]) + np.pi / 4) % np.pi - np.pi / 4
    fingers = Rotation.from_quat(poses.ee_quat_xyzw).apply([0.0, 1.0, 0.0])
    error = carrot_yaw + _HOME_FINGER_YAW_RAD - np.arctan2(fingers[1], fingers[0])
    return float((error + np.pi) % (2 * np.pi) - np.pi)


def _turn(poses: WorldPoses, yaw_rad: float) -> FloatArray:
    """Rotation vector, base axes, that points the fingers straight down and turns them by `yaw_rad` [rad]."""
    down = Rotation.from_quat(poses.ee_quat_xyzw).apply([1.0, 0.0, 0.0])
    return np.asarray(np.cross(down, [0.0, 0.0, -1.0]) + np.array([0.0, 0.0, yaw_rad]))


def _action(translation_m: FloatArray, turn_rad: FloatArray, opening: float, tuning: CarrotTuning) -> Action:
    turn = turn_rad * tuning.rotation_gain
    turn *= min(1.0, tuning.max_turn_rad / max(float(np.linalg.norm(turn)), 1e-9))
    return Action(translation_m, turn, opening, BRIDGE_CONTRACT.frame)
