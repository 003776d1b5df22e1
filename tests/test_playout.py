"""From actions to setpoints: times, stops and refusals; what limits and the measured pose do has files of its own."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.errors import ContractError, InvalidInputError, PlayoutError
from magma_ros.playout import Playout, PlayoutLimits
from magma_ros.types import Action, Pose
from tests.examples import CONTRACT
from tests.playouts import HOME, LIMITS, PERIOD_S, SLOW, STEP, make_action, make_playout, run


@pytest.mark.parametrize(
    "changes",
    [
        {"frame": ""},
        {"reference": "zero"},
        *({"control_period_s": value} for value in (0.0, 9e-4, math.nan, math.inf)),
        *({"spread": value} for value in (0.99, -1.0, math.nan, math.inf)),
    ],
)
def test_a_playout_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    """No frame, an unknown reference, a period below a millisecond, a motion that is shorter than its period."""
    with pytest.raises(ContractError, match=f"{next(iter(changes.values()))!r}"):
        make_playout(**changes)
    assert make_playout(control_period_s=1e-3, spread=1.0).tick(0.0).done


@pytest.mark.parametrize(("spread", "rest_s"), [(1.0, 0.2), (1.5, 0.3), (2.0, 0.4), (9.0, 0.5)])
def test_a_motion_takes_its_control_periods(spread: float, rest_s: float) -> None:
    """It is at rest `spread` periods after its action, or when it would expire if that is sooner, and no earlier."""
    playout = make_playout(spread=spread)
    playout.accept(make_action(0.5 * STEP), 0.0)
    assert not run(playout, 0.0, rest_s - 2e-3).done
    rest = playout.tick(rest_s + 1e-9)
    assert rest.done
    assert rest.dropped_m <= 1e-9
    np.testing.assert_allclose(HOME.position_m + 0.5 * STEP[:3], rest.pose.position_m, atol=1e-9)
    np.testing.assert_allclose(np.zeros(3), rest.linear_velocity_m_s, atol=1e-9)


def test_an_action_expires_at_its_time_and_the_next_one_ends_that() -> None:
    """One control period and the allowed delay after an action, not before, the setpoint says that none came."""
    playout = make_playout()
    playout.accept(make_action(), 1.0)
    due_s = 1.0 + PERIOD_S + LIMITS.expiry_s
    assert not playout.tick(due_s - 1e-6).expired
    assert playout.tick(due_s).expired
    playout.accept(make_action(), due_s)
    assert not playout.tick(due_s).expired


def test_a_beginning_forgets_all_before() -> None:
    """Wherever the setpoint went, it rests at the new pose, with nothing dropped and nobody late."""
    playout = make_playout()
    playout.accept(make_action(), 0.0)
    playout.tick(0.1)
    playout.stop(0.1)
    elsewhere = Pose(HOME.position_m + 0.5, np.array([0.0, 0.0, 0.0, 1.0]))
    playout.begin(elsewhere, 0.05)
    there = playout.tick(9.0)
    assert (True, False, False, False) == (there.done, there.expired, there.waiting, there.stopped)
    assert (0.0, 0.0) == (there.dropped_m, there.dropped_rad)
    np.testing.assert_array_equal(elsewhere.position_m, there.pose.position_m)
    np.testing.assert_array_equal(elsewhere.quat_xyzw, there.pose.quat_xyzw)


def test_turns_of_half_a_circle_are_refused() -> None:
    """Which way round pi is cannot be said; just below it can."""
    playout = make_playout(dataclasses.replace(LIMITS, expiry_s=10.0))
    for turn in (math.pi, 4.0):
        with pytest.raises(InvalidInputError, match="pi"):
            playout.accept(make_action(np.array([0, 0, 0, turn, 0, 0, 1.0])), 0.0)
    playout.accept(make_action(np.array([0, 0, 0, 3.1, 0, 0, 1.0])), 0.0)
    end = run(playout, 0.0, 5.0)
    turned = Rotation.from_quat(end.pose.quat_xyzw) * Rotation.from_quat(HOME.quat_xyzw).inv()
    np.testing.assert_allclose([3.1, 0, 0], turned.as_rotvec(), atol=1e-5)


@pytest.mark.parametrize("at_s", [0.02, 0.1, 0.2, 0.29])
def test_a_stop_is_smooth_and_counted(at_s: float) -> None:
    """From any moment of a motion the setpoint comes to rest, and says how much it did not do."""
    playout = make_playout()
    playout.accept(make_action(), 0.0)
    run(playout, 0.0, at_s)
    playout.stop(at_s)
    end = run(playout, at_s, at_s + 1.0)
    assert end.done
    assert end.stopped
    assert not end.expired
    missing_m = np.linalg.norm(HOME.position_m + STEP[:3] - end.pose.position_m)
    assert missing_m == pytest.approx(end.dropped_m, abs=1e-9)


@pytest.mark.parametrize("name", arms.available())
def test_a_stop_takes_a_tenth_of_a_second_whenever_it_is_told(name: str) -> None:
    """Also while the setpoint speeds up or slows down, it is at rest 0.1 s after the stop."""
    limits = arms.playout_limits(arms.load(name), CONTRACT)
    reach = make_action([limits.max_speed_m_s, 0, 0, min(3.0, limits.max_speed_rad_s), 0, 0, 1.0])
    for at_s in np.arange(0.01, 0.2, 0.01):
        playout = make_playout(limits, control_period_s=1.0, spread=1.0)
        playout.accept(reach, 0.0)
        playout.tick(float(at_s))
        playout.stop(float(at_s))
        assert playout.tick(float(at_s) + 0.1).done, at_s


def test_a_late_action_stops_the_setpoint_and_the_next_goes_on_from_there() -> None:
    """A motion that the limits make too slow is cut at expiry; the goal is then where the setpoint stopped."""
    playout = make_playout(SLOW)
    playout.accept(make_action(np.array([0.3, 0, 0, 0, 0, 0, 1.0])), 0.0)
    assert not run(playout, 0.0, PERIOD_S + LIMITS.expiry_s - 0.01).expired
    stopped = run(playout, PERIOD_S + LIMITS.expiry_s, 3.0)
    assert stopped.expired
    assert stopped.done
    assert not stopped.stopped
    assert stopped.dropped_m > 0.1
    playout.accept(make_action(), 3.0)
    end = run(playout, 3.0, 4.5)
    np.testing.assert_allclose(stopped.pose.position_m + STEP[:3], end.pose.position_m, atol=1e-3)


def test_a_stop_after_an_action_was_late_is_a_stop() -> None:
    """Who is told to stop corrects nothing any more; expiry alone does not say so."""
    playout = make_playout()
    playout.accept(make_action(), 0.0)
    assert run(playout, 0.0, 3.0).expired
    playout.stop(3.0)
    told = playout.tick(3.0)
    assert told.stopped
    assert not told.expired


def test_a_process_that_slept_makes_the_motion_late_not_a_leap() -> None:
    """After a pause of five seconds, the setpoint has moved by what `max_gap_s` allows."""
    playout = make_playout()
    playout.accept(make_action(np.array([0.05, 0, 0, 0, 0, 0, 1.0])), 0.0)
    before = playout.tick(0.1)
    after = playout.tick(5.1)
    moved_m = np.linalg.norm(after.pose.position_m - before.pose.position_m)
    assert moved_m <= LIMITS.max_speed_m_s * LIMITS.max_gap_s
    assert after.expired


def refused_action(index: int, value: float) -> Action:
    row = STEP.copy()
    row[index] = value
    return make_action(row)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("index", range(6))
def test_numbers_that_are_not_finite_are_refused_and_change_nothing(index: int, value: float) -> None:
    """One NaN or infinity in an action raises, and the setpoint stays where it was going."""
    playout = make_playout()
    with pytest.raises(InvalidInputError):
        playout.accept(refused_action(index, value), 0.0)
    np.testing.assert_array_equal(HOME.position_m, run(playout, 0.0, 1.0).pose.position_m)


def test_bad_frames_times_poses_and_order_are_refused() -> None:
    """Another frame, time that is not finite or runs backwards, a broken pose, a playout that was not begun."""
    playout = make_playout()
    playout.tick(1.0)
    for frame in ("a_frame", "tool0"):
        with pytest.raises(ContractError, match=frame):
            playout.accept(make_action(frame=frame), 1.0)
    for now_s in (0.5, math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="now_s"):
            playout.tick(now_s)
    for broken in (Pose([math.nan, 0, 0], [0, 0, 0, 1]), Pose([0, 0, 0], [0, 0, 0, 0]), Pose([0, 0, 0], [0, 0, 0, 2])):
        with pytest.raises(InvalidInputError, match="measured"):
            playout.tick(1.0, broken)
    with pytest.raises(PlayoutError, match="begin"):
        Playout(LIMITS, frame="base_link", control_period_s=0.2).tick(0.0)
    assert playout.tick(1.0).done


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(PlayoutLimits)])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_limits_are_positive_numbers(name: str, value: float) -> None:
    """A limit that is zero, negative or not finite is refused by name."""
    with pytest.raises(ContractError, match=name):
        dataclasses.replace(LIMITS, **{name: value})
