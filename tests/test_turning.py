"""Rates of an orientation, against differences of the orientation itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.turning import Turning, angular_rates


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.0099, 0.0101, 0.5, 2.0])
def test_rates_are_the_derivatives_of_the_orientation(angle: float) -> None:
    """Angular velocity and acceleration agree with central differences of exp(turn(t))."""
    rng = np.random.default_rng(7)
    turn, rate, change = rng.normal(size=(3, 3))
    turn *= angle / np.linalg.norm(turn)
    step_s = 1e-4

    def velocity_at(t: float) -> np.ndarray:
        before, after = (Rotation.from_rotvec(turn + rate * u + change * u * u / 2) for u in (t - step_s, t + step_s))
        return (after * before.inv()).as_rotvec() / (2 * step_s)

    velocity, acceleration = angular_rates(turn, rate, change)
    np.testing.assert_allclose(velocity_at(0.0), velocity, atol=1e-6)
    expected = (velocity_at(10 * step_s) - velocity_at(-10 * step_s)) / (20 * step_s)
    np.testing.assert_allclose(expected, acceleration, atol=1e-4)


def test_counting_afresh_changes_neither_orientation_nor_rates() -> None:
    """After a turn, rates in the new basis are those before, in the outer frame's axes."""
    rng = np.random.default_rng(8)
    start = Turning.at_rest(Rotation.random(rng=rng)).after(*rng.normal(size=(3, 3)))
    turn, rate, change = rng.normal(size=(3, 3)) * 0.4
    after = start.after(turn, rate, change)
    velocity, acceleration = angular_rates(start.basis @ turn, start.basis @ rate, start.basis @ change)
    np.testing.assert_allclose(velocity, after.angular_velocity(), atol=1e-12)
    np.testing.assert_allclose(acceleration, after.angular_acceleration(), atol=1e-12)
    np.testing.assert_allclose(turn, start.turn_to(after.rotation), atol=1e-12)
