"""Motions of a pose with bounded speed, acceleration and jerk; Ruckig plans them from any state to rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from ruckig import ControlInterface, InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory
from scipy.spatial.transform import Rotation

from magma_ros.errors import InvalidInputError, PlayoutError
from magma_ros.turning import Turning
from magma_ros.types import FloatArray, Pose

FALLBACKS = ("time", "unsynchronised", "rest")
"""What is done, in turn, where Ruckig finds no way: 2 % more time, each axis on its own, none at all."""
PER_AXIS = 1.0 / math.sqrt(3.0)  # three axes at this share of a limit have the limit's length together
TURN_SHARE = 0.9  # left of an angular limit for the difference between a turn's derivatives and angular rates


@dataclass(frozen=True, slots=True)
class Place:
    """A pose that was checked.

    Attributes:
        position: Shape (3,) [m].
        rotation: The orientation.
    """

    position: FloatArray
    rotation: Rotation

    @classmethod
    def of(cls, pose: Pose, *, name: str) -> Place:
        """The place of `pose`.

        Raises:
            InvalidInputError: a number is not finite, or the quaternion has not unit norm.
        """
        norm = float(np.linalg.norm(pose.quat_xyzw))
        if not (np.isfinite(pose.position_m).all() and abs(norm - 1.0) < 1e-3):
            raise InvalidInputError(f"{name}: expected finite numbers and a unit quaternion, got {pose}")
        return cls(pose.position_m, Rotation.from_quat(np.array(pose.quat_xyzw)))

    def distance(self, other: Place) -> tuple[float, float]:
        """[m] and [rad]."""
        ours, theirs = self.rotation.as_quat(canonical=True), other.rotation.as_quat(canonical=True)
        if ours @ theirs < 0:
            theirs = -theirs
        # Exact for small angles, where the arc cosine of the dot product is not.
        turn = 4.0 * math.atan2(float(np.linalg.norm(ours - theirs)), float(np.linalg.norm(ours + theirs)))
        return float(np.linalg.norm(other.position - self.position)), turn


@dataclass(frozen=True, slots=True)
class Motion:
    """A setpoint's state at one moment: position [m] and its derivatives, each of shape (3,), and orientation."""

    position: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    turning: Turning

    @property
    def place(self) -> Place:
        """Where it is, without how it moves."""
        return Place(self.position, self.turning.rotation)


@dataclass(frozen=True, slots=True)
class Plan:
    """A trajectory of (position, turn) from `start`; `trajectory` is None at rest."""

    start: Motion
    trajectory: Trajectory | None = None

    @property
    def duration_s(self) -> float:
        """From the start until rest [s]."""
        return 0.0 if self.trajectory is None else float(self.trajectory.duration)

    def at(self, elapsed_s: float) -> tuple[Motion, float]:
        """The motion `elapsed_s` after the start, and how far it has turned since [rad]; at rest after the end."""
        if self.trajectory is None:
            return self.start, 0.0
        values = self.trajectory.at_time(min(elapsed_s, self.duration_s))
        place, rate, rate_change = (np.array(value) for value in values[:3])
        if elapsed_s >= self.duration_s:
            rate, rate_change = np.zeros(6), np.zeros(6)
        turning = self.start.turning.after(place[3:], rate[3:], rate_change[3:])
        return Motion(place[:3], rate[:3], rate_change[:3], turning), float(np.linalg.norm(place[3:]))


class Planner:
    """Time-optimal motion within the limits, over three axes of position and three of the turn."""

    def __init__(
        self, *, speed: tuple[float, float], acceleration: tuple[float, float], jerk: tuple[float, float]
    ) -> None:
        """Limits of the length of each vector: (of the position [m/s, ...], of the orientation [rad/s, ...])."""
        self._ruckig = Ruckig(6)
        self.num_fallbacks = dict.fromkeys(FALLBACKS, 0)  # by what was done next
        self._speed, self._acceleration, self._jerk = _per_axis(speed), _per_axis(acceleration), _per_axis(jerk)

    def to(self, start: Motion, goal: Place, *, at_least_s: float) -> Plan | None:
        """To rest at `goal` in `at_least_s`, or as soon as the limits allow; None when Ruckig finds no way."""
        inputs = self._inputs(start)
        inputs.target_position = [*goal.position, *start.turning.turn_to(goal.rotation)]
        # A straight line from rest. At the edge of a limit Ruckig may fail to make the axes end together in a given
        # time (its "step 2"); a slightly longer time, or each axis on its own, has the same end and limits.
        for synchronization, duration_s, fallback in (
            (Synchronization.Phase, at_least_s, "time"),
            (Synchronization.Time, 1.02 * at_least_s, "unsynchronised"),
            (Synchronization.No, 0.0, "rest"),
        ):
            inputs.synchronization = synchronization
            inputs.minimum_duration = duration_s if duration_s > 0 else None
            plan = self._plan(start, inputs)
            if plan is not None:
                return plan
            self.num_fallbacks[fallback] += 1
        return None

    def stop(self, start: Motion) -> Plan:
        """To rest, each axis as soon as it can.

        Raises:
            PlayoutError: Ruckig finds no way to stop from `start`.
        """
        inputs = self._inputs(start)
        inputs.control_interface = ControlInterface.Velocity
        inputs.synchronization = Synchronization.No
        plan = self._plan(start, inputs)
        if plan is None:
            raise PlayoutError(f"expected a way to stop, got none from {inputs}")
        return plan

    def _inputs(self, start: Motion) -> InputParameter:
        inputs = InputParameter(6)
        inputs.max_velocity, inputs.max_acceleration, inputs.max_jerk = self._speed, self._acceleration, self._jerk
        inputs.current_position = [*start.position, 0.0, 0.0, 0.0]
        inputs.current_velocity = [*start.velocity, *start.turning.rate]
        inputs.current_acceleration = [*start.acceleration, *start.turning.rate_change]
        return inputs

    def _plan(self, start: Motion, inputs: InputParameter) -> Plan | None:
        trajectory = Trajectory(6)
        try:
            found = self._ruckig.calculate(inputs, trajectory) in (Result.Working, Result.Finished)
        except RuckigError:  # how it says in Python that it found none
            return None
        return Plan(start, trajectory) if found else None


def _per_axis(limit: tuple[float, float]) -> list[float]:
    linear, angular = limit
    return [linear * PER_AXIS] * 3 + [angular * PER_AXIS * TURN_SHARE] * 3
