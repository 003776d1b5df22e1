"""What goes out to an arm in each tick, and to its gripper; a graph by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from control_msgs.action import GripperCommand
from rclpy.action import ActionServer, GoalResponse

from magma_ros import arms
from magma_ros.arm import GripperCommandAction
from magma_ros.ros.conversions import action_from_message, time_message
from magma_ros.ros.motion_output import MotionOutput
from magma_ros.setpoint import Setpoint
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Command, MotionState
from magma_ros.types import Pose, Proprio
from tests.examples import make_action
from tests.ros.plain_node import PlainNode
from tests.ros.two_nodes import TwoNodes

TWIST, STEPS = arms.load("stand_in"), arms.load("sim")  # the stand-in's gripper: hysteresis 0.2, dwell 0.3 s
STAMP = time_message(7.5)
UNKNOWN = Stop(StopReason.NO_PROPRIO, "no pose was measured")
PLACE_M, UPRIGHT, ZERO = np.array([0.3, 0.0, 0.2]), np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3)
SETPOINT = Setpoint(
    Pose(PLACE_M, UPRIGHT),
    linear_velocity_m_s=np.array([0.05, 0.0, 0.0]),
    linear_acceleration_m_s2=ZERO,
    angular_velocity_rad_s=np.array([0.0, 0.0, 0.25]),
    angular_acceleration_rad_s2=ZERO,
    done=False,
    expired=False,
    waiting=False,
    stopped=False,
    dropped_m=0.0,
    dropped_rad=0.0,
)
MOVING = Command(SETPOINT, MotionState.MOVING, None)
RESTING = Command(SETPOINT, MotionState.HOLDING, None)
HELD = Command(SETPOINT, MotionState.HOLDING, Stop(StopReason.STALE_STATE, "old"))
HALTED = Command(SETPOINT, MotionState.HALTED, Stop(StopReason.EMERGENCY_STOP, "pressed"))


def opening(value):
    return make_action(0.01, 0.0, 0.0, 0.0, 0.0, 0.0, value)


class Desk:
    """The output of one arm, and what it has sent."""

    def __init__(self, arm=TWIST):
        self.node = PlainNode()
        self.output = MotionOutput(arm, self.node)

    def take(self, value, *, now_s=10.0):
        self.output.take(opening(value), stamp=STAMP, now_s=now_s)

    def tick(self, command=RESTING, *, now_s=10.0, measured=UNKNOWN):
        return self.output.send(command, stamp=STAMP, now_s=now_s, measured=measured)

    def sent(self, topic):
        return self.node.published[topic]

    @property
    def goals(self):
        return [message.data for message in self.sent("gripper_command")]

    @property
    def twists(self):
        return [
            [*(getattr(m.twist.linear, axis) for axis in "xyz"), *(getattr(m.twist.angular, axis) for axis in "xyz")]
            for m in self.sent("twist_command")
        ]


@pytest.fixture
def desk():
    return Desk()


# Motion


def test_a_setpoint_goes_out_in_each_tick(desk):
    """Without a measured state it is the setpoint's own velocity, in the arm's frame, with the tick's stamp."""
    assert [None, None] == [desk.tick(MOVING), desk.tick(MOVING)]
    assert [[0.05, 0.0, 0.0, 0.0, 0.0, 0.25]] * 2 == desk.twists
    header = desk.sent("twist_command")[0].header
    assert (STAMP, "base_link") == (header.stamp, header.frame_id)


def test_an_arm_that_lags_is_told_to_catch_up(desk):
    """What is measured is compared with the setpoint: a centimetre behind, the twist is faster than the setpoint."""
    behind = Proprio(PLACE_M - [0.01, 0.0, 0.0], UPRIGHT, 1.0, np.zeros(6))
    for step in range(20):
        desk.output.send(MOVING, stamp=time_message(7.5 + 0.02 * step), now_s=10.0 + 0.02 * step, measured=behind)
    assert desk.twists[-1][0] > 0.051


def test_without_a_setpoint_the_arm_is_told_to_hold(desk):
    """Zero speed goes out, and nothing is refused."""
    assert desk.tick(Command(None, MotionState.HOLDING, None)) is None
    assert [[0.0] * 6] == desk.twists


def test_the_last_word_is_zero_speed(desk):
    """`hold` sends it with its stamp."""
    desk.tick(MOVING)
    desk.output.hold(stamp=time_message(8.0))
    assert [0.0] * 6 == desk.twists[-1]
    assert time_message(8.0) == desk.sent("twist_command")[-1].header.stamp


def test_what_kept_the_motion_back_is_handed_on():
    """The output's own refusal is the answer of `send`: MoveIt Servo is not there, and zero speed goes out."""
    desk = Desk(replace(TWIST, output=replace(TWIST.output, command_type_service="servo/switch")))
    desk.node.clients["servo/switch"].is_ready = False
    refusal = Stop(StopReason.OUTPUT_NOT_READY, "servo/switch is not there: start MoveIt Servo")
    assert refusal == desk.tick(MOVING)
    assert [[0.0] * 6] == desk.twists


