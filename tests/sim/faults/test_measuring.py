import math
from dataclasses import replace

import pytest

from magma_ros import arms
from magma_ros.sim.faults.measuring import (
    Measurement,
    Position,
    Report,
    Sample,
    bound_problems,
    closest_pair,
    reason_problems,
    reported,
    stop_time,
    time_problems,
    was_moving,
)
from magma_ros.stops import StopReason

LIMIT_S = 0.12
PERIOD_S = 0.02
LIMITS = arms.load("stand_in").limits
MIDDLE_M = (0.3, 0.0, 0.2)


def commands(*speeds_m_s, from_s=0.0):
    """One command each 20 ms."""
    return [Sample(from_s + PERIOD_S * index, speed, 0.0) for index, speed in enumerate(speeds_m_s)]


def test_the_stop_is_timed_to_the_first_zero():
    """Commands of 0.1 m/s at 0 to 80 ms and zero from 100 ms on stop 90 ms after an onset at 10 ms."""
    assert 0.09 == pytest.approx(stop_time(commands(*[0.1] * 5, *[0.0] * 5), onset_s=0.01))


def test_a_late_command_makes_the_stop_late():
    """A single command of a micrometre and a half a second, 0.4 s after rest was reached, is what counts."""
    recorded = [*commands(*[0.1] * 3, *[0.0] * 20), Sample(0.5, 1.5e-6, 0.0), Sample(0.52, 0.0, 0.0)]
    assert 0.51 == pytest.approx(stop_time(recorded, onset_s=0.01))
    assert time_problems(recorded, onset_s=0.01, limit_s=LIMIT_S)


def test_a_turn_alone_is_motion():
    """An angular speed keeps the arm moving as a linear one does."""
    recorded = [Sample(0.0, 0.1, 0.0), Sample(0.1, 0.0, 0.1), Sample(0.2, 0.0, 0.0)]
    assert 0.15 == pytest.approx(stop_time(recorded, onset_s=0.05))


def test_a_command_that_is_not_finite_is_motion():
    """NaN is not zero."""
    assert 0.04 == pytest.approx(stop_time(commands(0.1, math.nan, 0.0), onset_s=1e-9), abs=1e-6)


def test_silence_is_timed_to_the_last_motion():
    """Where no zero follows, as after kill -9, the last command that was not zero counts."""
    assert 0.05 == pytest.approx(stop_time(commands(0.1, 0.1, 0.1, 0.1), onset_s=0.01))


def test_no_motion_after_the_onset_takes_no_time():
    """Zeros alone stop in 0 s."""
    assert 0.0 == stop_time(commands(0.1, 0.0, 0.0), onset_s=0.01)


def test_a_stop_in_time_is_no_problem():
    """0.09 s are within 0.12 s."""
    assert [] == time_problems(commands(*[0.1] * 5, *[0.0] * 30), onset_s=0.01, limit_s=LIMIT_S)


def test_a_stop_that_takes_too_long_is_named():
    """A ramp of 0.15 s fails, and says how long it took."""
    (problem,) = time_problems(commands(*[0.1] * 8, *[0.0] * 30), onset_s=0.01, limit_s=LIMIT_S)
    assert "0.150" in problem


def test_an_arm_at_rest_proves_nothing():
    """A fault injected into an arm that was not told to move is a failure, not a stop in 0 s."""
    (problem,) = time_problems(commands(*[0.0] * 30), onset_s=0.3, limit_s=LIMIT_S)
    assert "nothing was measured" in problem
    assert Measurement("nan", 0.0, LIMIT_S, problems=(problem,)).is_void
    assert not Measurement("nan", 0.2, LIMIT_S, problems=("too late",)).is_void
    assert not was_moving([], onset_s=0.3)


def test_motion_within_the_bounds_is_no_problem():
    """The arm's own speed and the middle of its workspace pass."""
    assert [] == bound_problems(commands(LIMITS.max_speed_m_s), [Position(0.0, MIDDLE_M)], LIMITS)


@pytest.mark.parametrize(
    "sample",
    [
        Sample(0.0, 1.01 * LIMITS.max_speed_m_s, 0.0),
        Sample(0.0, 0.0, 1.01 * LIMITS.max_speed_rad_s),
        Sample(0.0, math.nan, 0.0),
        Sample(0.0, 0.0, math.inf),
    ],
)
def test_one_command_out_of_bounds_is_a_problem(sample):
    """One command of many that is too fast or not finite is enough."""
    assert 1 == len(bound_problems([*commands(0.1, 0.1), sample], [], LIMITS))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_setpoint_out_of_the_box_is_a_problem(axis):
    """One setpoint beyond the box and its margin is enough, on each axis and each side."""
    margin = LIMITS.workspace.margin_m
    for wall_m in (LIMITS.workspace.min_m[axis] - 1.1 * margin, LIMITS.workspace.max_m[axis] + 1.1 * margin):
        outside = Position(0.0, (*MIDDLE_M[:axis], wall_m, *MIDDLE_M[axis + 1 :]))
        (problem,) = bound_problems([], [Position(0.0, MIDDLE_M), outside], LIMITS)
        assert f"{'xyz'[axis]} {wall_m:.3f}" in problem


HELD = Report(1.0, "policy_status", "non_finite")
HALTED = Report(1.0, "motion_status", "emergency_stop", halted=True)


def test_the_reason_has_to_be_reported_after_the_onset():
    """A reason from before the fault, or another one, does not count."""
    expected = (StopReason.NON_FINITE,)
    assert [] == reason_problems([HELD], onset_s=0.5, reasons=expected, halts=False)
    assert reason_problems([HELD], onset_s=1.5, reasons=expected, halts=False)
    assert reason_problems([replace(HELD, reason="stale_state")], onset_s=0.5, reasons=expected, halts=False)
    assert [] == reason_problems([], onset_s=0.5, reasons=(), halts=False)


def test_a_reason_that_halts_needs_a_halted_arm():
    """The words alone are not enough: the motion node has to be halted."""
    expected = (StopReason.EMERGENCY_STOP,)
    assert [] == reason_problems([HALTED], onset_s=0.5, reasons=expected, halts=True)
    (problem,) = reason_problems([replace(HALTED, halted=False)], onset_s=0.5, reasons=expected, halts=True)
    assert "halted" in problem


def test_the_expected_reason_is_what_is_shown():
    """Another reason that was heard first does not hide it; without it the first one is shown."""
    heard = [Report(0.6, "policy_status", "stale_state"), HELD]
    assert "non_finite" == reported(heard, onset_s=0.5, reasons=(StopReason.NON_FINITE,))
    assert "stale_state" == reported(heard, onset_s=0.5, reasons=(StopReason.CLOCK_JUMP,))
    assert not reported(heard, onset_s=2.0, reasons=())


def test_the_closest_pair_of_goals():
    """The shortest distance counts; one goal has none."""
    assert 0.2 == pytest.approx(closest_pair([0.0, 0.5, 0.7, 1.5]))
    assert math.inf == closest_pair([1.0])
