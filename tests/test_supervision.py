"""The supervisor by hand: one test per fault, all of which end at rest; no ROS, no clock."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros import arms
from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.servoing import TwistTracker
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Command, MotionState, Supervisor, SupervisorOptions
from magma_ros.types import Action, Pose, SafeAction, StampedPose

ARM = arms.load("stand_in")
PERIOD_S, TICK_S = 0.1, 0.02
CONTRACT = ActionContract(
    embodiment="stand_in",
    frame="base_link",
    rotation_form="rpy",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=1 / PERIOD_S,
    max_translation_m=0.03,
    max_rotation_rad=0.3,
    cameras=(CameraSpec("image", 32, 32),),
)
OPTIONS = SupervisorOptions()
FORWARD = (0.004, 0.0, 0.0)


def action(*row: float, opening: float = 1.0, frame: str = "base_link") -> Action:
    numbers = np.zeros(6)
    numbers[: len(row)] = row
    return Action(numbers[:3], numbers[3:], opening, frame)


class World:
    """An arm that follows its setpoint exactly, ticked at 50 Hz by a clock that a test may set."""

    def __init__(self, **options: Any) -> None:
        self.supervisor = Supervisor(ARM, options=dataclasses.replace(OPTIONS, **options))
        self.supervisor.adopt(CONTRACT)
        self.now_s = self.steady_s = 100.0
        self.measured: StampedPose | Stop = StampedPose(
            Pose(np.array([0.3, 0.0, 0.2]), np.array([0, 0, 0, 1.0])), 100.0
        )
        self.policy_is_alive, self.arm_is_alive = True, True
        self.commands: list[Command] = []

    def tick(self) -> Command:
        self.now_s, self.steady_s = self.now_s + TICK_S, self.steady_s + TICK_S
        if self.policy_is_alive:
            self.supervisor.policy_said(ended=None, now_s=self.now_s)
        if self.arm_is_alive and isinstance(self.measured, StampedPose):
            pose = self.measured.pose
            if self.commands and self.commands[-1].setpoint is not None:
                pose = self.commands[-1].setpoint.pose
            self.measured = StampedPose(pose, self.now_s)
        command = self.supervisor.tick(self.now_s, steady_s=self.steady_s, measured=self.measured)
        self.commands.append(command)
        return command

    def run(self, duration_s: float) -> Command:
        for _ in range(round(duration_s / TICK_S)):
            self.tick()
        return self.commands[-1]

    def offer(self, wanted: Action, **changes: Any) -> SafeAction | Stop:
        circumstances = {"stamp_s": self.now_s - 0.01, "now_s": self.now_s, "measured": self.measured} | changes
        return self.supervisor.offer(wanted, **circumstances)

    def drive(self, num_actions: int = 3, row: tuple[float, ...] = FORWARD) -> None:
        self.run(0.1)
        for _ in range(num_actions):
            assert isinstance(self.offer(action(*row)), SafeAction)
            self.run(PERIOD_S)
        assert self.commands[-1].state is MotionState.MOVING

    def assert_rests(self, reason: StopReason, *, within_s: float = 0.12, halted: bool = False) -> None:
        """The setpoint's speed is zero within the time, stays so, and the reason is told."""
        self.run(within_s)
        resting = [self.tick() for _ in range(20)]
        assert {reason} == {c.stop.reason for c in resting if c.stop is not None}
        assert all(c.stop is not None and speed(c) == 0.0 for c in resting)
        assert {MotionState.HALTED if halted else MotionState.HOLDING} == {c.state for c in resting}


def speed(command: Command) -> float:
    return 0.0 if command.setpoint is None else float(np.linalg.norm(command.setpoint.linear_velocity_m_s))


