"""What a playout may ask of an arm, and what it asks at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from magma_ros.errors import ContractError
from magma_ros.types import FloatArray, Pose

_RATES = (("speed", ""), ("acceleration", "2"), ("jerk", "3"))


@dataclass(frozen=True, slots=True)
class PlayoutLimits:
    """How a setpoint may move, and when it stops; lengths of vectors, not of single axes.

    Attributes:
        max_speed_m_s, max_acceleration_m_s2, max_jerk_m_s3: Of the end effector's position.
        max_speed_rad_s, max_acceleration_rad_s2, max_jerk_rad_s3: Of its orientation: the angular velocity and its
            derivatives.
        max_lag_m, max_lag_rad: How far the measured pose may be from the setpoint before the setpoint waits.
        expiry_s: How late, counted from the end of an action's control period, the next may come before the setpoint
            stops [s].
        max_gap_s: A tick that comes later than this after the one before moves the setpoint as if it had come then
            [s]: a process that slept makes the motion late, not a leap.
    """

    max_speed_m_s: float
    max_acceleration_m_s2: float
    max_jerk_m_s3: float
    max_speed_rad_s: float
    max_acceleration_rad_s2: float
    max_jerk_rad_s3: float
    max_lag_m: float
    max_lag_rad: float
    expiry_s: float
    max_gap_s: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise ContractError(f"{field.name}: expected a finite number above zero, got {value!r}")

    def times(self, share: float) -> PlayoutLimits:
        """The same with `share` of every speed, acceleration and jerk; a stop takes as long."""
        names = [f"max_{rate}_{unit}" for rate, power in _RATES for unit in (f"m_s{power}", f"rad_s{power}")]
        return replace(self, **{name: share * getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Where the end effector should be and how fast it should go there, in the playout's frame.

    Attributes:
        pose: Of the end effector, unit quaternion.
        linear_velocity_m_s, linear_acceleration_m_s2: Shape (3,).
        angular_velocity_rad_s, angular_acceleration_rad_s2: Along the frame's axes, shape (3,).
        done: At rest at the goal; nothing moves until the next action.
        expired: The next action was late and nobody said stop: the setpoint comes to rest, and stays.
        waiting: The measured pose is too far behind; the setpoint stays within the allowed lag of it.
        stopped: It was told to stop, or no way on was found: it comes to rest, and stays.
        dropped_m, dropped_rad: What the arm was told but will not do, since `begin`: each stop, expiry, and action
            that came while waiting adds the distance between the goal that was and the goal that is.
    """

    pose: Pose
    linear_velocity_m_s: FloatArray
    linear_acceleration_m_s2: FloatArray
    angular_velocity_rad_s: FloatArray
    angular_acceleration_rad_s2: FloatArray
    done: bool
    expired: bool
    waiting: bool
    stopped: bool
    dropped_m: float
    dropped_rad: float
