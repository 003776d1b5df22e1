"""A policy in a process of its own: neither loading nor asking it takes Python's lock from the threads here."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any, TypeVar

from magma_ros import talking
from magma_ros.contract import ActionContract
from magma_ros.distant_talk import Asked, Listener, Piece, Speaker
from magma_ros.entropy_bounds import EntropyBounds, entropy_bounds_of
from magma_ros.errors import MagmaRosError, PolicyError
from magma_ros.policies import fingerprint_of
from magma_ros.policy import Policy
from magma_ros.talking import Question
from magma_ros.types import ActionChunk, Observation

Load = Callable[[], Policy]
"""Loads the policy; it pickles."""

_END_S = 2.0
"""Longest wait for the process to end [s]."""

_LOOK_S = 0.1
"""Time between two looks whether a process that loads is still wanted [s]."""

Told = TypeVar("Told")


class _Word(Enum):
    """What is asked beside observations and questions."""

    RESET = "reset"


_Asked = Observation | Asked | _Word


@dataclass(frozen=True, slots=True)
class _About:
    """What the process says about its policy, once."""

    contract: ActionContract
    fingerprint: str
    entropy_bounds: EntropyBounds | None
    talks: bool
    predicts_traces: bool


class PolicyProcess:
    """Answers what the policy in the process answers, and raises what it raises; used by one thread at a time.

    The process ends with this object, with `close` or when this process is gone, however it ended.
    """

    def __init__(self, load: Load, *, name: str, is_given_up: Callable[[], bool] = lambda: False) -> None:
        """Start the process and wait until it has loaded.

        Args:
            load: Runs there.
            name: Of the policy, for errors.
            is_given_up: Asked ten times a second; once it says so the process is ended.

        Raises:
            MagmaRosError: what `load` raised.
            PolicyError: the process died, was given up, or `load` raised anything else, which is told with its
                traceback.
        """
        context = get_context("spawn")  # a copy of this process would have its threads' locks, but not the threads
        self._name, self._joining = name, Lock()
        self._listener = Listener(lambda asked: self._ask(asked, Piece))
        self._connection, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, load), name=f"policy {name}", daemon=True)
        self._process.start()
        there.close()
        try:
            self._about = self._wait_for(_About, is_given_up=is_given_up)
        except BaseException:
            self.close()
            raise

    @property
    def contract(self) -> ActionContract:
        """What the policy's actions mean."""
        return self._about.contract

    @property
    def fingerprint(self) -> str:
        """Of the pipeline behind the policy."""
        return self._about.fingerprint

    @property
    def entropy_bounds(self) -> EntropyBounds | None:
        """Those of the policy."""
        return self._about.entropy_bounds

    @property
    def talks(self) -> bool:
        """As `Talker.talks`."""
        return self._about.talks

    @property
    def predicts_traces(self) -> bool:
        """As `Talker.predicts_traces`."""
        return self._about.predicts_traces

    def infer(self, observation: Observation) -> ActionChunk:
        """The policy's answer.

        Raises:
            MagmaRosError: what the policy raised.
            PolicyError: the process died, or the policy raised anything else.
        """
        return self._ask(observation, ActionChunk)

    def talk(self, question: Question) -> Iterator[str]:
        """As `Talker.talk`: each piece is asked for, so that actions may be inferred in between.

        Raises:
            MagmaRosError: what the policy raised.
            PolicyError: the process died, the policy raised anything else, or was asked another question meanwhile.
        """
        yield from self._listener.listen(question)

    def reset(self) -> None:
        """Forget the episode so far."""
        self._ask(_Word.RESET, type(None))

    def close(self) -> None:
        """End the process, whatever it does; a call under way in another thread raises."""
        self._process.terminate()
        if self._exit_code() is None:
            self._process.kill()
            self._exit_code()
        self._connection.close()

    def _ask(self, question: _Asked, kind: type[Told]) -> Told:
        try:
            self._connection.send(question)
        except OSError:
            raise self._death() from None
        return self._hear(kind)

    def _wait_for(self, kind: type[Told], *, is_given_up: Callable[[], bool]) -> Told:
        while not self._connection.poll(_LOOK_S):
            if is_given_up():
                raise PolicyError(f"{self._name}: nobody waits for it any more")
        return self._hear(kind)

    def _hear(self, _kind: type[Told]) -> Told:
        try:
            answer: Told | MagmaRosError = self._connection.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if isinstance(answer, MagmaRosError):
            raise answer
        return answer

    def _death(self) -> PolicyError:
        return PolicyError(f"{self._name}: its process ended with exit code {self._exit_code()}")

    def _exit_code(self) -> int | None:
        """Of the process that has ended, or None if it does not; two threads that join it at once would lose it."""
        with self._joining:
            self._process.join(_END_S)
            return self._process.exitcode


def _serve(connection: Connection[Any, Any], load: Load) -> None:
    """Load, and answer until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; who started us ends us
    policy = _tried(load)
    if isinstance(policy, MagmaRosError):
        connection.send(policy)
        return
    with suppress(EOFError, OSError):
        about = _About(
            contract=policy.contract,
            fingerprint=fingerprint_of(policy),
            entropy_bounds=entropy_bounds_of(policy),
            talks=talking.talks(policy),
            predicts_traces=talking.predicts_traces(policy),
        )
        connection.send(about)
        speaker = Speaker(policy)
        while True:
            connection.send(_tried(partial(_answer, policy, speaker, connection.recv())))
    policy.close()


def _answer(policy: Policy, speaker: Speaker, asked: _Asked) -> ActionChunk | Piece | None:
    """Actions for an observation, the next piece of an answer, nothing for a reset."""
    if isinstance(asked, Observation):
        return policy.infer(asked)
    if isinstance(asked, _Word):
        policy.reset()
        return None
    return speaker.say(asked)


def _tried(act: Callable[[], Told]) -> Told | MagmaRosError:
    """What `act` returns or raises; an error that nobody foresaw as one that tells its traceback."""
    try:
        return act()
    except MagmaRosError as error:
        return error
    except Exception:  # noqa: BLE001  it is told to the process that asked
        return PolicyError(traceback.format_exc())
