"""One assignment at a time: who begins it, what it is told, who ends it; a graph and a clock by hand.

Over DDS: `test_policy_node`.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rclpy.action.server import CancelResponse, GoalResponse

from magma_ros.action import ExecuteInstruction
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import instruction_server
from magma_ros.ros.goal import Ending, Outcome
from magma_ros.ros.instruction_server import InstructionServer
from magma_ros.stops import Stop, StopReason
from magma_ros.types import SafeAction
from tests.examples import make_action
from tests.ros.plain_node import PlainNode

MOVE = SafeAction(make_action(0.01))
HOLD = Stop(StopReason.UNDECODABLE, "six tokens")
COMMAND = EndEffectorDelta(gripper_opening=0.25)
ENDED = Ending(Outcome.STOPPED, "deactivated")
EMPTY = Ending(Outcome.PREEMPTED, "an empty instruction was set")


class Goal:
    """A goal's handle: its request, its feedback, its last state and, once it ended, its result."""

    def __init__(self, request):
        self.request, self.feedback, self.state = request, [], "executing"
        self.publish_feedback = self.feedback.append
        self.succeed, self.canceled, self.abort = (
            lambda state=state: setattr(self, "state", state) for state in ("succeeded", "canceled", "aborted")
        )

    def execute(self, report):
        self._report = report(self)
        self.run()

    def run(self):
        """The result once there is one, as the executor finds it."""
        try:
            self._report.send(None)
        except StopIteration as end:
            return end.value

    @property
    def ending(self):
        """State, outcome, number of steps and message; fails before it ended."""
        result = self.run()
        return self.state, result.outcome, result.num_steps, result.message


class Desk:
    """A server at 100 s, what it told, and its action's callbacks."""

    def __init__(self, monkeypatch):
        self.node, self.changes, self.refusal, self.now_s, self.is_destroyed = PlainNode(), [], "", 100.0, False
        monkeypatch.setattr(instruction_server, "ActionServer", self.offer_action)
        self.server = InstructionServer(
            self.node, refusal=lambda: self.refusal, now_s=lambda: self.now_s, on_change=self.changes.append
        )

    def offer_action(self, _node, _interface, name, **callbacks):
        assert "execute_instruction" == name
        self.callbacks = callbacks
        return SimpleNamespace(destroy=lambda: setattr(self, "is_destroyed", True))

    def set(self, instruction):
        response = self.node.services["set_instruction"](instruction=instruction)
        return response.accepted, response.message

    def judge(self, **request):
        return self.callbacks["goal_callback"](goal_request(**request))

    def goal(self, **request):
        made = Goal(goal_request(**request))
        self.callbacks["handle_accepted_callback"](made)
        return made

    def cancel(self, goal):
        return self.callbacks["cancel_callback"](goal)

    def record(self, decision=MOVE, command=COMMAND):
        self.server.record(decision, command=command, inference_s=0.5)


def goal_request(*, instruction="lift", step_budget=3, timeout_s=0.0):
    return ExecuteInstruction.Goal(instruction=instruction, step_budget=step_budget, timeout_s=timeout_s)


@pytest.fixture
def desk(monkeypatch):
    return Desk(monkeypatch)


def test_without_an_assignment_nothing_happens(desk):
    """Steps, deadlines, ends and renewals of nothing change nothing and tell nobody."""
    desk.record()
    desk.server.check_deadline()
    desk.server.end(ENDED)
    desk.server.renew()
    assert (None, []) == (desk.server.current, desk.changes)


def test_an_instruction_is_followed_without_a_limit(desk):
    """White space is taken off; a thousand held steps and an hour do not end it."""
    desk.server.max_consecutive_stops = 3
    desk.server.follow("  lift ")
    desk.now_s += 3600.0
    for _ in range(1000):
        desk.record(HOLD)
    desk.server.check_deadline()
    assert ("lift", 1000, [None]) == (desk.server.current.instruction, desk.server.current.num_steps, desk.changes)


def test_each_assignment_has_a_later_number(desk):
    """A new one ends the old one first, which is told what came in its place; `renew` counts too."""
    desk.server.follow("lift")
    desk.server.follow("put")
    preempted = Ending(Outcome.PREEMPTED, "preempted by 'put'")
    assert ([None, preempted, None], 2) == (desk.changes, desk.server.current.epoch)
    desk.server.renew()
    assert ("put", 3) == (desk.server.current.instruction, desk.server.current.epoch)
    desk.server.end(ENDED)
    desk.server.follow("put")
    assert 4 == desk.server.current.epoch


@pytest.mark.parametrize("instruction", ["", "  \n"])
def test_an_empty_instruction_stops(desk, instruction):
    """It is accepted even where no instruction can be taken, and where there is nothing to stop."""
    desk.server.follow("lift")
    desk.refusal = "the arm is halted"
    assert [(True, "")] * 2 == [desk.set(instruction), desk.set(instruction)]
    assert (None, [None, EMPTY]) == (desk.server.current, desk.changes)


