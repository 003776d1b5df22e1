"""Scripted experts: what a policy should do, as a memoryless function of the state that the camera can see.

There is no timer and no phase: the same state always gives the same action, so that a policy that sees one frame can
learn it, and every state that a policy gets itself into has a label. A funnel couples height to horizontal error: high
when far, low when near.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.sim.bridge.arm import FINGER_RANGE_M
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv
from magma_ros.sim.bridge.world import WorldPoses
from magma_ros.types import Action, FloatArray

_HOME_FINGER_YAW_RAD = np.pi / 2
"""Yaw of the end effector's y axis, in the base frame, when the fingers close across an object that lies along x."""
_PAD_FACE_M = 0.009
"""From a finger's joint to the inner face of its pad."""
_CLOSED_SLACK_M = 0.00904
"""Fingers that leave no more than this beside the source hold it, if it is between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PickAndPlace:
    """How one task is done; lengths [m], angles [rad], heights above the point named.

    Attributes:
        support_m: What the source shall lie on, above what the target stands on.
        lowest_yaw_rad: Yaws of the source count from here up to the next that looks the same, so that the wrist never
            turns farther than it must.
        reach_m: Farthest from the middle of the grip that the fingers hold, along the source.
        grasp_height_m: End effector above what the source lies on where the fingers close.
        close_below_m: Error in height under which the fingers close.
        align_radius_m, funnel_slope, hover_m: Funnel over the source: radius of its foot, rise per metre, top.
        place_radius_m, place_slope, carry_m: The same of the funnel over the target.
        clearance_m: Between what is carried and the stage's obstacles, where that asks for more than `carry_m`.
        release_radius_m, release_gap_m: Horizontal error, and height above the place, under which the fingers open.
        placed_radius_m, placed_gap_m: Horizontal error, and range of heights about the place, that need no more work.
        retreat_m: Rise after the release.
        gain, rotation_gain: Share of the measured error commanded per step; the arm lags its target by about a step.
        max_step_m, max_turn_rad: Longest step.
        min_step_m: Shortest step while the goal is farther than that.
    """

    support_m: float
    lowest_yaw_rad: float = -np.pi / 4
    reach_m: float = 0.04
    grasp_height_m: float = 0.0195
    close_below_m: float = 0.008
    align_radius_m: float = 0.006
    funnel_slope: float = 3.0
    hover_m: float = 0.07
    place_radius_m: float = 0.012
    place_slope: float = 1.2
    carry_m: float = 0.055
    clearance_m: float = 0.03
    release_radius_m: float = 0.025
    release_gap_m: float = 0.007
    placed_radius_m: float = 0.045
    placed_gap_m: tuple[float, float] = (-0.006, 0.012)
    retreat_m: float = 0.08
    gain: float = 0.36
    rotation_gain: float = 0.36
    max_step_m: float = 0.03
    max_turn_rad: float = 0.25
    min_step_m: float = 0.006


TUNINGS: Mapping[str, PickAndPlace] = MappingProxyType(
    {
        "carrot_on_plate": PickAndPlace(support_m=0.006),
        "spoon_on_towel": PickAndPlace(support_m=0.006),
        "stack_cube": PickAndPlace(
            support_m=0.03,
            place_radius_m=0.004,
            place_slope=1.5,
            release_radius_m=0.006,
            release_gap_m=0.005,
            placed_radius_m=0.016,
        ),
        "eggplant_in_basket": PickAndPlace(
            support_m=0.0,
            lowest_yaw_rad=-np.pi / 2,
            hover_m=0.09,
            place_slope=6.0,
            release_radius_m=0.02,
            release_gap_m=0.03,
            placed_radius_m=0.068,
            placed_gap_m=(-0.01, 0.02),
        ),
    }
)
"""Task → how it is done."""


class PickAndPlaceExpert:
    """Solves the task of a `BridgeEnv` from what only the simulator knows; holds no state of its own."""

    def __init__(self, env: BridgeEnv, tuning: PickAndPlace) -> None:
        self._env = env
        self._tuning = tuning

    def act(self) -> Action:
        """The action for the environment's present state, in "base_link"."""
        return pick_and_place(self._env.poses(), self._tuning)


