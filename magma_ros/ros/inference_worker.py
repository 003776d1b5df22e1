"""The thread that runs the controller, so that the executor never waits for the model."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from builtin_interfaces.msg import Time

from magma_ros.controller import Controller
from magma_ros.types import ActionChunk, Observation, SafeAction, Stop, StopReason


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
    """

    def __init__(
        self,
        controller: Controller,
        *,
        now_s: Callable[[], float],
        on_answer: Callable[[Answer], None],
        log_error: Callable[[str], object],
    ) -> None:
        """Start the thread.

        `now_s` reads the node's clock and `on_answer` gets each answer and must not raise; both run on the thread.
        """
        self._controller = controller
        self._now_s, self._on_answer, self._log_error = now_s, on_answer, log_error
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

    def close(self, *, timeout_s: float = 5.0) -> bool:
        """End the thread after the tick under way; False when it did not end within `timeout_s`."""
        with self._condition:
            self._closing, self._job = True, None
            self._condition.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._next_job()) is not None:
            answer = self._tick(job)
            if isinstance(answer.decision, SafeAction):
                self._forget_job_of(job.epoch)
            self._on_answer(answer)

    def _forget_job_of(self, epoch: int) -> None:
        with self._condition:
            if self._job is not None and self._job.epoch == epoch:
                self._job = None

    def _next_job(self) -> Job | None:
        with self._condition:
            self._condition.wait_for(lambda: self._closing or self._job is not None)
            job, self._job = self._job, None
            return None if self._closing else job

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
        return Answer(job, decision, chunk, time.perf_counter() - start)