def test_the_service_says_why_it_refuses(desk):
    """A refusal, or an unusable text, leaves the assignment under way as it is."""
    assert (True, "") == desk.set("lift")
    accepted, why = desk.set("a\nb")
    assert (False, True) == (accepted, why.startswith("instruction: expected one line"))
    desk.refusal = "the arm is halted"
    assert (False, "the arm is halted") == desk.set("put")
    assert ("lift", [None]) == (desk.server.current.instruction, desk.changes)


def test_the_topic_does_the_same_and_logs_a_refusal(desk):
    """Nobody is answered: a line of the log says why."""
    topic = desk.node.topics["instruction"]
    topic.send(data="lift")
    desk.refusal = "the arm is halted"
    topic.send(data="put")
    assert "lift" == desk.server.current.instruction
    assert [("warning", "instruction refused: the arm is halted")] == desk.node.lines


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"instruction": " "}, "instruction: expected a sentence, got an empty one"),
        ({"step_budget": 0}, "step_budget: expected at least 1, got 0"),
        ({"timeout_s": -0.1}, "timeout_s: expected a finite number of seconds, 0 for no limit, got -0.1"),
        ({"timeout_s": float("nan")}, "timeout_s: expected a finite number of seconds, 0 for no limit, got nan"),
        ({"timeout_s": float("inf")}, "timeout_s: expected a finite number of seconds, 0 for no limit, got inf"),
    ],
)
def test_a_goal_without_sense_is_rejected_and_logged(desk, request_, why):
    """The action's answer has no room for a reason, so the log has it."""
    assert GoalResponse.REJECT is desk.judge(**request_)
    assert [("warning", f"goal refused: {why}")] == desk.node.lines


def test_a_goal_is_accepted_unless_nothing_can_be_taken(desk):
    """One step without a limit of time is enough of a goal; a refusal goes before everything else."""
    assert GoalResponse.ACCEPT is desk.judge(step_budget=1)
    desk.refusal = "the arm is halted"
    assert GoalResponse.REJECT is desk.judge(step_budget=0)
    assert [("warning", "goal refused: the arm is halted")] == desk.node.lines


def test_a_goal_is_told_of_each_step_and_succeeds_with_its_budget(desk):
    """Feedback has the command, or the reason that there is none; held steps count."""
    goal = desk.goal(instruction=" lift ", step_budget=2)
    desk.record()
    assert goal.run() is None
    desk.record(HOLD, command=None)
    told = [(f.step, f.inference_s, f.action.gripper_opening, f.moved, f.stop_reason) for f in goal.feedback]
    assert [(1, 0.5, 0.25, True, ""), (2, 0.5, 0.0, False, "undecodable")] == told
    assert ("succeeded", 0, 2, "all 2 steps were taken") == goal.ending
    assert [None, Ending(Outcome.BUDGET_SPENT, "all 2 steps were taken")] == desk.changes


def test_a_goal_ends_at_its_deadline(desk):
    """Two and a half seconds after it was accepted, not before; without a timeout it goes on."""
    goal = desk.goal(timeout_s=2.5)
    for now_s, is_over in ((102.4, False), (102.5, True)):
        desk.now_s = now_s
        desk.server.check_deadline()
        assert is_over is (desk.server.current is None)
    assert ("aborted", 2, 0, "not done in time, after 0 steps") == goal.ending
    endless = desk.goal()
    desk.now_s = 1e9
    desk.server.check_deadline()
    assert (None, "executing") == (endless.run(), endless.state)


def test_held_steps_in_a_row_abort_a_goal(desk):
    """As many as the node allows, with the last one's reason."""
    desk.server.max_consecutive_stops = 2
    goal = desk.goal(step_budget=9)
    for decision in (HOLD, MOVE, HOLD, HOLD):
        assert desk.server.current is not None
        desk.record(decision)
    assert ("aborted", 3, 4, "undecodable: six tokens") == goal.ending


def test_a_preempted_goal_is_aborted_and_hears_no_more(desk):
    """Steps of the instruction that took over are not its feedback, and its client cannot cancel that one."""
    goal = desk.goal(instruction="lift")
    desk.set("put")
    desk.record()
    assert CancelResponse.REJECT is desk.cancel(goal)
    assert ("aborted", 4, 0, "preempted by 'put'") == goal.ending
    assert ([], "put") == (goal.feedback, desk.server.current.instruction)


def test_a_goal_is_canceled_by_its_own_client_alone(desk):
    """The handle of an older goal ends nothing; that of the goal under way does, once."""
    old, goal = desk.goal(), desk.goal()
    assert CancelResponse.REJECT is desk.cancel(old)
    assert desk.server.current is not None
    assert [CancelResponse.ACCEPT, CancelResponse.REJECT] == [desk.cancel(goal), desk.cancel(goal)]
    assert ("canceled", 1, 0, "canceled by the client") == goal.ending
    assert desk.server.current is None
    assert Ending(Outcome.CANCELED, "canceled by the client") == desk.changes[-1]


def test_the_action_is_withdrawn_in_the_end(desk):
    """`destroy` takes the action away; nothing is ended by that."""
    desk.server.follow("lift")
    desk.server.destroy()
    assert (True, [None]) == (desk.is_destroyed, desk.changes)