def expert_for(env: BridgeEnv) -> PickAndPlaceExpert:
    """The expert of the task in `env`, in any of its looks."""
    return PickAndPlaceExpert(env, TUNINGS[env.task.name])


def pick_and_place(poses: WorldPoses, tuning: PickAndPlace) -> Action:
    """The expert's action in the state `poses`; gripper opening 0 or 1."""
    between = is_between_fingers(poses, tuning)
    held = between and poses.gripper_opening < _closed_opening(poses)
    if held and not _may_let_go(poses, tuning):
        return _carry(poses, tuning)
    if held or _is_placed(poses, tuning):
        return _retreat(poses, tuning)
    return _approach(poses, tuning, between=between)


def is_between_fingers(poses: WorldPoses, tuning: PickAndPlace) -> bool:
    """The source is where closing fingers meet it."""
    ee = Rotation.from_quat(poses.ee_quat_xyzw)
    offset = ee.inv().apply(_grip_centre(poses) - poses.ee_position_m)
    along, reach = ee.inv().apply(_grip_axis(poses)), min(tuning.reach_m, poses.grip.half_length_m)
    slide = np.clip(-offset @ along, -reach, reach)
    approach, across, _ = offset + slide * along
    return bool(-0.03 < approach < 0.03 and abs(across) < 0.014 and abs(slide) < reach)


def _closed_opening(poses: WorldPoses) -> float:
    """Fingers closed further than this hold the source."""
    low, high = FINGER_RANGE_M
    half_gap = (poses.grip.width_m + _CLOSED_SLACK_M) / 2
    return (half_gap + _PAD_FACE_M - low) / (high - low)


def _placed_height(poses: WorldPoses, tuning: PickAndPlace) -> float:
    """Of the source's centre where it shall be, in the base frame [m]."""
    return float(poses.target_floor_m + poses.source_half_m[2] + tuning.support_m)


def _offset_from_place(poses: WorldPoses, tuning: PickAndPlace) -> tuple[float, float]:
    """Of the source: horizontal distance to the target's centre and height above the place [m]."""
    offset = poses.source_position_m - poses.target_position_m
    return float(np.linalg.norm(offset[:2])), float(poses.source_position_m[2] - _placed_height(poses, tuning))


def _may_let_go(poses: WorldPoses, tuning: PickAndPlace) -> bool:
    distance, gap = _offset_from_place(poses, tuning)
    return distance < tuning.release_radius_m and gap < tuning.release_gap_m


def _is_placed(poses: WorldPoses, tuning: PickAndPlace) -> bool:
    """The source lies well where it shall be: nothing is left to do."""
    distance, gap = _offset_from_place(poses, tuning)
    lowest, highest = tuning.placed_gap_m
    return distance < tuning.placed_radius_m and lowest < gap < highest


def _approach(poses: WorldPoses, tuning: PickAndPlace, *, between: bool) -> Action:
    half_height, goal = poses.source_half_m[2], _grip_centre(poses)
    lying = max(poses.source_position_m[2], poses.source_floor_m + half_height)
    goal[2] = lying - half_height + tuning.grasp_height_m
    turn = _turn(poses, _yaw_error(poses, tuning))
    error = goal - poses.ee_position_m
    misaligned = np.linalg.norm(error[:2]) + 0.05 * max(0.0, float(np.linalg.norm(turn)) - 0.1)
    lift = np.clip((misaligned - tuning.align_radius_m) * tuning.funnel_slope, 0.0, tuning.hover_m)
    ready = between and error[2] > -tuning.close_below_m and misaligned < 0.02
    return _action(_toward(error, lift, tuning), turn, 0.0 if ready else 1.0, tuning)