def test_actions_move_the_setpoint_by_their_sum() -> None:
    """Five actions of 4 mm, one for each control period, end 20 mm further, at rest and without a fault."""
    world = World()
    world.drive(5)
    end = world.run(0.5)
    assert end.setpoint is not None
    assert end.setpoint.pose.position_m == pytest.approx([0.32, 0.0, 0.2], abs=1e-6)
    assert (MotionState.HOLDING, None, 5) == (end.state, end.stop, world.supervisor.num_taken)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (action(math.nan), StopReason.NON_FINITE),
        (action(0, 0, math.inf), StopReason.NON_FINITE),
        (action(0.04), StopReason.OUT_OF_CONTRACT),
        (action(0, 0, 0, 0.4), StopReason.OUT_OF_CONTRACT),
        (action(*FORWARD, opening=3.0), StopReason.OUT_OF_CONTRACT),
    ],
)
def test_an_action_that_is_no_motion_holds(wanted: Action, reason: StopReason) -> None:
    """Numbers beyond reason end the motion, and a good action after them begins it again."""
    world = World()
    world.drive()
    verdict = world.offer(wanted)
    assert isinstance(verdict, Stop)
    world.assert_rests(reason)
    assert {reason.value: 1} == world.supervisor.refused
    assert isinstance(world.offer(action(*FORWARD)), SafeAction)
    assert MotionState.MOVING is world.run(0.06).state


def test_turning_around_at_full_speed_holds() -> None:
    """A change of direction that the arm's file does not allow ends the motion."""
    limits = dataclasses.replace(ARM.limits, max_step_change_m=0.006)
    world = World()
    world.supervisor = Supervisor(dataclasses.replace(ARM, limits=limits), options=OPTIONS)
    world.supervisor.adopt(CONTRACT)
    world.drive()
    world.offer(action(-0.004))
    world.assert_rests(StopReason.DISCONTINUITY)


def test_an_action_in_another_frame_halts() -> None:
    """The wrong frame is a fault of the set-up: a person has to look."""
    world = World()
    world.drive()
    world.offer(action(*FORWARD, frame="tool0"))
    world.assert_rests(StopReason.WRONG_FRAME, halted=True)
    assert isinstance(world.offer(action(*FORWARD)), Stop)


def test_a_contract_in_another_frame_halts() -> None:
    """A policy whose displacements are along other axes than the arm's limits never moves it."""
    world = World()
    world.run(0.1)
    world.supervisor.adopt(dataclasses.replace(CONTRACT, frame="tool0"))
    world.assert_rests(StopReason.WRONG_FRAME, halted=True)


def test_without_a_contract_nothing_moves() -> None:
    """Numbers that nobody gave a meaning are refused."""
    world = World()
    world.supervisor = Supervisor(ARM, options=OPTIONS)
    verdict = world.offer(action(*FORWARD))
    assert isinstance(verdict, Stop)
    assert world.run(0.1).setpoint is None


def test_silence_of_the_policy_holds() -> None:
    """A policy process that died or hangs is noticed within its time-out, and its motion ends."""
    world = World()
    world.drive()
    world.policy_is_alive = False
    world.assert_rests(StopReason.POLICY_SILENT, within_s=ARM.watch.policy_timeout_s + 0.12)
    world.policy_is_alive = True
    assert speed(world.run(0.2)) == 0.0


def test_an_arm_that_is_elsewhere_after_a_hold_is_not_brought_back() -> None:
    """A driver that starts again, another pose: with no policy nothing draws the arm to where it was told to be."""
    world, tracker = World(), TwistTracker(ARM.limits)
    world.drive()
    assert world.run(0.6).setpoint.expired  # nobody said stop: the last motion was the last
    for index, command in enumerate(world.commands):
        tracker.twist(command.setpoint, command.setpoint.pose, now_s=index * TICK_S)
    world.policy_is_alive = False
    world.run(0.3)
    elsewhere = Pose(world.measured.pose.position_m + 0.003, world.measured.pose.quat_xyzw)
    for index in range(50):
        linear, angular = tracker.twist(world.tick().setpoint, elsewhere, now_s=2.0 + index * TICK_S)
        assert not linear.any()
        assert not angular.any()


def test_a_policy_that_says_stop_is_obeyed() -> None:
    """What the policy's own checks found ends the motion under its own name."""
    world = World()
    world.drive()
    world.supervisor.policy_said(ended=Stop(StopReason.FROZEN_CAMERA, "same pixels"), now_s=world.now_s)
    world.assert_rests(StopReason.FROZEN_CAMERA)


def test_a_measured_pose_that_stops_coming_holds() -> None:
    """An arm driver that died or hangs is noticed by the age of its state."""
    world = World()
    world.drive()
    world.arm_is_alive = False
    world.assert_rests(StopReason.STALE_STATE, within_s=ARM.watch.max_state_age_s + 0.12)


