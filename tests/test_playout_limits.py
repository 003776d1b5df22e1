"""Setpoints of thousands of motions that chance makes up: where they end, and that no limit is passed on the way."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros.geometry import compose_ee_delta, quat_distance_rad
from magma_ros.playout import Playout, PlayoutLimits, Setpoint
from magma_ros.types import Action, Pose
from tests.playouts import HOME, LIMITS, PERIOD_S, SLOW, make_action, make_playout, run

SLACK = 1.0 + 1e-6


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


@pytest.mark.parametrize("stop_s", [math.inf, 1.8])
def test_a_long_turn_is_one_motion(stop_s: float) -> None:
    """Planned afresh on its way, a turn keeps its limits, its time and its end; after a stop it rests on its way."""
    limits = dataclasses.replace(SLOW, expiry_s=10.0)
    playout = make_playout(limits, control_period_s=2.0)
    turn = np.array([1.2, -0.9, 0.6])
    playout.accept(make_action(np.concatenate([[0.1, 0, 0], turn, [1.0]])), 0.0)
    seen, stopped = [], False
    for now_s in np.arange(0.0, 6.0, 0.02):
        if now_s >= stop_s:
            playout.stop(float(now_s))
            stop_s, stopped = math.inf, True
        seen.append((float(now_s), playout.tick(float(now_s))))
    assert_within_limits(seen, limits)
    end = seen[-1][1]
    assert end.done
    assert stopped == end.stopped
    turned = (Rotation.from_quat(end.pose.quat_xyzw) * Rotation.from_quat(HOME.quat_xyzw).inv()).as_rotvec()
    if stopped:
        assert np.linalg.norm(turned) + end.dropped_rad == pytest.approx(np.linalg.norm(turn), abs=2e-2)
        return
    assert 3.9 <= next(now_s for now_s, setpoint in seen if setpoint.done) <= 4.1
    np.testing.assert_allclose(turn, turned, atol=1e-5)
    assert end.dropped_rad <= 1e-5


def test_the_ways_round_are_counted() -> None:
    """A motion that Ruckig finds no synchronised way for is counted as taken without one; plain motions are not."""
    playout = make_playout()
    playout.accept(make_action(), 0.0)
    run(playout, 0.0, 1.0)
    assert {"time": 0, "unsynchronised": 0, "rest": 0} == playout.num_fallbacks
    play(playout := make_playout(), np.random.default_rng(2588), faithful=False)
    assert playout.num_fallbacks["time"] == 1


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
