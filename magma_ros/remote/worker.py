"""The one thread that touches a served policy, and the bounded queue in front of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from magma_ros.distant_talk import Asked, Further, Piece, Speaker
from magma_ros.errors import ContractError, MagmaRosError, OverloadedError, PolicyError
from magma_ros.policy import Policy
from magma_ros.remote.protocol import Request
from magma_ros.types import ActionChunk
from magma_ros.wording import counted

_LOGGER = logging.getLogger(__name__)
_ENDED = "the policy has ended: the server stops, or must be started again"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policy said, and when.

    Attributes:
        chunk: The actions; None when only a reset or words were asked for.
        queue_s: Time between question and start [s].
        infer_s: Time that the policy took [s].
        piece: Of an answer in words; None when something else was asked for.
    """

    chunk: ActionChunk | None
    queue_s: float
    infer_s: float
    piece: Piece | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    client: int
    request: Request
    asked_s: float = field(default_factory=time.monotonic)
    answer: Future[Answer] = field(default_factory=Future)


class PolicyWorker:
    """Asks a policy one question at a time, in the order in which they came.

    A policy knows one episode. It is reset when another client asks than the one before, and when a request says that
    an episode begins: clients that take turns share its time and never each other's episode.
    """

    def __init__(self, policy: Policy, *, action_horizon: int, max_queue: int) -> None:
        """Start the thread.

        Args:
            policy: Used by this thread alone from now on.
            action_horizon: Length of chunk that clients were promised.
            max_queue: Questions that may wait while another is answered.
        """
        self._policy = policy
        self._action_horizon = action_horizon
        self._max_queue = max_queue
        self._jobs: deque[_Job] = deque()
        self._ended = False
        self._changed = threading.Condition()  # guards the two above
        self._last_client: int | None = None
        self._speaker, self._heard_by = Speaker(policy), -1
        self._busy_since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="policy_worker", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether questions are still answered."""
        return not self._ended

    @property
    def busy_s(self) -> float:
        """How long the present question has taken so far [s]; 0 when there is none."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    @property
    def num_waiting(self) -> int:
        """Questions in the queue."""
        with self._changed:
            return sum(not job.answer.cancelled() for job in self._jobs)

    def ask(self, client: int, request: Request) -> Future[Answer]:
        """The answer to come; cancelling it works until the policy looks at it.

        Raises:
            OverloadedError: the queue is full.
            PolicyError: the thread has ended.
        """
        job = _Job(client, request)
        with self._changed:
            if self._ended:
                raise PolicyError(_ENDED)
            self._jobs = deque(waiting for waiting in self._jobs if not waiting.answer.cancelled())
            if len(self._jobs) >= self._max_queue:
                raise OverloadedError(
                    f"expected at most {counted(self._max_queue, 'question')} to wait, the queue is full"
                )
            self._jobs.append(job)
            self._changed.notify()
        return job.answer

    def close(self, *, timeout_s: float) -> bool:
        """Let the present question end, refuse those that wait and end the thread; whether it ended in time."""
        self._end()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                if job.answer.set_running_or_notify_cancel() and not self._answer(job):
                    return
        finally:
            self._end()

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._ended)
            return self._jobs.popleft() if self._jobs else None

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            waiting = tuple(self._jobs)
            self._jobs.clear()
            self._changed.notify()
        for job in waiting:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(PolicyError(_ENDED))

    def _answer(self, job: _Job) -> bool:
        """Whether the policy can be asked again after this."""
        self._busy_since_s = started_s = time.monotonic()
        try:
            asked = job.request.asked
            piece = None if asked is None else self._say(job.client, asked)
            chunk = self._ask_policy(job.client, job.request) if asked is None else None
        except MagmaRosError as error:
            job.answer.set_exception(error)
        except Exception:
            # The server's outermost loop: a fault of the policy must not end it, nor show clients its inside.
            _LOGGER.exception("the policy failed")
            job.answer.set_exception(PolicyError("the policy failed; the server's log says how"))
        except BaseException:  # it wanted this thread to end
            _LOGGER.critical("the policy has ended", exc_info=True)
            job.answer.set_exception(PolicyError(_ENDED))
            return False
        else:
            job.answer.set_result(Answer(chunk, started_s - job.asked_s, time.monotonic() - started_s, piece))
        finally:
            self._busy_since_s = None
        return True

    def _say(self, client: int, asked: Asked) -> Piece:
        """Words do not touch anybody's episode; one answer is under way at a time, for the client that asked last."""
        if isinstance(asked, Further) and client != self._heard_by:
            raise PolicyError("another client has asked a question, or this one has not")
        self._heard_by = client
        return self._speaker.say(asked)

    def _ask_policy(self, client: int, request: Request) -> ActionChunk | None:
        if request.reset or client != self._last_client:
            self._last_client = None  # until the reset has worked
            self._policy.reset()
        self._last_client = client
        if request.observation is None:
            return None
        chunk = self._policy.infer(request.observation)
        if len(chunk) != self._action_horizon:
            raise ContractError(f"action_horizon: expected {self._action_horizon} actions, got {len(chunk)}")
        return chunk