def test_a_pose_that_is_not_known_holds() -> None:
    """A missing transform ends the motion under its own name."""
    world = World()
    world.drive()
    world.measured = Stop(StopReason.NO_TRANSFORM, "ee is not connected to base_link")
    world.assert_rests(StopReason.NO_TRANSFORM)


@pytest.mark.parametrize("jump_s", [-5.0, -0.05, 0.6, 3600.0])
def test_a_clock_that_was_set_halts(jump_s: float) -> None:
    """A jump of the node's clock against a steady one ends the motion until a person looks."""
    world = World()
    world.drive()
    world.now_s += jump_s
    world.assert_rests(StopReason.CLOCK_JUMP, halted=True)


def test_a_process_that_slept_is_no_clock_jump() -> None:
    """Five seconds without a tick end in a hold by silence, not in a halt."""
    world = World()
    world.drive()
    world.now_s, world.steady_s, world.policy_is_alive = world.now_s + 5.0, world.steady_s + 5.0, False
    world.assert_rests(StopReason.POLICY_SILENT)


def test_an_emergency_stop_holds_until_it_is_reset() -> None:
    """After a halt nothing is taken; after the reset the arm moves again from where it is."""
    world = World()
    world.drive()
    world.supervisor.halt(Stop(StopReason.EMERGENCY_STOP, "a person"))
    world.assert_rests(StopReason.EMERGENCY_STOP, halted=True)
    assert isinstance(world.offer(action(*FORWARD)), Stop)
    world.supervisor.reset()
    world.run(0.1)
    assert isinstance(world.offer(action(*FORWARD)), SafeAction)
    assert MotionState.MOVING is world.run(0.06).state


def test_the_first_reason_of_a_halt_is_kept() -> None:
    """What followed from a halt does not hide its cause."""
    world = World()
    world.supervisor.halt(Stop(StopReason.EMERGENCY_STOP, "first"))
    world.supervisor.halt(Stop(StopReason.SECOND_COMMANDER, "second"))
    assert world.supervisor.halted is not None
    assert StopReason.EMERGENCY_STOP is world.supervisor.halted.reason


def test_a_halt_outlives_deactivation() -> None:
    """Activating the node again is no reset."""
    world = World()
    world.supervisor.halt(Stop(StopReason.EMERGENCY_STOP, "a person"))
    world.supervisor.begin_afresh()
    assert MotionState.HALTED is world.run(0.1).state


def test_more_actions_than_the_contract_has_are_dropped() -> None:
    """A flood of actions is thinned out to at most one for each half of a control period, and does not stop the arm."""
    world = World()
    world.run(0.1)
    start_m = world.commands[-1].setpoint.pose.position_m[0]
    verdicts = []
    for _ in range(10):
        verdicts += [world.offer(action(*FORWARD))]
        for _ in range(5):
            world.tick()
            verdicts += [world.offer(action(*FORWARD), stamp_s=world.now_s)]
    end = world.run(0.5)
    taken = sum(isinstance(verdict, SafeAction) for verdict in verdicts)
    assert 10 <= taken <= 20
    assert {"too_soon"} == set(world.supervisor.refused)
    assert 0.0 < end.setpoint.pose.position_m[0] - start_m <= taken * FORWARD[0]


def test_an_action_for_the_same_picture_is_dropped() -> None:
    """One picture is answered once."""
    world = World()
    world.run(0.1)
    assert isinstance(world.offer(action(*FORWARD), stamp_s=100.0), SafeAction)
    world.run(PERIOD_S)
    verdict = world.offer(action(*FORWARD), stamp_s=100.0)
    assert isinstance(verdict, Stop)
    assert StopReason.TOO_SOON is verdict.reason


def test_outside_the_box_only_the_way_back_is_open() -> None:
    """From beyond the arm's workspace an action that leads further out holds."""
    world = World()
    world.measured = StampedPose(Pose(np.array([0.53, 0.0, 0.2]), np.array([0, 0, 0, 1.0])), world.now_s)
    world.run(0.1)
    verdict = world.offer(action(*FORWARD))
    assert isinstance(verdict, Stop)
    assert StopReason.OUTSIDE_WORKSPACE is verdict.reason
    assert isinstance(world.offer(action(-0.004)), SafeAction)


