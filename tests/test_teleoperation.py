"""Policy, person and supervisor by hand, ticked at 50 Hz: who has the arm, and what stops it; no ROS, no clock."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros import arms
from magma_ros.stops import Severity, Stop, StopReason
from magma_ros.supervision import MotionState, Supervisor, SupervisorOptions
from magma_ros.teleoperation import NO_OPENING, NOT_AT_REST, STALE, Teleoperation, Twist, own_contract
from magma_ros.types import Pose, Proprio, SafeAction, StampedPose
from tests.test_supervision import ARM, CONTRACT, PERIOD_S, TICK_S, action, speed

RELEASE_S = 0.5
REST, FORWARD, BACK = (0.0, 0.0, 0.0), (0.04, 0.0, 0.0), (-0.04, 0.0, 0.0)
TIMEOUT_S = ARM.watch.policy_timeout_s


class Scene:
    """An arm that follows its setpoint exactly, a policy that asks for `policy_row` and a person with `twist`."""

    def __init__(self, *, contract=CONTRACT, policy_row=None):
        self.supervisor = Supervisor(ARM, options=SupervisorOptions())
        self.teleop = Teleoperation(ARM, self.supervisor, release_s=RELEASE_S)
        if contract is not None:
            self.teleop.adopt(contract)
        self.policy_row = policy_row
        self.twist, self.frame, self.delay_s = REST, "base_link", 0.01  # a twist of None is silence
        self.now_s, self.num_ticks = 100.0, 0
        self.pose = Pose(np.array([0.3, 0.0, 0.2]), np.array([0, 0, 0, 1.0]))
        self.opening = 0.4
        self.taken, self.by_policy, self.commands = [], [], []

    @property
    def measured(self):
        return StampedPose(self.pose, self.now_s)

    @property
    def x_m(self):
        return float(self.pose.position_m[0])

    def tick(self):
        self.now_s, self.num_ticks = self.now_s + TICK_S, self.num_ticks + 1
        if self.policy_row is not None:
            self.teleop.policy_said(ended=None, now_s=self.now_s)
            if self.num_ticks % round(PERIOD_S / TICK_S) == 0:
                self.by_policy.append(self.offer(action(*self.policy_row, opening=0.9)))
        if self.twist is not None:
            self.say(self.twist)
        state = Proprio(self.pose.position_m, self.pose.quat_xyzw, self.opening, np.zeros(6))
        decision = self.teleop.tick(self.now_s, state=state, pose=self.measured)
        if decision is not None:
            self.taken.append(decision)
        command = self.supervisor.tick(self.now_s, steady_s=self.now_s, measured=self.measured)
        if command.setpoint is not None:
            self.pose = command.setpoint.pose
        self.commands.append(command)
        return command

    def say(self, linear, *, stamp_s=None):
        stamp_s = self.now_s - self.delay_s if stamp_s is None else stamp_s
        self.teleop.wish(Twist(np.array(linear), np.zeros(3), self.frame, stamp_s), now_s=self.now_s)

    def offer(self, wanted):
        return self.teleop.offer(wanted, stamp_s=self.now_s - 0.01, now_s=self.now_s, measured=self.measured)

    def run(self, duration_s, **changes):
        for name, value in changes.items():
            setattr(self, name, value)
        for _ in range(round(duration_s / TICK_S)):
            self.tick()
        return self.commands[-1]

    def assert_rests(self, reason, *, within_s, halted=False):
        self.run(within_s)
        resting = [self.tick() for _ in range(20)]
        assert {(reason, 0.0)} == {(c.stop and c.stop.reason, speed(c)) for c in resting}
        assert {MotionState.HALTED if halted else MotionState.HOLDING} == {c.state for c in resting}


def driven(**options):
    """A person moves the arm forward."""
    scene = Scene(**options)
    scene.run(0.2)
    assert MotionState.MOVING is scene.run(0.5, twist=FORWARD).state
    return scene


def test_the_arm_moves_as_far_as_the_twists_say():
    """Two seconds of 4 cm/s and a rest are 8 cm, without a fault, one action a control period, also of zero."""
    scene = Scene()
    scene.run(0.2)
    start_m = scene.x_m
    scene.run(2.0, twist=FORWARD)
    end = scene.run(RELEASE_S - 0.02, twist=REST)
    assert scene.x_m - start_m == pytest.approx(0.08, abs=0.005)
    assert end.stop is None
    assert speed(end) < 0.001
    assert all(isinstance(decision, SafeAction) for decision in scene.taken)
    assert len(scene.taken) == pytest.approx(2.5 / PERIOD_S, abs=1)
    moved_m = sum(decision.action.translation_m[0] for decision in scene.taken)
    assert scene.x_m - start_m == pytest.approx(moved_m, abs=1e-4)


def test_without_a_policy_the_arm_s_own_steps_count():
    """Where nobody has named a contract, a person's actions have the arm's frame, and its limits shorten them."""
    scene = driven(contract=None)
    scene.run(0.5, twist=(0.3, 0.0, 0.0))
    assert scene.teleop._own == scene.supervisor.contract
    assert all(isinstance(decision, SafeAction) for decision in scene.taken)
    assert "translation_step" in scene.taken[-1].limited_by
    own = own_contract(arms.load("sim"))
    assert ("base_link", 5.0, 0.05) == (own.frame, own.control_rate_hz, own.max_translation_m)


def test_a_person_has_the_arm_until_he_lets_go_for_a_while():
    """The policy's actions are dropped and counted meanwhile; resting for less than the dwell keeps the arm."""
    scene = Scene(policy_row=(0.0, 0.004, 0.0))
    scene.run(0.5)
    assert not scene.teleop.acts
    assert isinstance(scene.by_policy[-1], SafeAction)
    scene.run(0.5, twist=FORWARD)
    assert scene.teleop.acts
    scene.run(RELEASE_S - 0.1, twist=REST)
    assert scene.teleop.acts
    dropped = [d for d in scene.by_policy if isinstance(d, Stop)]
    assert {StopReason.INTERVENTION} == {stop.reason for stop in dropped}
    assert len(dropped) == scene.supervisor.refused["intervention"]
    assert Severity.CONTINUE is StopReason.INTERVENTION.severity
    y_m = scene.pose.position_m[1]
    scene.run(0.6)
    assert not scene.teleop.acts
    assert scene.pose.position_m[1] > y_m
    assert MotionState.MOVING is scene.commands[-1].state