def test_an_arm_that_steps_gets_each_action_and_nothing_else():
    """The action carries its picture's stamp and the gripper's opening; ticks and the last word send nothing."""
    desk = Desk(STEPS)
    desk.take(0.25)
    (step,) = desk.sent("ee_delta")
    sent = action_from_message(step)
    assert (STAMP, "base_link", 0.01, 0.25) == (
        step.header.stamp,
        sent.frame,
        sent.translation_m[0],
        sent.gripper_opening,
    )
    for command in (MOVING, HALTED, Command(None, MotionState.HOLDING, None)):
        assert desk.tick(command) is None
    desk.output.hold(stamp=STAMP)
    assert [step] == [message for messages in desk.node.published.values() for message in messages]
    assert {"gripper_chatter": 0} == desk.output.gripper_counts()


def test_an_arm_that_is_played_out_gets_no_steps(desk):
    """An action moves its gripper alone; its motion comes as setpoints."""
    desk.take(1.0)
    assert ([], [1.0]) == (desk.twists, desk.goals)


@pytest.mark.parametrize(("arm", "topic"), [(TWIST, "twist_command"), (STEPS, "ee_delta")])
def test_a_second_commander_is_told_of(arm, topic):
    """One's own publisher is none of them; the sentence has how many more there are, and what to do."""
    desk = Desk(arm)
    assert "" == desk.output.second_commander()
    for number in (1, 3):
        desk.node.num_others = number
        expected = f"{number} more publish on '{topic}': stop them, then call reset_halt"
        assert expected == desk.output.second_commander()


def test_publishers_that_are_not_discovered_yet_are_nobody(desk):
    """Right after the start not even one's own is known."""
    desk.node.num_others = -1
    assert "" == desk.output.second_commander()


# Gripper


def test_an_opening_that_changed_too_soon_is_sent_later(desk):
    """It is counted as chatter, and becomes a goal in the first tick after the dwell, once."""
    desk.take(1.0)
    desk.take(0.0, now_s=10.125)
    desk.tick(now_s=10.29)
    assert ([1.0], {"gripper_chatter": 1}) == (desk.goals, desk.output.gripper_counts())
    desk.tick(now_s=10.3)
    desk.tick(now_s=10.7)
    assert [1.0, 0.0] == desk.goals


def test_an_opening_that_hardly_changed_is_no_goal(desk):
    """Less than the hysteresis of 0.2 is noise, the hysteresis itself is a change."""
    desk.take(1.0)
    desk.take(0.81, now_s=11.0)
    assert ([1.0], {"gripper_chatter": 0}) == (desk.goals, desk.output.gripper_counts())
    desk.take(0.8, now_s=12.0)
    assert [1.0, 0.8] == desk.goals


def test_a_hold_drops_the_opening_that_waits(desk):
    """When the fault is gone only the next action moves the gripper; it stays where it was told to be until then."""
    desk.take(1.0)
    desk.take(0.0, now_s=10.125)
    desk.tick(HELD, now_s=10.2)
    desk.tick(MOVING, now_s=11.5)
    desk.take(1.0, now_s=12.0)
    assert [1.0] == desk.goals
    desk.take(0.0, now_s=12.5)
    assert [1.0, 0.0] == desk.goals


def test_the_last_word_drops_the_opening_that_waits(desk):
    """After a deactivation nothing of before moves the gripper, however much later the node is activated."""
    desk.take(1.0)
    desk.take(0.0, now_s=10.125)
    desk.output.hold(stamp=STAMP)
    desk.tick(RESTING, now_s=100.0)
    assert [1.0] == desk.goals


def test_a_halt_forgets_what_the_gripper_was_to_do(desk):
    """A kept opening is not made up for; the next action is a goal at once, even the old one, on a clock set back."""
    desk.take(1.0)
    desk.take(0.0, now_s=10.125)
    desk.tick(HALTED, now_s=11.0)
    desk.tick(now_s=2.0)
    assert [1.0] == desk.goals
    desk.take(1.0, now_s=3.0)
    assert [1.0, 1.0] == desk.goals


def test_a_goal_that_nobody_took_is_asked_for_again():
    """Without a server each action tries anew, instead of taking the gripper for open; both failures are counted."""
    nodes = TwoNodes()
    command = GripperCommandAction(action="gripper/act", max_effort_n=20.0)
    output = MotionOutput(replace(TWIST, gripper=replace(TWIST.gripper, command=command)), nodes.node)
    for now_s in (10.0, 10.125):
        output.take(opening(1.0), stamp=STAMP, now_s=now_s)
    assert {"gripper_chatter": 0, "no_server": 2} == output.gripper_counts()
    nodes.close()


def test_a_goal_that_was_refused_is_asked_for_again():
    """A gripper that is homing refuses: the same opening is a goal once more with the next action, and not before."""
    nodes, goals = TwoNodes(), []
    ActionServer(
        nodes.peer,
        GripperCommand,
        "gripper/act",
        execute_callback=lambda handle: GripperCommand.Result(),
        goal_callback=lambda goal: goals.append(goal) or GoalResponse.REJECT,
    )
    command = GripperCommandAction(action="gripper/act", max_effort_n=20.0)
    output = MotionOutput(replace(TWIST, gripper=replace(TWIST.gripper, command=command)), nodes.node)
    nodes.wait(output._gripper._client.server_is_ready)
    output.take(opening(1.0), stamp=STAMP, now_s=10.0)
    nodes.wait(lambda: "refused" in output.gripper_counts())
    output.send(RESTING, stamp=STAMP, now_s=10.02, measured=UNKNOWN)
    assert 1 == len(goals)
    output.take(opening(1.0), stamp=STAMP, now_s=10.2)
    nodes.wait(lambda: len(goals) == 2)
    nodes.close()
