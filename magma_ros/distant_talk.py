"""Talking with a policy elsewhere, piece by piece: what either end keeps, whatever carries question and piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from magma_ros import talking
from magma_ros.errors import PolicyError
from magma_ros.talking import Question


class Further(Enum):
    """What is asked after a question."""

    PIECE = "piece"


Asked = Question | Further


@dataclass(frozen=True, slots=True)
class Piece:
    """More of an answer; None at its end."""

    text: str | None


class Speaker:
    """The end that has the policy; it remembers one answer under way."""

    def __init__(self, policy: object) -> None:
        """Speak for `policy`."""
        self._policy = policy
        self._pieces: Iterator[str] = iter(())

    def say(self, asked: Asked) -> Piece:
        """The first piece of the answer to a question, or the next one.

        Raises:
            MagmaRosError: as `talking.talk`.
        """
        if isinstance(asked, Question):
            self._pieces = talking.talk(self._policy, asked)
        return Piece(next(self._pieces, None))


class Listener:
    """The other end: asks for one piece at a time, so that there is room for something else in between."""

    def __init__(self, exchange: Callable[[Asked], Piece]) -> None:
        """Ask through `exchange`, which may raise."""
        self._exchange = exchange
        self._num_questions = 0

    def listen(self, question: Question) -> Iterator[str]:
        """The answer, as `Talker.talk`.

        Raises:
            PolicyError: another question was asked before this answer was complete.
            MagmaRosError: whatever `exchange` raises.
        """
        self._num_questions += 1
        mine = self._num_questions
        asked: Asked = question
        while (piece := self._exchange(asked).text) is not None:
            yield piece
            if mine != self._num_questions:
                raise PolicyError("the policy was asked something else before this answer was complete")
            asked = Further.PIECE
