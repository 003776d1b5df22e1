"""From one action at 3-20 Hz to a smooth setpoint at 50-100 Hz whose net motion equals the action.

Ruckig plans each motion, with jerk as a limit, from the setpoint's present state to the goal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.contract import Reference
from magma_ros.errors import ContractError, InvalidInputError, PlayoutError
from magma_ros.geometry import compose_ee_delta
from magma_ros.motion import Motion, Place, Plan, Planner
from magma_ros.setpoint import PlayoutLimits, Setpoint
from magma_ros.turning import Turning
from magma_ros.types import Action, FloatArray, Pose

__all__ = ["Playout", "PlayoutLimits", "Setpoint"]

_MAX_TURN_RAD = 0.5  # a longer turn is planned afresh on its way: that difference grows with the turn's square
_RELEASE_SHARE = 0.8  # a setpoint that waited goes on when the arm is this near, as a share of the allowed lag
_AT_GOAL_M, _AT_GOAL_RAD = 1e-6, 1e-6


class Playout:
    """The setpoint of one arm; all times are in one clock of the caller's, all poses in `frame` [m].

    Each action moves the goal by its displacement, and the setpoint goes there in no less than `spread` control
    periods. While actions come in time nothing is lost: the setpoint's net motion is their sum. It stops smoothly when
    told, or when the next action is late; what was not done by then is dropped, and counted.

    Closed on the measured pose: while that is further away than the allowed lag, the setpoint goes no further from it
    than that lag, and actions count from there, so that a blocked arm is not told to be ever further away. An arm that
    is only slow gets all of its motion, later.

    The state survives every error that a method raises for its arguments.
    """

    def __init__(
        self,
        limits: PlayoutLimits,
        *,
        frame: str,
        control_period_s: float,
        reference: Reference = "target",
        spread: float = 2.0,
    ) -> None:
        """Play actions of `frame` that come every `control_period_s` [s].

        Args:
            limits: How the setpoint may move.
            frame: Of every pose, and whose axes the displacements must use.
            control_period_s: The time that one action is for [s].
            reference: What a displacement is added to: the previous goal, or the measured pose.
            spread: Control periods that one action's motion takes if the limits allow, at least 1. At 1 the setpoint
                comes to rest between two actions; more keeps it moving, and lets it lag. What would go on after expiry
                is played faster.

        Raises:
            ContractError: a value out of its range.
        """
        if not frame or reference not in ("target", "measured"):
            raise ContractError(f"expected a named frame and 'target' or 'measured', got {frame!r}, {reference!r}")
        for name, value, lowest in (("control_period_s", control_period_s, 1e-3), ("spread", spread, 1.0)):
            if not (math.isfinite(value) and value >= lowest):
                raise ContractError(f"{name}: expected at least {lowest}, got {value!r}")
        self.limits, self.frame, self.reference = limits, frame, reference
        self.control_period_s = control_period_s
        self._play_s = min(spread * control_period_s, control_period_s + limits.expiry_s)
        self._planner = Planner(
            speed=(limits.max_speed_m_s, limits.max_speed_rad_s),
            acceleration=(limits.max_acceleration_m_s2, limits.max_acceleration_rad_s2),
            jerk=(limits.max_jerk_m_s3, limits.max_jerk_rad_s3),
        )
        self._started = False

    @property
    def num_fallbacks(self) -> Mapping[str, int]:
        """How often, since this playout was made, Ruckig needed a way round, by `motion.FALLBACKS`; for diagnostics."""
        return MappingProxyType(self._planner.num_fallbacks)

    def begin(self, pose_ee_in_base: Pose, now_s: float) -> None:
        """At rest at the measured pose; forgets all before.

        Raises:
            InvalidInputError: a pose or time that is not finite, a quaternion that has not unit norm.
        """
        place = Place.of(pose_ee_in_base, name="pose_ee_in_base")
        self._now_s = self._tick_s = _finite_time(now_s)
        self._tick_motion_s = self._start_motion_s = 0.0  # of the last tick and of the plan, in seconds of motion
        self._plan = Plan(Motion(place.position, np.zeros(3), np.zeros(3), Turning.at_rest(place.rotation)))
        self._goal = self._heading = place  # where actions lead; where the plan ends, nearer while waiting
        self._deadline_s = math.inf
        self._expired = self._waiting = self._stopped = False
        self._dropped_m = self._dropped_rad = 0.0
        self._started = True

    def accept(self, action: Action, now_s: float, *, measured: Pose | None = None) -> None:
        """Move the goal by `action`, composed as `geometry.compose_ee_delta` does; ends a stop.

        Args:
            action: In the playout's frame, turning by less than pi.
            now_s: The present [s].
            measured: End effector in the frame; what `action` is added to if `reference` is "measured".

        Raises:
            ContractError: the action is in another frame.
            InvalidInputError: a number is not finite, a measured pose is needed and missing, time runs backwards.
            PlayoutError: not begun.
        """
        now_s = self._check_time(now_s)
        if action.frame != self.frame:
            raise ContractError(f"action: expected frame {self.frame!r}, got {action.frame!r}")
        if not np.linalg.norm(action.rotation_vector_rad) < math.pi:
            raise InvalidInputError(f"action: expected a turn of less than pi, got {action.rotation_vector_rad} rad")
        base = self._base(measured)
        position, quat = compose_ee_delta(base.position, base.rotation.as_quat(), action)
        if self._waiting and self.reference == "target":
            self._drop(self._goal, self._heading)
        self._now_s = now_s
        self._goal = Place(position, Rotation.from_quat(quat))
        self._deadline_s = now_s + self.control_period_s + self.limits.expiry_s
        self._expired = self._stopped = self._waiting = False
        self._head_for(self._goal, at_least_s=self._play_s)

    def base_m(self, measured: Pose | None = None) -> FloatArray:
        """Position that the next action's displacement is added to, shape (3,) [m]; `measured` as in `accept`.

        Raises:
            InvalidInputError: a measured pose is needed and missing, or cannot be one.
        """
        return self._base(measured).position

    def stop(self, now_s: float) -> None:
        """Come to rest as soon as the limits allow; the goal is where that is. The next action goes on from there.

        Raises:
            InvalidInputError: time is not finite or runs backwards.
            PlayoutError: not begun.
        """
        self._now_s = self._check_time(now_s)
        self._expired = False
        self._come_to_rest()

    def tick(self, now_s: float, measured: Pose | None = None) -> Setpoint:
        """The setpoint at `now_s` [s].

        Args:
            now_s: The present [s].
            measured: End effector in the frame, as new as there is; None leaves the lag unwatched.

        Raises:
            InvalidInputError: a number is not finite, time runs backwards.
            PlayoutError: not begun.
        """
        now_s = self._check_time(now_s)
        place = None if measured is None else Place.of(measured, name="measured")
        self._now_s = now_s
        if now_s >= self._deadline_s:
            self._expired = True
            self._come_to_rest()
        if place is not None and not self._stopped:
            self._watch(place)
        motion, turned = self._plan.at(self._elapsed_s())
        if turned > _MAX_TURN_RAD:
            self._plan_on(motion)
        resting = self._elapsed_s() >= self._plan.duration_s
        self._tick_motion_s, self._tick_s = self._motion_s(), now_s
        return self._setpoint(motion, resting=resting)

    def _base(self, measured: Pose | None) -> Place:
        if self.reference == "target":
            return self._heading if self._waiting else self._goal
        if measured is None:
            raise InvalidInputError("measured: expected the pose that the action is added to, got None")
        return Place.of(measured, name="measured")

    def _motion_s(self) -> float:
        """The present in seconds of motion: the clock that stands still while a tick is overdue."""
        return self._tick_motion_s + min(self._now_s - self._tick_s, self.limits.max_gap_s)

    def _elapsed_s(self) -> float:
        return self._motion_s() - self._start_motion_s

    def _follow(self, plan: Plan) -> None:
        self._plan, self._start_motion_s = plan, self._motion_s()

    def _head_for(self, place: Place, *, at_least_s: float) -> None:
        """From the present state to `place`; a stop, which is counted as dropped, if Ruckig finds no way."""
        motion, _ = self._plan.at(self._elapsed_s())
        plan = self._planner.to(motion, place, at_least_s=at_least_s)
        if plan is None:
            self._come_to_rest()
        else:
            self._heading = place
            self._follow(plan)

    def _come_to_rest(self) -> None:
        elapsed_s = self._elapsed_s()
        motion, _ = self._plan.at(elapsed_s)
        if elapsed_s < self._plan.duration_s:
            self._follow(self._planner.stop(motion))
        end, _ = self._plan.at(self._plan.duration_s)
        self._drop(self._goal, end.place)
        self._goal = self._heading = end.place
        self._deadline_s = math.inf
        self._stopped, self._waiting = True, False

    def _plan_on(self, motion: Motion) -> None:
        """The same motion, counted afresh from here."""
        if self._stopped:
            self._come_to_rest()
            return
        plan = self._planner.to(motion, self._heading, at_least_s=self._plan.duration_s - self._elapsed_s())
        if plan is None:
            self._come_to_rest()
        else:
            self._follow(plan)

    def _watch(self, measured: Place) -> None:
        """Wait, or go on, by how far the setpoint and the goal are from the measured pose."""
        motion, _ = self._plan.at(self._elapsed_s())
        lag_m, lag_rad = measured.distance(motion.place)
        ahead_m, ahead_rad = measured.distance(self._goal)
        limits = self.limits
        reachable = ahead_m <= limits.max_lag_m and ahead_rad <= limits.max_lag_rad
        share = _RELEASE_SHARE if self._waiting else 1.0
        near = lag_m <= share * limits.max_lag_m and lag_rad <= share * limits.max_lag_rad
        if reachable or near:
            if self._waiting:
                self._waiting = False
                self._head_for(self._goal, at_least_s=self.control_period_s)
            return
        self._waiting = True
        turn = (self._goal.rotation * measured.rotation.inv()).as_rotvec()
        within_m, within_rad = (
            min(1.0, limits.max_lag_m / (ahead_m or 1.0)),
            min(1.0, limits.max_lag_rad / (ahead_rad or 1.0)),
        )
        nearer = Place(
            measured.position + within_m * (self._goal.position - measured.position),
            Rotation.from_rotvec(within_rad * turn) * measured.rotation,
        )
        self._head_for(nearer, at_least_s=0.0)

    def _drop(self, wanted: Place, instead: Place) -> None:
        far_m, far_rad = wanted.distance(instead)
        self._dropped_m += far_m
        self._dropped_rad += far_rad

    def _setpoint(self, motion: Motion, *, resting: bool) -> Setpoint:
        off_m, off_rad = motion.place.distance(self._goal) if resting else (math.inf, math.inf)
        return Setpoint(
            Pose(motion.position, motion.turning.rotation.as_quat()),
            motion.velocity,
            motion.acceleration,
            motion.turning.angular_velocity(),
            motion.turning.angular_acceleration(),
            done=off_m <= _AT_GOAL_M and off_rad <= _AT_GOAL_RAD,
            expired=self._expired,
            waiting=self._waiting,
            stopped=self._stopped and not self._expired,
            dropped_m=self._dropped_m,
            dropped_rad=self._dropped_rad,
        )

    def _check_time(self, now_s: float) -> float:
        if not self._started:
            raise PlayoutError("expected `begin` first, got no measured pose to start from")
        now_s = _finite_time(now_s)
        if now_s < self._now_s:
            raise InvalidInputError(f"now_s: expected {self._now_s} or later, got {now_s}")
        return now_s


def _finite_time(now_s: float) -> float:
    if not math.isfinite(now_s):
        raise InvalidInputError(f"now_s: expected a finite number, got {now_s!r}")
    return float(now_s)