def test_a_policy_that_stops_or_is_silent_does_not_stop_a_person():
    """While a person has the arm, only his own silence counts."""
    scene = driven(policy_row=(0.0, 0.0, 0.0))
    scene.policy_row = None
    for _ in range(30):
        scene.teleop.policy_said(ended=Stop(StopReason.FROZEN_CAMERA, "same pixels"), now_s=scene.now_s)
        assert scene.tick().stop is None
    assert MotionState.MOVING is scene.commands[-1].state


def test_a_policy_s_contract_waits_until_the_person_lets_go():
    """A policy that starts while a person moves the arm changes nothing under his hand."""
    scene = driven(contract=None)
    scene.teleop.adopt(CONTRACT)
    assert MotionState.MOVING is scene.run(0.1).state
    assert scene.teleop._own == scene.supervisor.contract
    scene.run(RELEASE_S + 0.1, twist=REST)
    assert CONTRACT == scene.supervisor.contract


def test_a_device_that_falls_silent_stops_the_arm_and_keeps_it():
    """A killed device is noticed as a killed policy is; the policy does not get the arm, however alive it is."""
    scene = driven(policy_row=(0.0, 0.004, 0.0))
    scene.twist = None
    scene.assert_rests(StopReason.TELEOP_SILENT, within_s=TIMEOUT_S + 0.12)
    scene.run(5.0)
    assert scene.teleop.acts
    assert speed(scene.commands[-1]) == 0.0


