"""Does the arm go where its policy sees it going? While it acts, the tool's trace is predicted and compared.

A health signal on `/diagnostics`, which nothing acts on. It is off, and says why, unless the checkpoint predicts traces
and the camera is calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from magma_ros import picture_questions, talking
from magma_ros.errors import InvalidInputError, MagmaRosError, MarkTextError, PolicyError, TransformError
from magma_ros.marks import Mark
from magma_ros.ros import mark_messages
from magma_ros.ros.acting import Acting
from magma_ros.ros.camera_geometry import CameraGeometry
from magma_ros.ros.diagnostics import Diagnostics, Level
from magma_ros.ros.goal import Assignment
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.newest_pictures import Look, NewestPictures
from magma_ros.ros.policy_setup import Setup
from magma_ros.ros.talk import Talk
from magma_ros.ros.talk_server import TalkServer
from magma_ros.trace_divergence import PredictedPath, ToolPath

_IDLE = "nothing is acted on"


@dataclass(frozen=True, slots=True)
class _Question:
    """Where the tool goes, from where it was in a picture, its place there being a mark."""

    look: Look
    mark: Mark
    talk: Talk


class TraceWatch:
    """Asks for a trace, waits until its time is over, compares, and asks again; on the executor's thread.

    Attributes:
        num_steps: That are predicted; 0 watches nothing.
        max_share: Divergence that warns, as a share of the picture's width.
    """

    def __init__(
        self,
        *,
        acting: Acting,
        measured: MeasuredState,
        cameras: Mapping[str, CameraGeometry],
        pictures: NewestPictures,
        talks: TalkServer,
        diagnostics: Diagnostics,
    ) -> None:
        """Watch what `acting` does in the first of its policy's cameras; a person's question goes before it."""
        self._acting, self._measured, self._cameras = acting, measured, cameras
        self._pictures, self._talks = pictures, talks
        self.num_steps, self.max_share = 0, 1.0
        self._epoch: int | None = None
        self._executed = ToolPath()
        self._asked: _Question | None = None
        self._predicted: PredictedPath | None = None
        self._divergence_px: float | None = None
        self._num_compared = 0
        self._max_px, self._ask_again_s, self._trouble = 0.0, float("-inf"), ""
        self._why_off, self._why_unasked = _IDLE, ""
        diagnostics.part("trace divergence", self._report)

    def watch(self) -> None:
        """Measure, compare and ask; called often."""
        assignment = self._acting.assignment_acted_on
        epoch = None if assignment is None else assignment.epoch
        if epoch != self._epoch:
            self._forget()
            self._epoch = epoch
        if assignment is None:
            self._why_off = _IDLE
            return
        try:
            self._follow(assignment)
            self._why_off = ""
        except MagmaRosError as error:
            self._why_off = str(error)

    def _follow(self, assignment: Assignment) -> None:
        setup = self._acting.setup
        if self.num_steps == 0:
            raise PolicyError("the parameter trace_steps is 0")
        if not talking.predicts_traces(setup.policy):
            raise PolicyError(f"{setup.checkpoint} was not trained to predict traces")
        measured = self._measured.pose()
        if measured is None:
            raise TransformError("the tool's pose is not measured")
        camera = self._cameras[setup.contract.cameras[0].name]
        self._executed.add(measured.stamp_s, camera.project(measured.pose.position_m))
        self._compare()
        if self._asked is not None:
            self._hear(self._asked, step_s=setup.contract.control_period_s)
        elif self._predicted is None and not self._talks.is_busy and self._executed.newest_s >= self._ask_again_s:
            try:
                self._ask(setup, camera, assignment)
                self._why_unasked = ""
            except MagmaRosError as error:  # kept until it is tried again, a control period later
                self._why_unasked = str(error)

    def _ask(self, setup: Setup, camera: CameraGeometry, assignment: Assignment) -> None:
        """Ask where the tool goes from where it was in the newest picture, once its place there was measured."""
        self._ask_again_s = self._executed.newest_s + setup.contract.control_period_s
        look = self._pictures.look("", contract=setup.contract, max_age_s=setup.camera_timeout_s)
        camera.require_size(width_px=look.view.width_px, height_px=look.view.height_px)
        place = self._executed.at(look.stamp_s)
        if place is None:
            return
        (x_px, y_px), (height, width, _) = look.view.to_seen(place[0]).tolist(), look.image.shape
        if not (0 <= x_px <= width - 1 and 0 <= y_px <= height - 1):
            raise InvalidInputError(f"the tool is not in the picture of camera {look.view.camera.name!r}")
        mark = Mark(1, x_px, y_px)
        question = picture_questions.trace_question(
            look.image, [mark], assignment.instruction, num_steps=self.num_steps
        )
        self._asked = _Question(look, mark, Talk(partial(talking.talk, setup.policy, question)))
        self._ask_again_s = self._executed.newest_s + self.num_steps * setup.contract.control_period_s
        self._acting.say(self._asked.talk)

    def _hear(self, asked: _Question, *, step_s: float) -> None:
        """Read the answer when it is there; one that is none is told, and asked for again a horizon later."""
        if not asked.talk.ended.is_set():
            return
        self._asked, self._trouble, look = None, asked.talk.fault, asked.look
        if self._trouble:
            return
        try:
            traces = picture_questions.predicted_traces(asked.talk.text, [asked.mark], **mark_messages.size_of(look))
        except MarkTextError as error:
            self._trouble = str(error)
            return
        points = look.view.to_camera(traces[0].points_px)[: self.num_steps + 1]
        self._predicted = PredictedPath(points, began_s=look.stamp_s, step_s=step_s)
        self._max_px = self.max_share * look.view.width_px
        self._talks.publish(mark_messages.traces_message(look, traces, step_s=step_s))

    def _compare(self) -> None:
        predicted = self._predicted
        if predicted is None or self._executed.newest_s < predicted.ends_s:
            return
        divergence_px = predicted.divergence_px(self._executed)
        self._predicted, self._ask_again_s = None, float("-inf")
        if divergence_px is not None:
            self._divergence_px, self._num_compared = divergence_px, self._num_compared + 1

    def _forget(self) -> None:
        """Another motion begins, or none: nothing from before is compared with it."""
        if self._asked is not None:
            self._asked.talk.end("its assignment has ended")
        self._executed.clear()
        self._asked = self._predicted = self._divergence_px = None
        self._num_compared, self._max_px, self._ask_again_s, self._trouble = 0, 0.0, float("-inf"), ""
        self._why_unasked = ""

    def _report(self) -> tuple[Level, str, dict[str, str]]:
        why_off = self._why_off or self._why_unasked
        if why_off:
            return Level.OK, f"off: {why_off}", {}
        if self._divergence_px is None:
            return Level.OK, self._trouble or "no predicted trace is over yet", {}
        values = {
            "trace divergence [px]": f"{self._divergence_px:.2f}",
            "warns above [px]": f"{self._max_px:.2f}",
            "traces compared": str(self._num_compared),
        }
        if self._divergence_px > self._max_px:
            return Level.WARN, f"the tool went {self._divergence_px:.0f} px from where the policy saw it going", values
        return Level.OK, f"the tool goes where the policy saw it going, to {self._divergence_px:.0f} px", values
