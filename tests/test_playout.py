"""From actions to setpoints: net motion, limits, stops, and an arm that does not follow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.errors import ContractError, InvalidInputError, PlayoutError
from magma_ros.geometry import compose_ee_delta, quat_distance_rad
from magma_ros.playout import Playout, PlayoutLimits, Setpoint
from magma_ros.types import Action, Pose
from tests.examples import CONTRACT

PERIOD_S = 0.2
LIMITS = PlayoutLimits(
    max_speed_m_s=0.4,
    max_acceleration_m_s2=4.0,
    max_jerk_m_s3=60.0,
    max_speed_rad_s=3.0,
    max_acceleration_rad_s2=30.0,
    max_jerk_rad_s3=400.0,
    max_lag_m=0.02,
    max_lag_rad=0.2,
    expiry_s=0.3,
)
SLOW = dataclasses.replace(
    LIMITS, max_acceleration_m_s2=0.5, max_jerk_m_s3=3.0, max_acceleration_rad_s2=2.0, max_jerk_rad_s3=12.0
)
HOME = Pose(np.array([0.3, 0.0, 0.2]), np.array([0.5, -0.5, 0.5, 0.5]))
STEP = np.array([0.01, -0.005, 0.0, 0.05, 0.0, -0.03, 1.0])
SLACK = 1.0 + 1e-6


def make_action(row: np.ndarray = STEP, *, frame: str = "base_link") -> Action:
    return Action.from_array(row, frame=frame)


def make_playout(limits: PlayoutLimits = LIMITS, **changes: object) -> Playout:
    playout = Playout(limits, **{"frame": "base_link", "control_period_s": PERIOD_S, **changes})
    playout.begin(HOME, 0.0)
    return playout


def ticks(rng: np.random.Generator, start_s: float) -> Iterator[float]:
    """50 Hz with jitter."""
    now_s = start_s
    while True:
        yield now_s
        now_s += rng.uniform(0.01, 0.03)


def random_action(rng: np.random.Generator, *, longest_m: float, longest_rad: float) -> Action:
    vectors = rng.normal(size=(2, 3))
    vectors *= np.array([[longest_m], [longest_rad]]) * rng.random((2, 1)) / np.linalg.norm(vectors, axis=1)[:, None]
    return make_action(np.append(vectors, 1.0))


def play(playout: Playout, rng: np.random.Generator, *, faithful: bool) -> tuple[list[tuple[float, Setpoint]], Pose]:
    """Actions that come late, jittered or not at all until rest; unless `faithful`, too long ones and stops as well."""
    seen, wanted = [], HOME
    longest = {"longest_m": 0.03, "longest_rad": 0.25} if faithful else {"longest_m": 0.3, "longest_rad": 1.5}
    left, due_s = int(rng.integers(1, 8)), 0.0
    for now_s in ticks(rng, 0.0):
        while left and due_s <= now_s:
            action = random_action(rng, **longest)
            playout.accept(action, due_s)
            wanted = Pose(*compose_ee_delta(wanted.position_m, wanted.quat_xyzw, action))
            left -= 1
            late_s = rng.choice([0.0, 0.03, 0.2, 1.0], p=[0.5, 0.3, 0.15, 0.05])
            due_s = max(now_s, due_s + PERIOD_S + late_s + rng.normal(0, 0.01))
        if not faithful and rng.random() < 0.01:
            playout.stop(now_s)
        seen.append((now_s, playout.tick(now_s)))
        if not left and seen[-1][1].done and now_s > due_s + 0.6:
            return seen, wanted
    raise AssertionError


def longest_of(values: np.ndarray) -> float:
    return float(np.linalg.norm(values, axis=-1).max())


def assert_within_limits(seen: list[tuple[float, Setpoint]], limits: PlayoutLimits) -> None:
    """The setpoint's own values and their finite differences; a mean over a gap can't exceed what it is the mean of."""
    gap_s = np.diff([now_s for now_s, _ in seen])[:, None]
    position = np.array([s.pose.position_m for _, s in seen])
    turned = Rotation.from_quat([s.pose.quat_xyzw for _, s in seen])
    angles = (turned[1:] * turned[:-1].inv()).magnitude()
    assert longest_of(np.diff(position, axis=0) / gap_s) <= limits.max_speed_m_s * SLACK
    assert (angles / gap_s[:, 0]).max() <= limits.max_speed_rad_s * SLACK
    for kind, unit in (("linear", "m_s"), ("angular", "rad_s")):
        speed = np.array([getattr(s, f"{kind}_velocity_{unit}") for _, s in seen])
        acceleration = np.array([getattr(s, f"{kind}_acceleration_{unit}2") for _, s in seen])
        assert longest_of(speed) <= getattr(limits, f"max_speed_{unit}") * SLACK
        allowed = getattr(limits, f"max_acceleration_{unit}2") * SLACK
        assert longest_of(acceleration) <= allowed
        assert longest_of(np.diff(speed, axis=0) / gap_s) <= allowed
        assert longest_of(np.diff(acceleration, axis=0) / gap_s) <= getattr(limits, f"max_jerk_{unit}3") * SLACK


def test_the_ways_round_are_counted() -> None:
    """A motion that Ruckig finds no synchronised way for is counted as taken without one; plain motions are not."""
    playout = make_playout()
    playout.accept(make_action(), 0.0)
    run(playout, 0.0, 1.0)
    assert {"time": 0, "unsynchronised": 0, "halt": 0} == playout.num_fallbacks
    play(playout := make_playout(), np.random.default_rng(2588), faithful=False)
    assert playout.num_fallbacks["time"] == 1


def run(playout: Playout, start_s: float, end_s: float, **options: object) -> Setpoint:
    for now_s in np.arange(start_s, end_s, 0.02):
        setpoint = playout.tick(float(now_s), **options)
    return setpoint


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


def test_a_blocked_arm_is_not_told_to_be_ever_further_away() -> None:
    """Twenty actions against a wall leave the setpoint at the allowed lag; one back brings it nearer."""
    playout = make_playout()
    down, now_s = make_action(np.array([0, 0, -0.01, 0, 0, 0, 1.0])), 0.0
    for _ in range(20):
        playout.accept(down, now_s)
        setpoint = run(playout, now_s, now_s + PERIOD_S - 0.01, measured=HOME)
        now_s += PERIOD_S
    assert setpoint.waiting
    lag_m = HOME.position_m[2] - setpoint.pose.position_m[2]
    assert lag_m == pytest.approx(LIMITS.max_lag_m, abs=2e-3)
    assert setpoint.dropped_m > 0.1
    up = make_action(np.array([0, 0, 0.01, 0, 0, 0, 1.0]))
    playout.accept(up, now_s)
    back = run(playout, now_s, now_s + 0.45, measured=HOME)
    assert HOME.position_m[2] - back.pose.position_m[2] == pytest.approx(lag_m - 0.01, abs=2e-3)


def test_a_slow_arm_gets_all_of_its_motion() -> None:
    """An arm that follows at a tenth of the speed is waited for, and ends where the action leads."""
    playout = make_playout(dataclasses.replace(LIMITS, expiry_s=10.0))
    playout.accept(make_action(np.array([0.08, 0, 0, 0, 0, 0, 1.0])), 0.0)
    position, waited = HOME.position_m.copy(), False
    for now_s in np.arange(0.0, 5.0, 0.02):
        setpoint = playout.tick(float(now_s), Pose(position, HOME.quat_xyzw))
        waited |= setpoint.waiting
        position = position + np.clip(setpoint.pose.position_m - position, -8e-4, 8e-4)
    assert waited
    assert setpoint.done
    np.testing.assert_allclose(HOME.position_m + np.array([0.08, 0, 0]), setpoint.pose.position_m, atol=1e-6)
    assert setpoint.dropped_m == 0


def test_actions_add_to_the_measured_pose_where_the_contract_says_so() -> None:
    """With reference "measured", the setpoint ends one displacement from the pose given with the action."""
    playout = make_playout(reference="measured")
    measured = Pose(HOME.position_m + 0.004, HOME.quat_xyzw)
    playout.accept(make_action(), 0.0, measured=measured)
    end = run(playout, 0.0, 1.0)
    np.testing.assert_allclose(measured.position_m + STEP[:3], end.pose.position_m, atol=1e-9)
    with pytest.raises(InvalidInputError, match="measured"):
        playout.accept(make_action(), 1.0)


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
    with pytest.raises(ContractError, match="tool0"):
        playout.accept(make_action(frame="tool0"), 1.0)
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


@pytest.mark.parametrize("block", range(4))
@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_net_motion_equals_the_actions_within_the_limits(block: int, seed: int) -> None:
    """However late the actions come, and if some never do, the setpoint settles where they lead."""
    seen, wanted = play(make_playout(), np.random.default_rng([block, seed]), faithful=True)
    end = seen[-1][1]
    assert np.linalg.norm(end.pose.position_m - wanted.position_m) <= 1e-6
    assert quat_distance_rad(end.pose.quat_xyzw, wanted.quat_xyzw) <= 1e-5
    assert end.dropped_m <= 1e-6
    assert_within_limits(seen, LIMITS)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limits=st.sampled_from([LIMITS, SLOW]))
@example(seed=2588, limits=LIMITS)  # Ruckig 0.19.4 finds no synchronised way there
def test_limits_hold_beyond_what_can_be_played(seed: int, limits: PlayoutLimits) -> None:
    """Actions ten times too long, stops and expiry at any moment: no limit is passed, and it comes to rest."""
    seen, _ = play(make_playout(limits), np.random.default_rng(seed), faithful=False)
    assert_within_limits(seen, limits)
    assert longest_of(seen[-1][1].linear_velocity_m_s) == 0
