"""Arms that are late, noisy, and drift: where they end up, and what they are told on the way."""

from __future__ import annotations

import dataclasses
import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.arm import Limits
from magma_ros.errors import InvalidInputError
from magma_ros.geometry import compose_ee_delta, quat_distance_rad
from magma_ros.playout import Playout, PlayoutLimits, Setpoint
from magma_ros.servoing import CORRECTION_SHARE, TwistTracker, playout_share
from magma_ros.sim.kinematic_arm import DriverFault, KinematicArm
from magma_ros.types import Action, Pose

PERIOD_S = 0.2
ARM = arms.load("ur5e").limits
HOME = Pose(np.array([0.3, 0.0, 0.2]), np.array([0.5, -0.5, 0.5, 0.5]))
NOISE_M, NOISE_RAD = 1e-3, math.radians(0.3)
STEP = np.array([0.012, -0.005, 0.0, 0.03, 0.0, -0.02, 1.0])
SLACK = 1.0 + 1e-6


def limits_of(arm: Limits) -> PlayoutLimits:
    names = ("speed_m_s", "acceleration_m_s2", "jerk_m_s3", "speed_rad_s", "acceleration_rad_s2", "jerk_rad_s3")
    rates = {f"max_{name}": getattr(arm, f"max_{name}") for name in names}
    return PlayoutLimits(**rates, max_lag_m=arm.max_lag_m, max_lag_rad=arm.max_lag_rad, expiry_s=0.3)


class Rig:
    """A playout, an arm that takes poses or twists, and a measurement of it that is late and noisy."""

    def __init__(
        self, *, twist: bool, lag_s: float = 0.1, delay_s: float = 0.0, gain: float = 1.0, noise: float = 0.0
    ) -> None:
        scale = gain * np.eye(3)
        self.arm = KinematicArm(
            HOME, lag_s=lag_s, max_speed_m_s=10.0, max_speed_rad_s=10.0, fault=DriverFault(scale, scale)
        )
        self.tracker = TwistTracker(ARM) if twist else None
        limits = playout_share(limits_of(ARM)) if twist else limits_of(ARM)
        self.playout = Playout(limits, frame="base_link", control_period_s=PERIOD_S)
        self.playout.begin(HOME, 0.0)
        self._rng = np.random.default_rng(0)
        self._noise, self._delay_s, self._seen = noise, delay_s, deque([(0.0, HOME)])
        self.now_s = 0.0
        self.commands: list[tuple[float, np.ndarray]] = []

    def tick(self, gap_s: float = 0.02) -> Setpoint:
        """The arm moves on for `gap_s`, and is told where to go next."""
        self.now_s += gap_s
        self.arm.advance(gap_s)
        self._seen.append((self.now_s, self._noisy(self.arm.pose)))
        while len(self._seen) > 1 and self._seen[1][0] <= self.now_s - self._delay_s:
            self._seen.popleft()
        measured = self._seen[0][1]
        setpoint = self.playout.tick(self.now_s, None if self.tracker else measured)
        if self.tracker is None:
            self.arm.follow_pose(setpoint.pose)
        else:
            linear, angular = self.tracker.twist(setpoint, measured, now_s=self.now_s)
            self.arm.follow_twist(linear, angular)
            self.commands.append((self.now_s, np.concatenate([linear, angular])))
        return setpoint

    def run(self, duration_s: float) -> Setpoint:
        for _ in range(round(duration_s / 0.02)):
            setpoint = self.tick()
        return setpoint

    def _noisy(self, pose: Pose) -> Pose:
        shift, turn = self._noise * self._rng.normal(size=(2, 3)) / math.sqrt(3.0)
        turned = Rotation.from_rotvec(NOISE_RAD * turn) * Rotation.from_quat(pose.quat_xyzw)
        return Pose(pose.position_m + NOISE_M * shift, turned.as_quat())


def off(pose: Pose, wanted: Pose) -> tuple[float, float]:
    """[mm] and [deg]."""
    angle = math.degrees(quat_distance_rad(pose.quat_xyzw, wanted.quat_xyzw))
    return 1e3 * float(np.linalg.norm(pose.position_m - wanted.position_m)), angle


