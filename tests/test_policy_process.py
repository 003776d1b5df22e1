"""A policy in a process of its own answers as one that is here, and dies without taking anybody with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from magma_ros.entropy_bounds import EntropyBounds, entropy_bounds_of
from magma_ros.errors import CheckpointError, InvalidInputError, PolicyError
from magma_ros.load_options import LoadOptions
from magma_ros.policies import fingerprint_of, open_policy
from magma_ros.policy_process import PolicyProcess
from magma_ros.talking import Question, predicts_traces, talk, talks
from magma_ros.types import ActionChunk, Observation
from tests.examples import CONTRACT


class Obedient:
    """Does what the instruction says; its first number counts the questions since the last reset."""

    contract = CONTRACT
    fingerprint = "f00d"
    entropy_bounds = EntropyBounds(1.0, 2.0)

    def __init__(self) -> None:
        self._num_asked = 0

    def infer(self, observation: Observation) -> ActionChunk:
        """One action."""
        self._num_asked += 1
        if observation.instruction == "refuse":
            raise InvalidInputError("told to refuse")
        if observation.instruction == "crash":
            raise ZeroDivisionError("told to crash")
        if observation.instruction == "die":
            os._exit(7)
        if observation.instruction == "sleep":
            time.sleep(60)
        if observation.instruction == "who":
            return self._chunk(os.getpid(), observation)
        return self._chunk(self._num_asked, observation)

    def reset(self) -> None:
        """Count anew."""
        self._num_asked = 0

    def close(self) -> None:
        """Nothing to release."""

    talks, predicts_traces = True, True

    def talk(self, question: Question) -> Iterator[str]:
        """The question's words, or what they tell to raise."""
        for word in question.text.split():
            if word == "refuse":
                raise InvalidInputError("told to refuse")
            if word == "crash":
                raise ZeroDivisionError("told to crash")
            yield word

    def _chunk(self, number: float, observation: Observation) -> ActionChunk:
        action = np.array([[number, 0, 0, 0, 0, 0, 1.0]])
        return ActionChunk(action, "base_link", observation.stamp_s, np.arange(7, dtype=np.int64)[None])


def refused() -> Obedient:
    """A checkpoint that cannot be loaded."""
    raise CheckpointError("no such folder")


def crashed() -> Obedient:
    """A loader with a fault."""
    raise ZeroDivisionError("in the loader")


def seen(instruction: str) -> Observation:
    """An observation with this instruction."""
    picture = np.random.default_rng(3).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    return Observation({"image": picture}, instruction, 12.5)


def answer(policy: PolicyProcess, instruction: str = "count") -> float:
    """The first number of the policy's answer."""
    return float(policy.infer(seen(instruction)).actions[0, 0])


