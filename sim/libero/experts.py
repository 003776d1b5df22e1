"""Scripted experts of LIBERO-Spatial and LIBERO-Object: grip one thing from above, put it onto or into another.

There is no timer and no phase. What to do follows from the state alone: what is held is carried, what is where it
belongs is let go, anything else is gripped. A funnel couples height to horizontal error; its wall is the highest thing
on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.errors import EnvError
from magma_ros.sim.env import Expert
from magma_ros.sim.libero.convention import FINGERS_OPEN_M, FRAME
from magma_ros.sim.libero.env import LiberoEnv
from magma_ros.sim.libero.grasps import HOME_YAW_RAD, MIN_RAYS, GraspTuning, Thing, best_grasp
from magma_ros.sim.libero.surroundings import GripPose, Surroundings
from magma_ros.sim.libero.world import World
from magma_ros.types import Action, FloatArray

_LEFT_FINGER = frozenset({"gripper0_leftfinger", "gripper0_finger_joint1_tip"})
_RIGHT_FINGER = frozenset({"gripper0_rightfinger", "gripper0_finger_joint2_tip"})


@dataclass(frozen=True, slots=True)
class PickPlaceTuning:
    """Gains and distances of `PickPlaceExpert`; lengths [m], angles [rad].

    Attributes:
        gain: Commanded share of the error; of a command the arm does a fifth in a step.
        max_step_m, max_turn_rad: Largest command per axis.
        align_radius_m: Horizontal error at which the hand may go all the way down.
        approach_slope, carry_slope: Rise of the funnels per metre of horizontal error.
        level_rad: Turn to go that does not matter yet.
        turn_weight_m, open_weight: Horizontal error that a radian to turn, and a metre to open, count as.
        reached_m, reached_height_m, reached_rad: Errors under which the fingers close.
        closing_m: Errors up to which fingers that have begun to close go on.
        gap_m: Room above what is crossed, and `way_radius_m` its reach to either side.
        place_radius_m: Horizontal error at which what is held may go all the way down.
        closed_width_m: Fingers nearer to each other than this have begun to close.
        retreat_m: Hand above the thing after its release.
    """

    gain: float = 2.0
    max_step_m: float = 0.05
    max_turn_rad: float = 0.5
    align_radius_m: float = 0.004
    approach_slope: float = 16.0
    level_rad: float = 0.05
    carry_slope: float = 6.0
    turn_weight_m: float = 0.05
    open_weight: float = 0.5
    reached_m: float = 0.007
    reached_height_m: float = 0.006
    reached_rad: float = 0.08
    closing_m: float = 0.03
    gap_m: float = 0.02
    way_radius_m: float = 0.07
    place_radius_m: float = 0.01
    closed_width_m: float = 0.072
    retreat_m: float = 0.1
    grasp: GraspTuning = field(default_factory=GraspTuning)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the expert looks at; everything in the robot's base frame.

    Attributes:
        ee_m, ee_axes: Point between the finger tips and its axes as columns: x opens the fingers, z is the tool.
        finger_width_m: Gap between the fingers.
        thing: What is to be moved.
        offset_m: From where its origin belongs to where it is, shape (3,).
        target_m: Where it belongs.
        held: Both fingers touch it and have begun to close.
    """

    ee_m: FloatArray
    ee_axes: FloatArray
    finger_width_m: float
    thing: Thing
    offset_m: FloatArray
    target_m: FloatArray
    held: bool