def late_actions(rig: Rig, rng: np.random.Generator) -> Pose:
    """Three to six actions, jittered or late by up to a second, at 50 Hz with jitter, until rest; where they lead."""
    wanted, left, due_s = HOME, int(rng.integers(3, 7)), 0.1
    rest_s = 0.0
    while left or rest_s < 1.6:
        if left and due_s <= rig.now_s:
            vectors = rng.normal(size=(2, 3))
            vectors *= np.array([[0.02], [0.06]]) * rng.random((2, 1)) / np.linalg.norm(vectors, axis=1)[:, None]
            action = Action.from_array(np.append(vectors, 1.0), frame="base_link")
            rig.playout.accept(action, rig.now_s)
            wanted = Pose(*compose_ee_delta(wanted.position_m, wanted.quat_xyzw, action))
            left, late_s = left - 1, rng.choice([0.0, 0.03, 0.2, 1.0], p=[0.5, 0.3, 0.15, 0.05])
            due_s = max(rig.now_s, due_s + PERIOD_S + late_s + rng.normal(0, 0.01))
        gap_s = rng.uniform(0.01, 0.03)
        rest_s = rest_s + gap_s if rig.tick(gap_s).done else 0.0
    return wanted


def assert_within_limits(commands: list[tuple[float, np.ndarray]], arm: Limits) -> None:
    """Speeds, and their divided differences, which no smooth function of that bound can exceed."""
    times_s = np.array([now_s for now_s, _ in commands])
    gap_s = np.diff(times_s)[:, None]
    for part, unit in ((slice(0, 3), "m_s"), (slice(3, 6), "rad_s")):
        speed = np.array([twist[part] for _, twist in commands])
        acceleration = np.diff(speed, axis=0) / gap_s
        jerk = 2 * np.diff(acceleration, axis=0) / (gap_s[1:] + gap_s[:-1])
        for values, rate, power in ((speed, "speed", ""), (acceleration, "acceleration", "2"), (jerk, "jerk", "3")):
            longest = float(np.linalg.norm(values, axis=1).max())
            assert longest <= getattr(arm, f"max_{rate}_{unit}{power}") * SLACK, (rate, unit)


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("output", ["pose", "twist"])
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lag_s=st.floats(0.06, 0.15),
    delay_s=st.sampled_from([0.0, 0.02, 0.05]),
    gain=st.floats(0.95, 1.05),
)
def test_a_late_noisy_drifting_arm_ends_where_the_actions_lead(
    block: int, output: str, seed: int, lag_s: float, delay_s: float, gain: float
) -> None:
    """Within 1 mm and 0.2 degrees of the sum of all actions, with twists that keep within the arm's limits."""
    twist = output == "twist"
    rig = Rig(twist=twist, lag_s=lag_s, delay_s=delay_s, gain=gain if twist else 1.0, noise=1.0)
    wanted = late_actions(rig, np.random.default_rng([block, seed]))
    off_mm, off_deg = off(rig.arm.pose, wanted)
    assert off_mm <= 1.0
    assert off_deg <= 0.2
    if twist:
        assert_within_limits(rig.commands, ARM)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_measurement_takes_the_twist_beyond_the_limits(seed: int) -> None:
    """Poses that leap by metres or go missing, long actions, stops: speed, acceleration and jerk keep within them."""
    rng = np.random.default_rng(seed)
    playout = Playout(playout_share(limits_of(ARM)), frame="base_link", control_period_s=PERIOD_S)
    playout.begin(HOME, 0.0)
    tracker, now_s, commands, measured = TwistTracker(ARM), 0.0, [], HOME
    for _ in range(150):
        now_s += rng.uniform(0.005, 0.03)
        if rng.random() < 0.1:
            playout.accept(Action.from_array(np.append(rng.normal(0, 0.2, 6), 1.0), frame="base_link"), now_s)
        if rng.random() < 0.02:
            playout.stop(now_s)
        if rng.random() < 0.2:
            turn = Rotation.from_rotvec(rng.normal(0, 1.0, 3)) * Rotation.from_quat(HOME.quat_xyzw)
            measured = rng.choice([None, Pose(HOME.position_m + rng.normal(0, 1.0, 3), turn.as_quat())])
        twist = tracker.twist(playout.tick(now_s), measured, now_s=now_s)
        commands.append((now_s, np.concatenate(twist)))
    assert_within_limits(commands, ARM)