def is_running(pid: int) -> bool:
    """Whether there is such a process, zombies apart."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_end(pid: int) -> None:
    """Wait until the process is gone, at most ten seconds."""
    end = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < end, f"{pid} still runs"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def policy():
    """A process with an obedient policy."""
    made = PolicyProcess(Obedient, name="obedient")
    yield made
    made.close()


def test_it_answers_from_elsewhere_and_remembers(policy: PolicyProcess) -> None:
    """What is said about it, stamp and tokens come through, state stays over there, and a reset reaches it."""
    assert (CONTRACT, "f00d") == (policy.contract, fingerprint_of(policy))
    assert EntropyBounds(1.0, 2.0) == entropy_bounds_of(policy)
    assert os.getpid() != answer(policy, "who")
    policy.reset()
    assert [1.0, 2.0, 3.0] == [answer(policy) for _ in range(3)]
    policy.reset()
    chunk = policy.infer(seen("count"))
    assert (1.0, 12.5) == (chunk.actions[0, 0], chunk.stamp_s)
    assert [*range(7)] == chunk.tokens[0].tolist()


def test_it_talks_between_its_actions(policy: PolicyProcess) -> None:
    """Words come one at a time, actions may be asked for in between, and who gave up an answer gets the next one."""
    assert (True, True) == (talks(policy), predicts_traces(policy))
    policy.reset()
    words = talk(policy, Question("what is this", ()))
    assert ["what", 1.0, "is", 2.0] == [next(words), answer(policy), next(words), answer(policy)]
    assert ["another", "one"] == list(talk(policy, Question("another one", ())))
    with pytest.raises(PolicyError, match="asked something else"):
        next(words)


@pytest.mark.parametrize(("text", "error"), [("well refuse", InvalidInputError), ("well crash", PolicyError)])
def test_an_answer_that_fails_over_there_raises_here(policy: PolicyProcess, text: str, error: type[Exception]) -> None:
    """What was said before the error is heard, and the process lives on."""
    words = talk(policy, Question(text, ()))
    assert "well" == next(words)
    with pytest.raises(error, match="told to"):
        next(words)
    policy.reset()
    assert 1.0 == answer(policy)


def test_its_errors_are_raised_here_and_end_nothing(policy: PolicyProcess) -> None:
    """A refusal keeps its class, anything else is a `PolicyError` with the traceback; the next question is answered."""
    with pytest.raises(InvalidInputError, match="told to refuse"):
        policy.infer(seen("refuse"))
    with pytest.raises(PolicyError, match=r"(?s)Traceback.*ZeroDivisionError: told to crash"):
        policy.infer(seen("crash"))
    policy.reset()
    assert 1.0 == answer(policy)


def test_ctrl_c_in_the_terminal_does_not_end_it(policy: PolicyProcess) -> None:
    """SIGINT reaches every process of a terminal; the node decides when the policy ends."""
    os.kill(int(answer(policy, "who")), signal.SIGINT)
    policy.reset()
    assert 1.0 == answer(policy)


@pytest.mark.parametrize(("load", "error"), [(refused, CheckpointError), (crashed, PolicyError)])
def test_a_policy_that_cannot_be_loaded(load, error) -> None:
    """The constructor raises what the loader raised."""
    with pytest.raises(error, match=r"no such folder|in the loader"):
        PolicyProcess(load, name="broken")


def test_a_policy_that_nobody_waits_for_any_more_is_not_loaded_to_its_end() -> None:
    """Given up while it loads, its process ends within seconds, not with the minute that loading takes."""
    given_up = threading.Event()
    threading.Timer(0.5, given_up.set).start()
    begun_s = time.monotonic()
    with pytest.raises(PolicyError, match="nobody waits"):
        PolicyProcess(partial(time.sleep, 60), name="unwanted", is_given_up=given_up.is_set)
    assert time.monotonic() - begun_s < 10


def test_a_process_that_dies_is_an_error_and_stays_one() -> None:
    """Every question after its death says with which exit code it ended."""
    policy = PolicyProcess(Obedient, name="mortal")
    for instruction in ("die", "count"):
        with pytest.raises(PolicyError, match="mortal: its process ended with exit code 7"):
            policy.infer(seen(instruction))
    policy.close()


def test_close_ends_it_in_the_middle_of_a_question() -> None:
    """A call under way raises at once, and the process is gone."""
    policy = PolicyProcess(Obedient, name="slow")
    pid = int(answer(policy, "who"))
    raised: list[Exception] = []

    def ask() -> None:
        try:
            policy.infer(seen("sleep"))
        except PolicyError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    policy.close()
    thread.join(5)
    assert not thread.is_alive()
    assert ["slow: its process ended with exit code -15"] == [str(error) for error in raised]
    assert not is_running(pid)


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.test_policy_process import Obedient, answer
from magma_ros.policy_process import PolicyProcess
if __name__ == "__main__":
    policy = PolicyProcess(Obedient, name="orphan")
    print(int(answer(policy, "who")), flush=True)
    time.sleep(60)
"""


def test_it_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """Nobody is left behind after kill -9."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    arguments = [sys.executable, str(script), str(Path(__file__).parents[1])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    wait_for_end(child)


def test_magma_tiny_answers_the_same_bits() -> None:
    """Actions, tokens, entropy and fingerprint of a checkpoint are those of the policy in this process."""
    here = open_policy("magma-tiny", LoadOptions())
    there = PolicyProcess(partial(open_policy, "magma-tiny", LoadOptions()), name="magma-tiny")
    for instruction in ("put carrot on plate", "close the drawer"):
        expected, got = here.infer(seen(instruction)), there.infer(seen(instruction))
        np.testing.assert_array_equal(expected.actions, got.actions)
        np.testing.assert_array_equal(expected.tokens, got.tokens)
        np.testing.assert_array_equal(expected.entropy_nats, got.entropy_nats)
    assert (here.contract, fingerprint_of(here)) == (there.contract, there.fingerprint)
    there.close()
