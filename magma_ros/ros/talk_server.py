"""Action and services that ask the policy about pictures: `ask`, `ground`, `predict_trace`; one question at a time.

The policy's thread answers when it has time to (`inference_worker`); here, on the executor's thread, the question is
put, the answer is looked after fifty times a second, and read. Nothing here moves the arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from magma_ros import picture_questions, talking
from magma_ros.action import Ask
from magma_ros.errors import MagmaRosError, PolicyError
from magma_ros.msg import PredictedTraces
from magma_ros.ros import mark_messages
from magma_ros.ros.acting import Acting
from magma_ros.ros.interface import ASK, GROUND, PREDICT_TRACE, PREDICTED_TRACES
from magma_ros.ros.newest_pictures import Look, NewestPictures
from magma_ros.ros.talk import Talk
from magma_ros.srv import Ground, PredictTrace
from magma_ros.talking import MAX_NEW_TOKENS, Question

DEFAULT_TRACE_STEPS = 8
CANCELED = "canceled by the client"


@dataclass(frozen=True, slots=True)
class _Conversation:
    """The question under way.

    Attributes:
        done: Gets None when nothing more will be said.
        until_s: When it is given up [s].
        heard: Told what was said so far, whenever that is more.
    """

    talk: Talk
    done: Future
    until_s: float
    heard: Callable[[str], object]


class TalkServer:
    """Offers action and services; `watch` does the work, and every method runs on the executor's thread.

    Attributes:
        timeout_s: Longest wait for an answer [s].
        trace_steps: Predicted where nobody says how many.
    """

    def __init__(self, node: Node, *, acting: Acting, pictures: NewestPictures, now_s: Callable[[], float]) -> None:
        """Ask whatever `acting` acts with about the newest of `pictures`.

        Args:
            node: Who offers action and services.
            acting: Has the policy, and its thread.
            pictures: Kept up to date by others.
            now_s: Steady time [s].
        """
        self._acting, self._pictures, self._now_s = acting, pictures, now_s
        self.timeout_s, self.trace_steps = 0.0, DEFAULT_TRACE_STEPS
        self._now: _Conversation | None = None
        self._said = ""
        self._traces = PREDICTED_TRACES.publisher(node)
        group = ReentrantCallbackGroup()  # as in policy_swap
        node.create_service(GROUND.interface, GROUND.name, self._on_ground, callback_group=group)
        node.create_service(PREDICT_TRACE.interface, PREDICT_TRACE.name, self._on_predict_trace, callback_group=group)
        self._asks = ActionServer(
            node,
            ASK.interface,
            ASK.name,
            execute_callback=self._on_ask,
            goal_callback=lambda _goal: GoalResponse.ACCEPT,  # whoever is refused is told why
            cancel_callback=self._on_cancel,
        )

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._now is not None

    def watch(self) -> None:
        """Hand on what was said since the last time; called often."""
        now = self._now
        if now is None:
            return
        if self._now_s() > now.until_s:
            now.talk.end(f"expected an answer within {self.timeout_s} s, got {now.talk.text!r} so far"[:500])
        has_ended = now.talk.ended.is_set()
        if now.talk.text != self._said:
            self._said = now.talk.text
            now.heard(self._said)
        if has_ended:
            self._now = None
            now.done.set_result(None)

    def forget(self, why: str) -> None:
        """End the question under way, if any."""
        if self._now is not None:
            self._now.talk.end(why)
        self.watch()

    def destroy(self) -> None:
        """Withdraw the action; the services go with the node."""
        self._asks.destroy()

    # The three questions

    async def _on_ask(self, handle: ServerGoalHandle) -> Ask.Result:
        goal, result = handle.request, Ask.Result()
        try:
            look = self._look(goal.camera)
            question = picture_questions.free_question(
                look.image, goal.question, max_new_tokens=goal.max_new_tokens or MAX_NEW_TOKENS
            )
            talk = await self._answer(question, heard=lambda said: handle.publish_feedback(Ask.Feedback(text=said)))
        except MagmaRosError as error:
            result.message = str(error)
        else:
            result.text, result.message = talk.text, talk.fault
        result.complete = not result.message
        if result.complete:
            handle.succeed()
        elif handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:  # noqa: ARG002  rclpy's signature
        if self._now is None:
            return CancelResponse.REJECT
        self._now.talk.end(CANCELED)
        return CancelResponse.ACCEPT

    async def _on_ground(self, request: Ground.Request, response: Ground.Response) -> Ground.Response:
        try:
            look = self._look(request.camera)
            marks = mark_messages.marks_in(look, request.candidates, columns=request.columns, rows=request.rows)
            question = picture_questions.grounding_question(look.image, marks, request.phrase)
            response.text = await self._whole_answer(question)
            meant = picture_questions.grounded(response.text, marks, **mark_messages.size_of(look))
        except MagmaRosError as error:
            response.message = str(error)
            return response
        response.accepted, response.header = True, look.header
        response.mark = mark_messages.mark_message(look, meant)
        response.drawn = [mark_messages.mark_message(look, mark) for mark in marks]
        return response

    async def _on_predict_trace(
        self, request: PredictTrace.Request, response: PredictTrace.Response
    ) -> PredictTrace.Response:
        try:
            look = self._look(request.camera)
            setup, assignment = self._acting.setup, self._acting.instructions.current
            marks = mark_messages.marks_in(look, request.marks, columns=request.columns, rows=request.rows)
            question = picture_questions.trace_question(
                look.image,
                marks,
                request.task or (assignment.instruction if assignment is not None else ""),
                num_steps=request.num_steps or self.trace_steps,
                speed=request.speed or None,
            )
            response.text = await self._whole_answer(question)
            traces = picture_questions.predicted_traces(response.text, marks, **mark_messages.size_of(look))
        except MagmaRosError as error:
            response.message = str(error)
            return response
        response.accepted = True
        response.predicted = mark_messages.traces_message(look, traces, step_s=setup.contract.control_period_s)
        self.publish(response.predicted)
        return response

    def publish(self, predicted: PredictedTraces) -> None:
        """Show traces to whoever looks at the topic."""
        self._traces.publish(predicted)

    # How a question is answered

    def _look(self, camera: str) -> Look:
        """What the policy would be asked about.

        Raises:
            MagmaRosError: nobody can answer now, or there is nothing to see.
        """
        if not self._acting.is_loaded:
            raise PolicyError("the policy node is not configured: there is nobody to ask")
        if self.is_busy:
            raise PolicyError("another question is being answered: ask again when it is")
        setup = self._acting.setup
        return self._pictures.look(camera, contract=setup.contract, max_age_s=setup.camera_timeout_s)

    async def _answer(self, question: Question, *, heard: Callable[[str], object]) -> Talk:
        talk = Talk(partial(talking.talk, self._acting.setup.policy, question))
        self._said = ""
        self._now = _Conversation(talk, Future(), self._now_s() + self.timeout_s, heard)
        self._acting.say(talk)
        await self._now.done
        return talk

    async def _whole_answer(self, question: Question) -> str:
        talk = await self._answer(question, heard=lambda _said: None)
        if talk.fault:
            raise PolicyError(talk.fault)
        return talk.text
