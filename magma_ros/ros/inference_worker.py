"""The thread that runs the controller, so that the executor never waits for the model; it talks in its spare time."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from builtin_interfaces.msg import Time

from magma_ros.controller import Controller
from magma_ros.errors import MagmaRosError
from magma_ros.ros.talk import Talk
from magma_ros.spare_time import SpareTime
from magma_ros.stops import Stop, StopReason
from magma_ros.types import ActionChunk, Observation, SafeAction

_LOOK_S = 0.02
"""How often a talk that had to wait looks whether there is time for it [s]."""
_RELEASED = "the policy was released"


@dataclass(frozen=True, slots=True)
class Job:
    """One observation to act on.

    Attributes:
        observation: What the tick sees.
        stamp: Its capture time as it came, for the command's header.
        epoch: Number of the instruction that it belongs to; a new number makes the controller forget the old one.
        received_s: When its last picture came, by `time.perf_counter` [s].
    """

    observation: Observation
    stamp: Time
    epoch: int
    received_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the controller decided about a job.

    Attributes:
        decision: Move or hold.
        chunk: What the policy predicted in this tick; None when it was not asked or did not answer.
        inference_s: Duration of the tick [s].
    """

    job: Job
    decision: SafeAction | Stop
    chunk: ActionChunk | None
    inference_s: float

    def if_fresh(self, *, age_s: float, max_age_s: float) -> SafeAction | Stop:
        """The decision, unless thinking took so long that its picture, `age_s` old by now [s], is stale."""
        if isinstance(self.decision, Stop) or age_s <= max_age_s:
            return self.decision
        detail = f"the picture is {age_s:.2f} s old after {self.inference_s:.2f} s of inference"
        return Stop(StopReason.STALE_OBSERVATION, detail)


class InferenceWorker:
    """Ticks the controller on a thread of its own, on the newest job only, and hands each answer over there.

    A job that waits while a tick decides to move is dropped: its picture was taken before that motion, so acting on it
    would make the same motion twice. A policy that is slower than its control period thus acts less often, not wrongly.

    A job goes before a talk, which gets one piece at a time, and only where the piece fits before the next picture.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        now_s: Callable[[], float],
        on_answer: Callable[[Answer], None],
        log_error: Callable[[str], object],
        spare_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Start the thread.

        `now_s` reads the node's clock, `on_answer` gets each answer and must not raise, and `spare_s` tells how long it
        is until a picture may come that is acted on [s], infinite for never; all run on the thread.
        """
        self._controller = controller
        self._now_s, self._on_answer, self._log_error = now_s, on_answer, log_error
        self._spare_s, self._spare_time = spare_s, SpareTime()
        self._talk: Talk | None = None
        self._condition = threading.Condition()
        self._job: Job | None = None
        self._closing = False
        self._epoch: int | None = None
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Replace the waiting job, if any: only the newest picture is worth an inference."""
        with self._condition:
            self._job = job
            self._condition.notify()
        time.sleep(0)  # gives Python's lock away: the caller's executor would hold it for a millisecond or two

    def begin(self, talk: Talk) -> None:
        """Answer a question from now on; the one under way is given up."""
        with self._condition:
            self._hush("another question was asked")
            self._talk = talk
            if self._closing:
                self._hush(_RELEASED)
            self._condition.notify()

    def hush(self, why: str) -> None:
        """Give up the question under way, if any."""
        with self._condition:
            self._hush(why)

    def _hush(self, why: str) -> None:
        if self._talk is not None:
            self._talk.end(why)

    def close(self, *, timeout_s: float = 5.0) -> bool:
        """End the thread after the tick under way; False when it did not end within `timeout_s`."""
        with self._condition:
            self._closing, self._job = True, None
            self._hush(_RELEASED)
            self._condition.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            if isinstance(work, Talk):
                self._say_more(work)
                continue
            answer = self._tick(work)
            if isinstance(answer.decision, SafeAction):
                self._forget_job_of(work.epoch)
            self._on_answer(answer)

    def _forget_job_of(self, epoch: int) -> None:
        with self._condition:
            if self._job is not None and self._job.epoch == epoch:
                self._job = None

    def _next(self) -> Job | Talk | None:
        with self._condition:
            while not self._closing and self._job is None:
                talk = self._talk = None if self._talk is None or self._talk.ended.is_set() else self._talk
                if talk is not None and self._spare_time.fits(self._spare_s(), is_first=talk.is_first):
                    return talk
                self._condition.wait(None if talk is None else _LOOK_S)
            job, self._job = self._job, None
            return None if self._closing else job

    def _say_more(self, talk: Talk) -> None:
        start, is_first = time.perf_counter(), talk.is_first
        try:
            talk.advance()
        except MagmaRosError as error:
            talk.end(str(error))
        except Exception as error:  # noqa: BLE001  a fault of the policy must not end the thread that also acts
            self._log_error(f"no answer:\n{traceback.format_exc()}")
            talk.end(f"{type(error).__name__}: {error}"[:500])
        if not talk.ended.is_set():
            self._spare_time.piece_took(time.perf_counter() - start, is_first=is_first)

    def _tick(self, job: Job) -> Answer:
        start = time.perf_counter()
        chunk = None
        try:
            if job.epoch != self._epoch:
                self._controller.reset()
                self._epoch = job.epoch
            previous = self._controller.last_chunk
            decision = self._controller.tick(job.observation, self._now_s())
            chunk = self._controller.last_chunk if self._controller.last_chunk is not previous else None
        except Exception as error:  # noqa: BLE001  the node's tick: whatever failed, the arm must stop and the node must live
            self._log_error(f"the tick failed, the arm holds:\n{traceback.format_exc()}")
            decision = Stop(StopReason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"[:500])
        duration_s = time.perf_counter() - start
        if chunk is not None:
            self._spare_time.inference_took(duration_s)
        return Answer(job, decision, chunk, duration_s)
