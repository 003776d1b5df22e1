import queue
import threading

import numpy as np
import pytest
from builtin_interfaces.msg import Time

from magma_ros.errors import PolicyError
from magma_ros.ros.inference_worker import Answer, InferenceWorker, Job
from magma_ros.ros.talk import Talk
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Action, Observation, SafeAction

MOVE = SafeAction(Action(np.zeros(3), np.zeros(3), 1.0, "base_link"))


class Gate:
    """A controller whose ticks wait until they are let through; it decides what its instruction says."""

    last_chunk = None

    def __init__(self):
        self.started, self.go, self.seen, self.num_resets = threading.Semaphore(0), threading.Semaphore(0), [], 0

    def reset(self):
        self.num_resets += 1

    def tick(self, observation, now_s):
        self.started.release()
        assert self.go.acquire(timeout=5)
        self.seen.append(observation.stamp_s)
        if observation.instruction == "crash":
            raise ValueError("told to crash")
        return MOVE if observation.instruction == "move" else Stop(StopReason.NO_INSTRUCTION, "held")


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def worker(gate):
    answers = queue.Queue()
    made = InferenceWorker(gate, now_s=lambda: 0.0, on_answer=answers.put, log_error=lambda text: None)
    made.answers = answers
    yield made
    gate.go.release(100)
    assert made.close()


def job(stamp_s, instruction="move", epoch=1):
    picture = np.zeros((2, 2, 3), np.uint8)
    return Job(Observation({"image": picture}, instruction, stamp_s), Time(sec=int(stamp_s)), epoch, received_s=0.0)


def answer_of(worker):
    return worker.answers.get(timeout=5)


def test_a_picture_from_before_a_motion_is_dropped(gate, worker):
    """A job that waited while the tick before it decided to move is never acted upon."""
    worker.submit(job(1.0))
    assert gate.started.acquire(timeout=5)
    worker.submit(job(2.0))
    gate.go.release()
    assert answer_of(worker).job.stamp.sec == 1
    worker.submit(job(3.0))
    gate.go.release()
    assert answer_of(worker).job.stamp.sec == 3
    assert gate.seen == [1.0, 3.0]


def test_only_the_newest_waiting_picture_is_used(gate, worker):
    """Of two jobs that wait while the arm is held, the newer one is used."""
    worker.submit(job(1.0, "hold"))
    assert gate.started.acquire(timeout=5)
    worker.submit(job(2.0, "hold"))
    worker.submit(job(3.0, "hold"))
    gate.go.release(2)
    assert [answer_of(worker).job.stamp.sec for _ in range(2)] == [1, 3]


def test_a_new_instruction_resets_the_controller_and_keeps_its_picture(gate, worker):
    """A waiting job of a newer instruction survives a motion of the old one, and the controller forgets the old one."""
    worker.submit(job(1.0))
    assert gate.started.acquire(timeout=5)
    worker.submit(job(2.0, epoch=2))
    gate.go.release(2)
    assert [answer_of(worker).job.epoch for _ in range(2)] == [1, 2]
    assert gate.num_resets == 2


def test_an_unexpected_error_becomes_a_stop_and_the_thread_lives(gate, worker):
    """A crash of the controller is an INTERNAL_ERROR stop; the next job is answered."""
    gate.go.release(2)
    worker.submit(job(1.0, "crash"))
    decision = answer_of(worker).decision
    assert (decision.reason, "ValueError: told to crash") == (StopReason.INTERNAL_ERROR, decision.detail)
    worker.submit(job(2.0))
    assert answer_of(worker).decision is MOVE


@pytest.mark.parametrize(("age_s", "reason"), [(0.5, None), (0.51, StopReason.STALE_OBSERVATION)])
def test_an_answer_is_used_only_while_its_picture_is_fresh(age_s, reason):
    """A decision to move becomes a stop once its picture is older than allowed."""
    decision = Answer(job(1.0), MOVE, None, 0.1).if_fresh(age_s=age_s, max_age_s=0.5)
    assert getattr(decision, "reason", None) is reason