def test_drift_is_corrected_and_lateness_is_not() -> None:
    """An arm that drives a tenth too little ends within 1 mm; one that is only late gets the setpoint's velocity."""
    drifting, late = Rig(twist=True, gain=0.9), Rig(twist=True, gain=1.0)
    for rig in (drifting, late):
        for _ in range(5):
            rig.playout.accept(Action.from_array(STEP, frame="base_link"), rig.now_s)
            setpoint = rig.run(PERIOD_S)
            if rig is late:
                np.testing.assert_allclose(setpoint.linear_velocity_m_s, rig.commands[-1][1][:3], atol=2e-3)
        rig.run(2.5)
        wanted = HOME.position_m + 5 * STEP[:3]
        np.testing.assert_allclose(wanted, rig.arm.pose.position_m, atol=1e-3)


@pytest.mark.parametrize("at_s", np.arange(0.02, 0.5, 0.04))
def test_a_stop_ends_the_correction_too(at_s: float) -> None:
    """However far the arm is off, 0.13 s after a stop it is commanded nothing, and no more after that."""
    rig = Rig(twist=True, gain=0.5)
    rig.playout.accept(Action.from_array(2 * STEP, frame="base_link"), 0.0)
    rig.run(at_s)
    rig.playout.stop(rig.now_s)
    rig.run(0.14)
    np.testing.assert_allclose(np.zeros(6), rig.commands[-1][1], atol=1e-12)
    rig.run(1.0)
    np.testing.assert_allclose(np.zeros((50, 6)), [twist for _, twist in rig.commands[-50:]], atol=1e-12)
    assert off(rig.arm.pose, rig.playout.tick(rig.now_s).pose)[0] > 0.01


def test_bad_numbers_and_times_are_refused() -> None:
    """NaN, time that runs backwards, negative times, a broken pose: an error, and the tracker goes on."""
    playout = Playout(limits_of(ARM), frame="base_link", control_period_s=PERIOD_S)
    playout.begin(HOME, 0.0)
    tracker, setpoint = TwistTracker(ARM), playout.tick(0.0)
    tracker.twist(setpoint, HOME, now_s=1.0)
    for now_s in (0.5, math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="now_s"):
            tracker.twist(setpoint, HOME, now_s=now_s)
    broken = Pose([math.nan, 0, 0], [0, 0, 0, 1])
    with pytest.raises(InvalidInputError, match="measured"):
        tracker.twist(setpoint, broken, now_s=1.0)
    for name in ("lag_s", "settle_s"):
        with pytest.raises(InvalidInputError, match=name):
            TwistTracker(ARM, **{name: -1.0})
    np.testing.assert_array_equal(np.zeros(3), tracker.twist(setpoint, HOME, now_s=1.1)[0])


def test_playout_and_correction_share_the_limits() -> None:
    """Their speeds, accelerations and jerks add up to the arm's, and nothing else is scaled."""
    whole = limits_of(ARM)
    part = playout_share(whole)
    assert pytest.approx(whole.max_jerk_rad_s3) == part.max_jerk_rad_s3 + CORRECTION_SHARE * ARM.max_jerk_rad_s3
    assert pytest.approx(whole.max_speed_m_s) == part.max_speed_m_s + CORRECTION_SHARE * ARM.max_speed_m_s
    kept = {"max_lag_m", "max_lag_rad", "expiry_s", "max_gap_s"}
    changed = {f.name for f in dataclasses.fields(whole) if getattr(whole, f.name) != getattr(part, f.name)}
    assert kept == {f.name for f in dataclasses.fields(whole)} - changed
