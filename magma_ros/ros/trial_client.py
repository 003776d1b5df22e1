"""A client of the whole graph: resets the world, sends an instruction, watches the steps, reads the verdict, asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.action.client import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from magma_ros.action import Ask, ExecuteInstruction
from magma_ros.errors import MagmaRosError
from magma_ros.msg import PolicyStatus
from magma_ros.ros import interface
from magma_ros.ros.goal import Outcome
from magma_ros.ros.pictures import image_from_message
from magma_ros.srv import ResetWorld
from magma_ros.types import ImageArray

_WAKE_S = 0.05
_CANCEL_S = 2.0
_VERDICT_TICKS = 2
"""Ticks of the world after the goal's end until its verdict counts; the last command is applied in one of them."""


class GraphError(MagmaRosError):
    """Something on the graph did not answer in time, or refused."""


class InterruptedTrialError(GraphError):
    """The person at the terminal stopped the trial."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the client saw it: its number, whether it moved the arm, and how long the inference took [s]."""

    number: int
    moved: bool
    inference_s: float
    stop_reason: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial over the graph.

    Attributes:
        seed: Of the initial state.
        success: The world's verdict after the last step.
        outcome: How the goal ended, and its message.
        steps: Every step that was heard of; feedback is not kept for ever, so that some may be missing.
        frames: Pictures for people, one per tick of the world, from reset to verdict.
    """

    seed: int
    success: bool
    outcome: Outcome
    message: str
    num_steps: int
    steps: tuple[Step, ...]
    frames: tuple[ImageArray, ...]


class TrialClient:
    """Runs trials on a graph that others started."""

    def __init__(self, *, check: Callable[[], None], with_frames: bool = True) -> None:
        """Join the graph.

        Args:
            check: Called while waiting; whatever it raises ends the wait.
            with_frames: Subscribe to the viewer's picture.
        """
        self._check = check
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("trial_client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._status: PolicyStatus | None = None
        self._verdicts: list[bool] = []
        self._frames: list[ImageArray] = []
        interface.STATUS.subscribe(self._node, self._on_status)
        interface.TASK_SUCCESS.subscribe(self._node, self._on_verdict)
        if with_frames:
            interface.VIEWER.subscribe(self._node, self._on_frame)
        self._reset = self._node.create_client(ResetWorld, interface.RESET_WORLD.name)
        self._goals = ActionClient(self._node, ExecuteInstruction, interface.EXECUTE.name)
        self._asks = ActionClient(self._node, Ask, interface.ASK.name)

    def close(self) -> None:
        """Leave the graph."""
        self._goals.destroy()
        self._asks.destroy()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def wait_until_ready(self, *, timeout_s: float) -> PolicyStatus:
        """The policy's status once it waits for an instruction and the world ticks.

        Raises:
            GraphError: not within `timeout_s`.
        """

        def is_ready() -> bool:
            policy_waits = self._status is not None and self._status.state == PolicyStatus.IDLE
            return (
                policy_waits
                and self._goals.server_is_ready()
                and self._reset.service_is_ready()
                and bool(self._verdicts)
            )

        self._wait(is_ready, timeout_s, "policy and arm on the graph")
        assert self._status is not None
        return self._status

    def run_trial(
        self, seed: int, instruction: str, *, step_budget: int, timeout_s: float, on_step: Callable[[Step], None]
    ) -> Trial:
        """Reset the world to `seed`, follow `instruction` for `step_budget` steps, and read the verdict.

        A trial that is cut short cancels its goal, so that the arm holds.

        Raises:
            GraphError: the world or the policy refused, or did not answer within `timeout_s`.
        """
        reset = self._answer(self._reset.call_async(ResetWorld.Request(seed=seed)), timeout_s, "reset_world")
        if not reset.ok:
            raise GraphError(f"reset_world: {reset.message}")
        self._frames.clear()
        steps: list[Step] = []

        def on_feedback(message: Any) -> None:
            feedback = message.feedback
            steps.append(Step(feedback.step, feedback.moved, feedback.inference_s, feedback.stop_reason))
            on_step(steps[-1])

        goal = ExecuteInstruction.Goal(instruction=instruction, step_budget=step_budget, timeout_s=timeout_s)
        handle = self._answer(self._goals.send_goal_async(goal, feedback_callback=on_feedback), timeout_s, "the goal")
        if not handle.accepted:
            raise GraphError("the policy node rejected the goal; its log says why")
        try:
            result = self._answer(handle.get_result_async(), timeout_s + _CANCEL_S, "the goal's result").result
            num_heard = len(self._verdicts)
            self._wait(lambda: len(self._verdicts) >= num_heard + _VERDICT_TICKS, timeout_s, "the world's verdict")
        except BaseException:
            self._cancel(handle)
            raise
        return Trial(
            seed,
            self._verdicts[-1],
            Outcome(result.outcome),
            result.message,
            result.num_steps,
            tuple(steps),
            tuple(self._frames),
        )

    def ask(self, question: str, *, timeout_s: float) -> str:
        """What the policy says to a question about its newest picture; nothing moves.

        Raises:
            GraphError: it refused, or did not answer within `timeout_s`.
        """
        handle = self._answer(self._asks.send_goal_async(Ask.Goal(question=question)), timeout_s, "the question")
        if not handle.accepted:
            raise GraphError("ask: the policy node rejected the goal; its log says why")
        result = self._answer(handle.get_result_async(), timeout_s, "the answer").result
        if not result.complete:
            raise GraphError(f"ask: {result.message}")
        return str(result.text)

    def _cancel(self, handle: Any) -> None:
        """Cancel and give the request time to go out; whoever is not there any more holds the arm anyway."""
        future = handle.cancel_goal_async()
        end = time.monotonic() + _CANCEL_S
        while not future.done() and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=_WAKE_S)

    def _answer(self, future: Future, timeout_s: float, what: str) -> Any:
        self._wait(future.done, timeout_s, what)
        return future.result()

    def _wait(self, is_done: Callable[[], bool], timeout_s: float, what: str) -> None:
        end = time.monotonic() + timeout_s
        while not is_done():
            self._check()
            if time.monotonic() > end:
                detail = "" if self._status is None else f"; the policy says: {self._status.detail or 'nothing'}"
                raise GraphError(f"waited {timeout_s:.0f} s in vain for {what}{detail}")
            self._executor.spin_once(timeout_sec=_WAKE_S)

    def _on_status(self, message: PolicyStatus) -> None:
        self._status = message

    def _on_verdict(self, message: Bool) -> None:
        self._verdicts.append(message.data)

    def _on_frame(self, message: Image) -> None:
        self._frames.append(image_from_message(message))
