"""Topic, service and action that tell the policy node what to do: one assignment at a time, a new one preempts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String

from magma_ros.action import ExecuteInstruction
from magma_ros.errors import InvalidInputError
from magma_ros.msg import EndEffectorDelta
from magma_ros.prompts import clean_instruction
from magma_ros.ros.goal import Assignment, Ending, Outcome
from magma_ros.ros.interface import EXECUTE, INSTRUCTION, SET_INSTRUCTION
from magma_ros.srv import SetInstruction
from magma_ros.stops import Stop
from magma_ros.types import SafeAction


@dataclass(frozen=True, slots=True)
class _Goal:
    """An accepted goal; `done` gets the ending."""

    handle: ServerGoalHandle
    assignment: Assignment
    done: Future


class InstructionServer:
    """Holds the assignment under way; every method runs on the executor's thread."""

    def __init__(
        self,
        node: Node,
        *,
        refusal: Callable[[], str],
        now_s: Callable[[], float],
        on_change: Callable[[Ending | None], None],
    ) -> None:
        """Offer topic, service and action on `node`.

        Args:
            node: Its default callback group serves both.
            refusal: Why no instruction can be taken now; empty when one can.
            now_s: The node's clock [s].
            on_change: Called with None after an assignment began and with its ending after it ended.
        """
        self.current: Assignment | None = None
        self.max_consecutive_stops = 0
        self._refusal, self._now_s, self._on_change = refusal, now_s, on_change
        self._logger = node.get_logger()
        self._goal: _Goal | None = None
        self._num_begun = 0
        INSTRUCTION.subscribe(node, self._on_topic)
        node.create_service(SET_INSTRUCTION.interface, SET_INSTRUCTION.name, self._on_set_instruction)
        self._actions = ActionServer(
            node,
            EXECUTE.interface,
            EXECUTE.name,
            execute_callback=self._no_execution_by_default,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
        )

    def follow(self, instruction: str) -> None:
        """Follow `instruction` without a limit, from now on; whatever was under way is preempted.

        Raises:
            InvalidInputError: the instruction cannot be used.
        """
        self._begin(Assignment(clean_instruction(instruction), self._num_begun + 1))

    def record(self, decision: SafeAction | Stop, *, command: EndEffectorDelta | None, inference_s: float) -> None:
        """Count one step of the assignment under way, tell the goal's client, and end it when this was the last one."""
        if self.current is None:
            return
        ending = self.current.record(decision)
        if self._goal is not None:
            feedback = ExecuteInstruction.Feedback(step=self.current.num_steps, inference_s=inference_s)
            feedback.action = EndEffectorDelta() if command is None else command
            feedback.moved = command is not None
            feedback.stop_reason = decision.reason.value if isinstance(decision, Stop) else ""
            self._goal.handle.publish_feedback(feedback)
        if ending is not None:
            self.end(ending)

    def check_deadline(self) -> None:
        """End the assignment under way when its time is over."""
        ending = None if self.current is None else self.current.expired(self._now_s())
        if ending is not None:
            self.end(ending)

    def end(self, ending: Ending) -> None:
        """End the assignment under way, if any; its later answers are not its own any more."""
        if self.current is None:
            return
        goal, self._goal, self.current = self._goal, None, None
        if goal is not None:
            goal.done.set_result(ending)
        self._on_change(ending)

    def renew(self) -> None:
        """Go on with the assignment under way, if any, as if it had begun now: answers from before are not its own."""
        if self.current is not None:
            self._num_begun += 1
            self.current.epoch = self._num_begun

    def destroy(self) -> None:
        """Withdraw the action; the service goes with the node."""
        self._actions.destroy()

    def _begin(self, assignment: Assignment, goal: _Goal | None = None) -> None:
        self.end(Ending(Outcome.PREEMPTED, f"preempted by {assignment.instruction!r}"))
        self._num_begun = assignment.epoch
        self.current, self._goal = assignment, goal
        self._on_change(None)

    def _on_set_instruction(
        self, request: SetInstruction.Request, response: SetInstruction.Response
    ) -> SetInstruction.Response:
        response.message = self._set(request.instruction)
        response.accepted = not response.message
        return response

    def _on_topic(self, message: String) -> None:
        why = self._set(message.data)
        if why:
            self._logger.warning(f"instruction refused: {why}")  # noqa: G004  rclpy formats nothing itself

    def _set(self, instruction: str) -> str:
        """Follow `instruction`, or stop for an empty one; why it cannot be followed, empty when it is."""
        if not instruction.strip():
            self.end(Ending(Outcome.PREEMPTED, "an empty instruction was set"))
            return ""
        why = self._refusal()
        if not why:
            try:
                self.follow(instruction)
            except InvalidInputError as error:
                why = str(error)
        return why

    def _on_goal(self, request: ExecuteInstruction.Goal) -> GoalResponse:
        why = self._refusal() or _unusable(request)
        if why:
            self._logger.warning(f"goal refused: {why}")  # noqa: G004  rclpy formats nothing itself
        return GoalResponse.REJECT if why else GoalResponse.ACCEPT

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        request = handle.request
        assignment = Assignment(
            clean_instruction(request.instruction),
            self._num_begun + 1,
            step_budget=request.step_budget,
            deadline_s=self._now_s() + request.timeout_s if request.timeout_s > 0 else None,
            max_consecutive_stops=self.max_consecutive_stops,
        )
        goal = _Goal(handle, assignment, Future())
        self._begin(assignment, goal)
        handle.execute(partial(self._report, goal))

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if self._goal is None or self._goal.handle != handle:
            return CancelResponse.REJECT
        self.end(Ending(Outcome.CANCELED, "canceled by the client"))
        return CancelResponse.ACCEPT

    async def _report(self, goal: _Goal, handle: ServerGoalHandle) -> ExecuteInstruction.Result:
        ending: Ending = await goal.done
        if ending.outcome is Outcome.BUDGET_SPENT:
            handle.succeed()
        elif ending.outcome is Outcome.CANCELED:
            handle.canceled()
        else:
            handle.abort()
        return ExecuteInstruction.Result(
            outcome=int(ending.outcome), num_steps=goal.assignment.num_steps, message=ending.message
        )

    def _no_execution_by_default(self, _handle: ServerGoalHandle) -> ExecuteInstruction.Result:
        raise AssertionError("every goal is executed with its own report")


def _unusable(request: ExecuteInstruction.Goal) -> str:
    """Why the goal makes no sense; empty when it does."""
    try:
        clean_instruction(request.instruction)
    except InvalidInputError as error:
        return str(error)
    if request.step_budget < 1:
        return "step_budget: expected at least 1, got 0"
    if not (math.isfinite(request.timeout_s) and request.timeout_s >= 0):
        return f"timeout_s: expected a finite number of seconds, 0 for no limit, got {request.timeout_s}"
    return ""