def test_a_device_that_is_back_gives_the_arm_back_after_a_whole_dwell():
    """What was silent has not let go: the dwell counts from the first rest that is heard."""
    scene = driven(policy_row=(0.0, 0.004, 0.0))
    scene.run(2.0, twist=None)
    scene.run(RELEASE_S - 0.1, twist=REST)
    assert scene.teleop.acts
    scene.run(0.2)
    assert not scene.teleop.acts


def test_a_device_that_is_back_has_to_rest_before_it_moves_the_arm():
    """A stick that is held through the silence moves nothing until it was let go."""
    scene = driven()
    scene.run(1.0, twist=None)
    scene.twist = FORWARD
    scene.assert_rests(StopReason.TELEOP_SILENT, within_s=0.1)
    assert scene.teleop.refused[NOT_AT_REST] > 0
    scene.run(0.1, twist=REST)
    assert MotionState.MOVING is scene.run(0.2, twist=FORWARD).state


def test_a_device_has_to_rest_first():
    """A stick that is bent when everything starts moves nothing and takes nothing."""
    scene = Scene(policy_row=(0.0, 0.004, 0.0))
    scene.run(0.5, twist=FORWARD)
    assert not scene.teleop.acts
    assert {NOT_AT_REST} == set(scene.teleop.refused)
    assert isinstance(scene.by_policy[-1], SafeAction)


@pytest.mark.parametrize("late_s", [TIMEOUT_S + 0.02, 60.0, -0.5, math.nan])
def test_a_stale_twist_is_as_good_as_silence(late_s):
    """Twists whose stamps are old, ahead or no numbers neither move the arm nor keep it alive."""
    scene = driven()
    scene.delay_s = late_s
    scene.assert_rests(StopReason.TELEOP_SILENT, within_s=TIMEOUT_S + 0.12)
    assert scene.teleop.refused[STALE] > 0


@pytest.mark.parametrize(
    ("twist", "reason"),
    [
        ((math.nan, 0.0, 0.0), StopReason.NON_FINITE),
        ((0.0, math.inf, 0.0), StopReason.NON_FINITE),
        ((5.0, 0.0, 0.0), StopReason.OUT_OF_CONTRACT),
    ],
)
def test_a_twist_that_is_no_motion_holds(twist, reason):
    """Numbers beyond reason end the motion while they come, and a good twist after them begins it again."""
    scene = driven()
    scene.twist = twist
    scene.assert_rests(reason, within_s=PERIOD_S + 0.1)
    scene.run(0.1, twist=REST)
    assert MotionState.MOVING is scene.run(0.2, twist=FORWARD).state


def test_a_broken_device_stops_a_policy_too():
    """A device that rested and then says NaN takes the arm and holds it, within two ticks."""
    scene = Scene(policy_row=(0.004, 0.0, 0.0))
    scene.run(0.5)
    scene.run(2 * TICK_S, twist=(math.nan, 0.0, 0.0))
    assert StopReason.NON_FINITE is scene.commands[-1].stop.reason
    scene.assert_rests(StopReason.NON_FINITE, within_s=0.1)


def test_a_twist_that_is_too_fast_is_shortened():
    """Within the contract, the arm's own limits decide how fast it goes."""
    scene = Scene()
    scene.run(0.2)
    scene.run(1.0, twist=(0.25, 0.0, 0.0))
    assert "translation_step" in scene.taken[-1].limited_by
    assert max(speed(command) for command in scene.commands) <= ARM.limits.max_speed_m_s + 1e-9


def test_a_person_stays_in_the_workspace():
    """A twist that leads on into a wall moves the arm no further than the wall."""
    scene = Scene()
    scene.run(0.2)
    scene.run(6.0, twist=FORWARD)
    box = ARM.limits.workspace
    assert box.max_m[0] - 0.005 <= scene.x_m <= box.max_m[0] + box.margin_m / 4
    assert speed(scene.commands[-1]) < 1e-4


