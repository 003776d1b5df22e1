"""Speeds that keep an arm on the setpoint's path although it integrates them itself, and drifts."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from ruckig import ControlInterface, InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory
from scipy.spatial.transform import Rotation

from magma_ros.arm import Limits
from magma_ros.errors import InvalidInputError, PlayoutError
from magma_ros.motion import PER_AXIS, Place
from magma_ros.setpoint import PlayoutLimits, Setpoint
from magma_ros.types import FloatArray, Pose

CORRECTION_SHARE = 0.2
"""Of every limit, for correcting drift; the playout has the rest, so that the sum keeps within the whole."""

_MAX_GAP_S = 0.1  # a call that comes later changes the correction as if it had come then
_GAIN_PER_S = 2.0  # with an arm that answers after 0.2 s in all this is damped well: gain times delay is 0.4
_SMOOTHING_S = 0.1  # pose noise of 1 mm moves the arm at 0.6 mm/s


def playout_share(limits: PlayoutLimits) -> PlayoutLimits:
    """What a playout may use of an arm's limits, so that a `TwistTracker` has the rest for its corrections."""
    return limits.times(1.0 - CORRECTION_SHARE)


class TwistTracker:
    """The setpoint's velocity, plus a bounded correction of how far the measured pose is off the setpoint's path.

    An arm is late without being lost: drift is the distance from the path that the setpoint took within the last
    `lag_s`, and not from the setpoint itself, so that an arm which is only late isn't driven beyond its goal. The
    correction fades away when there is no measured pose, when the setpoint was stopped, and `settle_s` after it came to
    rest; drift that is left is corrected during the next motion.
    """

    def __init__(self, limits: Limits, *, lag_s: float = 0.2, settle_s: float = 3.0) -> None:
        """Correct within `CORRECTION_SHARE` of the arm's `limits`; the setpoint must keep within `playout_share`.

        Args:
            limits: Of the arm: what the twists' speeds, accelerations and jerks keep within.
            lag_s: How late the arm and the measurement of its pose are together, at most [s].
            settle_s: How long drift is corrected after the setpoint came to rest [s].

        Raises:
            InvalidInputError: a time that is not finite and at least zero.
        """
        for name, value in (("lag_s", lag_s), ("settle_s", settle_s)):
            if not (math.isfinite(value) and value >= 0):
                raise InvalidInputError(f"{name}: expected a finite time of at least zero, got {value!r}")
        self._lag_s, self._settle_s = lag_s, settle_s
        self._max_speed = np.array(_per_axis(limits.max_speed_m_s, limits.max_speed_rad_s))
        self._ruckig, self._inputs = Ruckig(6), InputParameter(6)
        self._inputs.control_interface = ControlInterface.Velocity
        self._inputs.synchronization = Synchronization.No
        self._inputs.max_acceleration = _per_axis(limits.max_acceleration_m_s2, limits.max_acceleration_rad_s2)
        self._inputs.max_jerk = _per_axis(limits.max_jerk_m_s3, limits.max_jerk_rad_s3)
        self.reset()

    def reset(self) -> None:
        """No motion, no drift and no path; as new."""
        self._path: deque[tuple[float, Place]] = deque()
        self._drift = np.zeros(6)
        self._moved_s = -math.inf
        self._inputs.current_velocity = self._inputs.current_acceleration = [0.0] * 6

    def twist(self, setpoint: Setpoint, measured: Pose | None, *, now_s: float) -> tuple[FloatArray, FloatArray]:
        """Linear [m/s] and angular [rad/s] velocity to command until the next call, along the frame's axes.

        Args:
            setpoint: Of now, from a playout with `playout_share` of the limits.
            measured: End effector in the setpoint's frame, as new as there is; None corrects nothing.
            now_s: The present [s].

        Raises:
            InvalidInputError: a number is not finite, a quaternion has no unit norm, time runs backwards.
            PlayoutError: Ruckig finds no way to change the correction.
        """
        at = Place.of(setpoint.pose, name="setpoint")
        place = None if measured is None else Place.of(measured, name="measured")
        last_s = self._path[-1][0] if self._path else now_s
        if not (math.isfinite(now_s) and now_s >= last_s):
            raise InvalidInputError(f"now_s: expected a finite time of {last_s} or later, got {now_s!r}")
        gap_s = min(now_s - last_s, _MAX_GAP_S)
        self._path.append((now_s, at))
        while self._path[0][0] < now_s - self._lag_s:
            self._path.popleft()
        if not (setpoint.done or setpoint.expired):
            self._moved_s = now_s
        late = now_s > self._moved_s + self._settle_s
        if place is None or setpoint.stopped or late:
            self._drift = np.zeros(6)
        else:
            drift = self._off_path(place)
            self._drift += (drift - self._drift) * -math.expm1(-gap_s / _SMOOTHING_S)
        correction = self._towards(np.clip(_GAIN_PER_S * self._drift, -self._max_speed, self._max_speed), gap_s)
        return setpoint.linear_velocity_m_s + correction[:3], setpoint.angular_velocity_rad_s + correction[3:]

    def _off_path(self, measured: Place) -> FloatArray:
        """From the measured pose to the nearest of the path: [m] and, as rotation vector, [rad]; shape (6,)."""
        places = [*(place for _, place in self._path), measured]
        turned_back = places[-2].rotation.inv()
        *positions, position = np.array([place.position for place in places])
        *turns, turn = (Rotation.concatenate([place.rotation for place in places]) * turned_back).as_rotvec()
        return np.concatenate([_nearest(positions, position) - position, _nearest(turns, turn) - turn])

    def _towards(self, wanted: FloatArray, gap_s: float) -> FloatArray:
        """The correction after `gap_s` on its way to `wanted`, shape (6,); within its shares of the limits."""
        inputs, trajectory = self._inputs, Trajectory(6)
        inputs.target_velocity = wanted.tolist()
        try:
            is_found = self._ruckig.calculate(inputs, trajectory) in (Result.Working, Result.Finished)
        except RuckigError:
            is_found = False
        if not is_found:
            raise PlayoutError(f"expected a way to change the correction, got none from {inputs}")
        _, inputs.current_velocity, inputs.current_acceleration = trajectory.at_time(gap_s)[:3]
        return np.array(inputs.current_velocity)


def _nearest(path: Sequence[FloatArray], point: FloatArray) -> FloatArray:
    """The point nearest to `point` on the line through `path`, points of shape (3,)."""
    corners = np.array([path[0], *path])
    starts, steps = corners[:-1], np.diff(corners, axis=0)
    lengths = np.maximum(np.square(steps).sum(axis=1), np.finfo(float).tiny)
    shares = np.clip(((point - starts) * steps).sum(axis=1) / lengths, 0.0, 1.0)
    feet = starts + shares[:, None] * steps
    return np.asarray(feet[np.argmin(np.square(feet - point).sum(axis=1))])


def _per_axis(linear: float, angular: float) -> list[float]:
    """The correction's share of two limits, for each of six axes."""
    share = CORRECTION_SHARE * PER_AXIS
    return [share * linear] * 3 + [share * angular] * 3