class PickPlaceExpert:
    """Moves one thing; holds nothing that the environment's state does not determine."""

    def __init__(self, env: LiberoEnv, *, tuning: PickPlaceTuning | None = None) -> None:
        self._tuning = tuning or PickPlaceTuning()
        self._world = env._open()  # noqa: SLF001 - `world` wants a reset first, and an expert is made before it
        simulation = self._world.simulation
        self._relation, self._source, self._target = _goal_of(self._world)
        self._physics = simulation.data
        source_body = simulation.domain.obj_body_id[self._source]
        self._room = Surroundings(simulation.model, source_body=source_body)

    def act(self) -> Action:
        """The action for the present state: at most 5 cm and 0.5 rad per axis, the opening 0 or 1."""
        now = self._look()
        if self._world.goal_holds():
            return self._retreat(now)
        return self._carry(now) if now.held else self._approach(now)

    def _look(self) -> _Moment:
        world = self._world
        self._room.update(self._physics.qpos)
        proprio, source, touching = world.proprio(), world.pose(self._source), world.touching(self._source)
        width = proprio.gripper_opening * FINGERS_OPEN_M
        axes = Rotation.from_quat(source.quat_xyzw).as_matrix()
        target = self._target_m()
        return _Moment(
            ee_m=proprio.ee_position_m,
            ee_axes=Rotation.from_quat(proprio.ee_quat_xyzw).as_matrix(),
            finger_width_m=width,
            thing=Thing(world.points(self._source), axes, "bowl" in self._source),
            offset_m=source.position_m - target,
            target_m=target,
            held=bool(touching & _LEFT_FINGER and touching & _RIGHT_FINGER) and width < self._tuning.closed_width_m,
        )

    def _target_m(self) -> FloatArray:
        """Where the thing's origin belongs: that of what it goes onto, or half-way up a region."""
        if self._relation == "on":
            return self._world.pose(self._target).position_m
        pose, half_size = self._world.region(self._target)
        return np.asarray(pose.position_m + np.array([0.0, 0.0, half_size[2] / 2]))

    def _approach(self, now: _Moment) -> Action:
        tuning = self._tuning
        grasp = best_grasp(now.thing, GripPose(now.ee_m, _yaw(now)), self._room, tuning.grasp)
        error, turn = grasp.position_m - now.ee_m, _turn(now, grasp.yaw_rad)
        away, turn_rad = float(np.linalg.norm(error[:2])), float(np.linalg.norm(turn))
        reached = away < tuning.reached_m and abs(error[2]) < tuning.reached_height_m and turn_rad < tuning.reached_rad
        begun = now.finger_width_m < tuning.closed_width_m and max(away, abs(error[2])) < tuning.closing_m
        if (reached or begun) and self._room.rays_through_source() >= MIN_RAYS:
            still = np.zeros(3), _turn(now, _yaw(now))  # what the fingers push may make another grasp the best
            return self._action(*((self._toward(error, 0.0), turn) if reached else still), 0.0)
        misaligned = away + tuning.turn_weight_m * max(0.0, turn_rad - tuning.level_rad)
        misaligned += tuning.open_weight * max(0.0, tuning.closed_width_m - now.finger_width_m)
        top = self._room.top_between_m(now.ee_m, grasp.position_m, radius_m=tuning.way_radius_m, with_source=True)
        wall = max(0.0, top + self._room.finger_depth_m + tuning.gap_m - grasp.position_m[2])
        lift = np.clip((misaligned - tuning.align_radius_m) * tuning.approach_slope, 0.0, wall)
        return self._action(self._toward(error, lift), turn, 1.0)

    def _carry(self, now: _Moment) -> Action:
        tuning = self._tuning
        error = -now.offset_m
        top = self._room.top_between_m(
            now.target_m + now.offset_m, now.target_m, radius_m=tuning.way_radius_m, with_source=False
        )
        wall = max(0.0, top + tuning.gap_m - now.thing.points_m[:, 2].min() - error[2])
        lift = np.clip((np.linalg.norm(error[:2]) - tuning.place_radius_m) * tuning.carry_slope, 0.0, wall)
        return self._action(self._toward(error, lift), _turn(now, _yaw(now)), 0.0)

    def _retreat(self, now: _Moment) -> Action:
        rise = now.thing.points_m[:, 2].max() + self._tuning.retreat_m - now.ee_m[2]
        up = 0.0 if now.held else np.clip(rise, 0.0, self._tuning.max_step_m)
        return self._action(np.array([0.0, 0.0, up]), _turn(now, HOME_YAW_RAD), 1.0)

    def _toward(self, error_m: FloatArray, lift_m: float) -> FloatArray:
        """The command along `error_m` over a wall that is `lift_m` above the goal here: below it, up first."""
        error = error_m + np.array([0.0, 0.0, lift_m])
        error[:2] *= np.clip(1.5 - error[2] / 0.03, 0.0, 1.0)
        return _shorten(self._tuning.gain * error, self._tuning.max_step_m)

    def _action(self, translation_m: FloatArray, turn_rad: FloatArray, opening: float) -> Action:
        return Action(translation_m, _shorten(turn_rad, self._tuning.max_turn_rad), opening, FRAME)


def expert_for(env: LiberoEnv) -> Expert:
    """The expert of the task of `env`; it acts after a `reset`.

    Raises:
        EnvError: the task is not one thing onto or into another, or `env` is closed.
    """
    return PickPlaceExpert(env)


def _goal_of(world: World) -> tuple[str, str, str]:
    """The task's one predicate: "on" or "in", the thing, and the object or region that it goes to."""
    match world.goal:
        case (("on" | "in" as relation, source, target),) if source in world.objects:
            if target in (world.objects if relation == "on" else world.regions):
                return relation, source, target
    raise EnvError(f"no scripted expert for the goal {world.goal}, available for one thing onto or into another")


def _yaw(now: _Moment) -> float:
    """Direction in which the fingers open, within half a turn of home: the wrist cannot go on turning [rad]."""
    yaw = np.arctan2(now.ee_axes[1, 0], now.ee_axes[0, 0])
    return float((yaw - HOME_YAW_RAD + np.pi) % (2 * np.pi) + HOME_YAW_RAD - np.pi)


def _turn(now: _Moment, yaw_rad: float) -> FloatArray:
    """Rotation vector, base axes, to the tool pointing down and the fingers opening along `yaw_rad`."""
    wanted = GripPose(now.ee_m, yaw_rad).rotation
    return np.asarray(Rotation.from_matrix(wanted @ now.ee_axes.T).as_rotvec())


def _shorten(vector: FloatArray, longest: float) -> FloatArray:
    """`vector` with its largest component at most `longest`, in the same direction."""
    return np.asarray(vector * min(1.0, longest / max(float(np.abs(vector).max()), 1e-12)))