def test_a_twist_in_another_frame_halts():
    """The wrong frame is a fault of the set-up, whoever makes it."""
    scene = driven()
    scene.frame = "tool0"
    scene.assert_rests(StopReason.WRONG_FRAME, within_s=PERIOD_S + 0.1, halted=True)


def test_after_a_halt_the_device_has_to_rest_and_the_policy_has_the_arm():
    """A stick that is held while the halt is reset moves nothing."""
    scene = driven()
    scene.supervisor.halt(Stop(StopReason.EMERGENCY_STOP, "a person"))
    scene.assert_rests(StopReason.EMERGENCY_STOP, within_s=0.1, halted=True)
    scene.teleop.reset()
    assert not scene.teleop.acts
    scene.run(0.5)
    assert speed(scene.commands[-1]) == 0.0
    scene.run(0.1, twist=REST)
    assert MotionState.MOVING is scene.run(0.2, twist=FORWARD).state


def test_a_reset_ends_the_hold_of_a_device_that_will_not_return():
    """A person gives the policy the arm back without the device."""
    scene = driven(policy_row=(0.0, 0.004, 0.0))
    scene.run(1.0, twist=None)
    scene.teleop.reset()
    assert MotionState.MOVING is scene.run(0.5).state
    assert not scene.teleop.acts


def test_the_gripper_stays_where_it_was_told_to_be():
    """A person who takes the arm from a policy keeps its grip; without one, the measured opening is the goal."""
    scene = Scene(policy_row=(0.0, 0.0, 0.0))
    scene.run(0.5)
    scene.run(0.3, twist=FORWARD)
    assert {0.9} == {decision.action.gripper_opening for decision in scene.taken if isinstance(decision, SafeAction)}
    alone = driven()
    assert {0.4} == {decision.action.gripper_opening for decision in alone.taken}


def test_a_wish_for_the_gripper_takes_the_arm():
    """Its opening is part of every action from then on, and counts as not letting go."""
    scene = Scene(policy_row=(0.0, 0.004, 0.0))
    scene.run(0.5)
    scene.teleop.wish_opening(0.0, now_s=scene.now_s)
    scene.run(0.3)
    assert scene.teleop.acts
    assert 0.0 == scene.taken[-1].action.gripper_opening
    scene.run(RELEASE_S)
    assert not scene.teleop.acts


def test_a_wish_that_is_no_opening_or_of_a_silent_device_is_dropped():
    """Neither takes the arm."""
    scene = Scene()
    scene.teleop.wish_opening(1.0, now_s=scene.now_s)
    scene.run(0.2)
    for opening in (math.nan, -0.1, 1.1):
        scene.teleop.wish_opening(opening, now_s=scene.now_s)
    scene.run(1.0, twist=None)
    scene.teleop.wish_opening(1.0, now_s=scene.now_s)
    assert {NOT_AT_REST: 2, NO_OPENING: 3} == scene.teleop.refused
    assert not scene.teleop.acts


def test_taking_the_arm_from_a_moving_policy_stays_within_the_limits():
    """Turning around under the person's hand is a discontinuity or a smooth turn, never a jump."""
    scene = Scene(policy_row=(0.0, 0.01, 0.0))
    scene.run(0.5)
    scene.run(1.0, twist=BACK)
    accelerations = [np.linalg.norm(c.setpoint.linear_acceleration_m_s2) for c in scene.commands if c.setpoint]
    assert max(accelerations) <= ARM.limits.max_acceleration_m_s2 + 1e-6
    assert MotionState.MOVING is scene.commands[-1].state


EVENTS = st.sampled_from(
    [
        "forward",
        "back",
        "rest",
        "nan",
        "fast",
        "mute",
        "stale",
        "close",
        "halt",
        "reset",
        "policy",
        "no policy",
        "sleep",
    ]
)
TWISTS = {"forward": FORWARD, "back": BACK, "rest": REST, "nan": (math.nan, 0, 0), "fast": (0.2, 0, 0), "mute": None}