def _carry(poses: WorldPoses, tuning: PickAndPlace) -> Action:
    error, height = poses.target_position_m - poses.source_position_m, _placed_height(poses, tuning)
    error[2] = height + 0.002 - poses.source_position_m[2]
    far = float(np.linalg.norm(error[:2])) - tuning.place_radius_m
    carry = max(tuning.carry_m, poses.obstacle_top_m + tuning.clearance_m - (height - poses.source_half_m[2]))
    lift = np.clip(far * tuning.place_slope, 0.0, carry)
    return _action(_toward(error, lift, tuning), _turn(poses, 0.0), 0.0, tuning)


def _retreat(poses: WorldPoses, tuning: PickAndPlace) -> Action:
    rise = poses.source_position_m[2] + tuning.retreat_m - poses.ee_position_m[2]
    opened = poses.gripper_opening > _closed_opening(poses)
    translation = np.array([0.0, 0.0, np.clip(rise, 0.0, 0.02) if opened else 0.0])
    return _action(translation, np.zeros(3), 1.0, tuning)


def _toward(error_m: FloatArray, lift_m: float, tuning: PickAndPlace) -> FloatArray:
    """The step along `error_m`, over a funnel whose wall is `lift_m` above the goal here: below it, up first."""
    error = error_m + np.array([0.0, 0.0, lift_m])
    error[:2] *= np.clip(1.5 - error[2] / 0.03, 0.0, 1.0)
    distance = float(np.linalg.norm(error))
    if distance < 1e-9:
        return np.zeros(3)
    length = min(max(tuning.gain * distance, min(tuning.min_step_m, distance)), tuning.max_step_m)
    return np.asarray(error * (length / distance))


def _grip_centre(poses: WorldPoses) -> FloatArray:
    """Middle of what the fingers may hold, base frame; a new array."""
    return np.asarray(poses.source_position_m + Rotation.from_quat(poses.source_quat_xyzw).apply(poses.grip.centre_m))


def _grip_axis(poses: WorldPoses) -> FloatArray:
    """Unit vector along the source, base frame; of a cube's three edges the one nearest to the horizontal."""
    axes = Rotation.from_quat(poses.source_quat_xyzw).apply(np.eye(3) if poses.grip.square else np.eye(3)[:1])
    return np.asarray(axes[np.argmin(np.abs(axes[:, 2]))])


def _yaw_error(poses: WorldPoses, tuning: PickAndPlace) -> float:
    """Turn about the vertical that puts the fingers across the source [rad]."""
    along, lowest = _grip_axis(poses), tuning.lowest_yaw_rad
    yaw = (np.arctan2(along[1], along[0]) - lowest) % (np.pi / 2 if poses.grip.square else np.pi) + lowest
    fingers = Rotation.from_quat(poses.ee_quat_xyzw).apply([0.0, 1.0, 0.0])
    error = yaw + _HOME_FINGER_YAW_RAD - np.arctan2(fingers[1], fingers[0])
    return float((error + np.pi) % (2 * np.pi) - np.pi)


def _turn(poses: WorldPoses, yaw_rad: float) -> FloatArray:
    """Rotation vector, base axes, that points the fingers straight down and turns them by `yaw_rad` [rad]."""
    down = Rotation.from_quat(poses.ee_quat_xyzw).apply([1.0, 0.0, 0.0])
    return np.asarray(np.cross(down, [0.0, 0.0, -1.0]) + np.array([0.0, 0.0, yaw_rad]))


def _action(translation_m: FloatArray, turn_rad: FloatArray, opening: float, tuning: PickAndPlace) -> Action:
    turn = turn_rad * tuning.rotation_gain
    turn *= min(1.0, tuning.max_turn_rad / max(float(np.linalg.norm(turn)), 1e-9))
    return Action(translation_m, turn, opening, BRIDGE_CONTRACT.frame)