def test_a_stop_stays_a_stop():
    """A stop keeps its own reason, however old its picture."""
    held = Stop(StopReason.UNDECODABLE, "six tokens")
    assert Answer(job(1.0), held, None, 0.1).if_fresh(age_s=9.0, max_age_s=0.5) is held


class Words:
    """An answer whose pieces wait until they are let through."""

    def __init__(self, *pieces, error=None):
        self.pieces, self.error = pieces, error
        self.started, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self):
        for piece in self.pieces:
            self.started.release()
            assert self.go.acquire(timeout=5)
            yield piece
        if self.error is not None:
            raise self.error


@pytest.fixture
def free_worker(gate):
    """A worker that has all the time in the world between two pictures, while `spare_s[0]` says so."""
    answers, spare_s = queue.Queue(), [float("inf")]
    made = InferenceWorker(
        gate, now_s=lambda: 0.0, on_answer=answers.put, log_error=lambda text: None, spare_s=lambda: spare_s[0]
    )
    made.answers, made.test_spare_s = answers, spare_s
    yield made
    gate.go.release(100)
    assert made.close()


def test_a_picture_goes_before_the_next_piece_of_an_answer(gate, free_worker):
    """A picture that comes while a piece is found is acted on before the next piece begins, and the answer is whole."""
    words = Words("A ", "carrot.")
    talk = Talk(words)
    free_worker.begin(talk)
    assert words.started.acquire(timeout=5)
    free_worker.submit(job(1.0))
    words.go.release()
    assert gate.started.acquire(timeout=5)
    assert not words.started.acquire(blocking=False)
    gate.go.release()
    assert answer_of(free_worker).decision is MOVE
    words.go.release()
    assert talk.ended.wait(timeout=5)
    assert ("A carrot.", "") == (talk.text, talk.fault)


def test_an_answer_waits_until_there_is_time_for_it(gate, free_worker):
    """Without time before the next picture no piece begins; once nothing is acted on the answer goes on."""
    free_worker.test_spare_s[0] = 0.0
    words = Words("A carrot.")
    words.go.release()
    talk = Talk(words)
    free_worker.begin(talk)
    assert not words.started.acquire(timeout=0.1)
    gate.go.release()
    free_worker.submit(job(1.0))
    assert answer_of(free_worker).decision is MOVE
    assert not words.started.acquire(timeout=0.1)
    free_worker.test_spare_s[0] = float("inf")
    assert talk.ended.wait(timeout=5)
    assert "A carrot." == talk.text


@pytest.mark.parametrize(
    ("error", "fault"), [(PolicyError("wants to act"), "wants to act"), (ValueError("odd"), "ValueError: odd")]
)
def test_an_answer_that_fails_says_why_and_the_thread_acts_on(gate, free_worker, error, fault):
    """What the policy raises ends the answer with what was said before; the next picture is answered."""
    words = Words("Well", error=error)
    words.go.release()
    talk = Talk(words)
    free_worker.begin(talk)
    assert talk.ended.wait(timeout=5)
    assert ("Well", fault) == (talk.text, talk.fault)
    gate.go.release()
    free_worker.submit(job(1.0))
    assert answer_of(free_worker).decision is MOVE


def test_an_answer_ends_with_another_question_and_with_its_policy(gate, free_worker):
    """Whoever waits for an answer that nobody gives any more is told why."""
    first, second = Talk(Words("never said")), Talk(Words("neither"))
    free_worker.test_spare_s[0] = 0.0
    free_worker.begin(first)
    free_worker.begin(second)
    free_worker.close()
    assert ("another question was asked", "the policy was released") == (first.fault, second.fault)
    late = Talk(Words("too late"))
    free_worker.begin(late)
    assert "the policy was released" == late.fault