def test_a_motion_that_leads_out_of_the_box_is_stopped_between_two_actions() -> None:
    """An arm that is measured beyond a wall while it is told to move on rests, without waiting for the next action."""
    world = World()
    world.drive()
    world.arm_is_alive = False
    pose = Pose(np.array([0.53, 0.0, 0.2]), np.array([0, 0, 0, 1.0]))
    world.measured = StampedPose(pose, world.now_s + 0.09)
    assert world.tick().stop is not None
    assert StopReason.OUTSIDE_WORKSPACE is world.commands[-1].stop.reason


def test_an_arm_that_was_moved_by_hand_starts_from_where_it_is() -> None:
    """At rest, an arm that somebody else moved is not pulled back by its next action."""
    world = World()
    world.drive()
    world.run(1.0)
    moved = Pose(np.array([0.2, 0.1, 0.3]), np.array([0, 0, 0, 1.0]))
    world.commands.clear()
    world.measured = StampedPose(moved, world.now_s)
    assert isinstance(world.offer(action(*FORWARD)), SafeAction)
    world.arm_is_alive = False
    world.measured = StampedPose(moved, world.now_s + TICK_S)
    setpoint = world.tick().setpoint
    assert np.linalg.norm(setpoint.pose.position_m - moved.position_m) < 0.002


def test_at_a_tenth_of_the_speed_steps_and_speed_are_a_tenth() -> None:
    """`speed_scale` shortens each step, so that the arm does not fall behind its policy."""
    slow = World(speed_scale=0.1)
    slow.drive(5)
    end = slow.run(0.5)
    assert max(speed(command) for command in slow.commands) <= 0.1 * ARM.limits.max_speed_m_s + 1e-9
    assert end.setpoint.pose.position_m[0] - 0.3 == pytest.approx(
        5 * min(FORWARD[0], 0.1 * 0.8 * ARM.limits.max_speed_m_s / math.sqrt(3) * PERIOD_S)
    )


def test_in_a_dry_run_each_action_is_shown_from_where_the_arm_is() -> None:
    """An arm that is not told to move does not let the setpoint run away."""
    world = World(dry_run=True)
    start = world.measured
    world.run(0.1)
    for _ in range(20):
        assert isinstance(world.offer(action(*FORWARD), measured=StampedPose(start.pose, world.now_s)), SafeAction)
        world.run(PERIOD_S)
    far_m = max(abs(c.setpoint.pose.position_m[0] - 0.3) for c in world.commands)
    assert far_m <= FORWARD[0] + 1e-6


EVENTS = st.sampled_from(
    ["act", "act", "act", "nan", "stop", "halt", "reset", "mute", "speak", "blind", "see", "sleep"]
)


@settings(max_examples=50, deadline=None)
@given(events=st.lists(st.tuples(EVENTS, st.integers(1, 8)), max_size=30))
def test_a_halted_arm_never_moves_and_no_limit_is_ever_exceeded(events: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: halted ticks come to rest in time, and speed and acceleration are bounded."""
    world = World()
    since_fault = 0
    for event, num_ticks in events:
        if event in ("act", "nan"):
            world.offer(action(*FORWARD) if event == "act" else action(math.nan))
        elif event == "stop":
            world.supervisor.policy_said(ended=Stop(StopReason.POLICY_FAILED, "told"), now_s=world.now_s)
        elif event == "halt":
            world.supervisor.halt(Stop(StopReason.EMERGENCY_STOP, "told"))
        elif event == "reset":
            world.supervisor.reset()
        elif event in ("mute", "speak"):
            world.policy_is_alive = event == "speak"
        elif event in ("blind", "see"):
            world.arm_is_alive = event == "see"
        else:
            world.now_s, world.steady_s = world.now_s + 1.0, world.steady_s + 1.0
        for _ in range(num_ticks):
            command = world.tick()
            since_fault = since_fault + 1 if command.stop is not None else 0
            assert command.setpoint is not None
            assert speed(command) <= ARM.limits.max_speed_m_s + 1e-9
            assert np.linalg.norm(command.setpoint.linear_acceleration_m_s2) <= ARM.limits.max_acceleration_m_s2 + 1e-6
            if since_fault * TICK_S > 0.1:
                assert speed(command) == 0.0
