"""Orientation as a rotation vector that moves: its angular velocity and acceleration, and starting it afresh at zero.

A turning orientation is written R(t) = exp(B r(t)) R0, with r the *turn* [rad] in the axes of a basis B. The formulas
for its rates are those of the left Jacobian J of SO(3) (Sola et al., "A micro Lie theory", 2018, (145)):
angular velocity w = J(r) r'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.types import FloatArray

_SERIES_BELOW_RAD = 1e-2


@dataclass(frozen=True, slots=True)
class Turning:
    """An orientation in motion, at the moment at which its turn counts from zero.

    Attributes:
        rotation: The orientation now.
        basis: Axes that turns from here are written in, as columns, shape (3, 3). They turn along by half of each turn,
            which keeps the components of the rates next to those before: limits of each axis go on holding.
        rate, rate_change: First and second derivative of the turn in `basis`, shape (3,) [rad/s, rad/s²]; at a turn of
            zero these are the angular velocity and acceleration.
    """

    rotation: Rotation
    basis: FloatArray
    rate: FloatArray
    rate_change: FloatArray

    @classmethod
    def at_rest(cls, rotation: Rotation) -> Turning:
        """An orientation that stays as it is."""
        return cls(rotation, np.eye(3), np.zeros(3), np.zeros(3))

    def turn_to(self, goal: Rotation) -> FloatArray:
        """The turn that ends at `goal` the shorter way round, in `basis`, shape (3,) [rad]."""
        return np.asarray((goal * self.rotation.inv()).as_rotvec() @ self.basis)

    def after(self, turn: FloatArray, turn_rate: FloatArray, turn_rate_change: FloatArray) -> Turning:
        """The orientation after `turn`, with the derivatives that the turn has there; counted afresh from there."""
        rate, rate_change = angular_rates(turn, turn_rate, turn_rate_change)
        half = Rotation.from_rotvec(0.5 * turn).as_matrix()
        turned = Rotation.from_rotvec(self.basis @ turn) * self.rotation
        return Turning(turned, self.basis @ half, rate @ half, rate_change @ half)

    def angular_velocity(self) -> FloatArray:
        """Along the outer frame's axes, shape (3,) [rad/s]."""
        return np.asarray(self.basis @ self.rate)

    def angular_acceleration(self) -> FloatArray:
        """Along the outer frame's axes, shape (3,) [rad/s²]."""
        return np.asarray(self.basis @ self.rate_change)


def angular_rates(
    turn: FloatArray, turn_rate: FloatArray, turn_rate_change: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Angular velocity and acceleration of exp(turn), from the turn's first and second derivative; each shape (3,).

    With J = I + b [r] + c [r]², [r] the cross product with r:
    w = J r' and w' = J r'' + b' r x r' + c' r x (r x r') + c r' x (r x r').
    """
    b, c, b_slope, c_slope = _coefficients(float(np.linalg.norm(turn)))
    along = float(turn @ turn_rate)
    cross = _cross(turn, turn_rate)
    velocity = turn_rate + b * cross + c * _cross(turn, cross)
    lifted = _cross(turn, turn_rate_change)
    acceleration = turn_rate_change + b * lifted + c * _cross(turn, lifted)
    acceleration += along * (b_slope * cross + c_slope * _cross(turn, cross)) + c * _cross(turn_rate, cross)
    return velocity, acceleration


def _coefficients(angle: float) -> tuple[float, float, float, float]:
    """The factors b = (1 - cos a) / a², c = (a - sin a) / a³, and db/da / a, dc/da / a."""
    square = angle * angle
    if angle < _SERIES_BELOW_RAD:
        return 0.5 - square / 24, 1 / 6 - square / 120, -1 / 12 + square / 180, -1 / 60 + square / 1260
    sin, cos = math.sin(angle), math.cos(angle)
    b, c = (1 - cos) / square, (angle - sin) / (square * angle)
    return b, c, (sin / angle - 2 * b) / square, (b - 3 * c) / square


def _cross(first: FloatArray, second: FloatArray) -> FloatArray:
    (a, b, c), (x, y, z) = first.tolist(), second.tolist()  # np.cross takes ten times as long for one pair
    return np.array([b * z - c * y, c * x - a * z, a * y - b * x])