def happen(scene, event):
    """One of `EVENTS`."""
    if event in TWISTS:
        scene.twist, scene.delay_s = TWISTS[event], 0.01
    elif event == "stale":
        scene.delay_s = 1.0
    elif event == "close":
        scene.teleop.wish_opening(0.0, now_s=scene.now_s)
    elif event == "halt":
        scene.supervisor.halt(Stop(StopReason.EMERGENCY_STOP, "told"))
    elif event == "reset":
        scene.teleop.reset()
    elif event == "sleep":
        scene.now_s += 1.0
    else:
        scene.policy_row = (0.004, 0.0, 0.0) if event == "policy" else None


@settings(max_examples=50, deadline=None)
@given(events=st.lists(st.tuples(EVENTS, st.integers(1, 8)), max_size=30))
def test_whoever_acts_no_limit_is_exceeded_and_a_halted_arm_rests(events):
    """Whatever happens in whatever order: stops come to rest in time, and speed and acceleration are bounded."""
    scene, since_fault = Scene(), 0
    for event, num_ticks in events:
        happen(scene, event)
        for _ in range(num_ticks):
            command = scene.tick()
            since_fault = since_fault + 1 if command.stop is not None else 0
            if command.setpoint is not None:
                assert speed(command) <= ARM.limits.max_speed_m_s + 1e-9
                acceleration = np.linalg.norm(command.setpoint.linear_acceleration_m_s2)
                assert acceleration <= ARM.limits.max_acceleration_m_s2 + 1e-6
                if since_fault * TICK_S > 0.1:
                    assert speed(command) == 0.0
            if scene.supervisor.halted is not None and since_fault * TICK_S > 0.1:
                assert MotionState.HALTED is command.state


def test_a_person_s_actions_pass_the_same_filter_as_a_policy_s():
    """At a tenth of the speeds a person is a tenth as fast."""
    scene = Scene()
    scene.supervisor = Supervisor(ARM, options=SupervisorOptions(speed_scale=0.1))
    scene.teleop = Teleoperation(ARM, scene.supervisor, release_s=RELEASE_S)
    scene.teleop.adopt(dataclasses.replace(CONTRACT))
    scene.run(0.2)
    scene.run(1.0, twist=FORWARD)
    assert max(speed(command) for command in scene.commands) <= 0.1 * ARM.limits.max_speed_m_s + 1e-9
    assert MotionState.MOVING is scene.commands[-1].state


@pytest.mark.parametrize("phase_s", [0.0, 0.03, 0.11, 0.19])
def test_an_arm_that_steps_itself_is_told_once_after_each_step(phase_s):
    """Each pose of the simulated arm is answered by one action, long before its next step, whenever a person began."""
    arm = arms.load("sim")
    supervisor = Supervisor(arm, options=SupervisorOptions())
    teleop = Teleoperation(arm, supervisor, release_s=RELEASE_S)
    pose = Pose(np.array([0.3, 0.0, 0.2]), np.array([0, 0, 0, 1.0]))
    answered, period_s = [], 0.2
    for number in range(400):
        now_s = 100.0 + 0.05 * number + 0.01 * (number % 3)
        stepped_s = phase_s + period_s * math.floor((now_s - phase_s) / period_s)
        twist = np.array(FORWARD if number > 5 else REST)
        teleop.wish(Twist(twist, np.zeros(3), "base_link", now_s), now_s=now_s)
        state = Proprio(pose.position_m, pose.quat_xyzw, 1.0, np.zeros(6))
        decision = teleop.tick(now_s, state=state, pose=StampedPose(pose, stepped_s))
        if isinstance(decision, SafeAction):
            answered.append((stepped_s, now_s - stepped_s))
        supervisor.tick(now_s, steady_s=now_s, measured=StampedPose(pose, stepped_s))
    stamps_s = [stamp_s for stamp_s, _ in answered]
    assert len(set(stamps_s)) == len(stamps_s)
    assert len(answered) == pytest.approx(20 / period_s, abs=4)
    assert max(late_s for _, late_s in answered) < 0.1
