"""Questions that are answered elsewhere, one piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from magma_ros.distant_talk import Further, Listener, Piece, Speaker
from magma_ros.errors import PolicyError
from magma_ros.talking import Question
from tests.examples import ScriptedPolicy


class Parrot:
    """Says the question's words."""

    talks, predicts_traces = True, False

    def talk(self, question: Question) -> Iterator[str]:
        """One word after the other."""
        yield from question.text.split()


def test_pieces_come_when_they_are_asked_for() -> None:
    """Nothing is said ahead, the end is told, and stays."""
    speaker = Speaker(Parrot())
    said = [speaker.say(asked).text for asked in (Question("a b", ()), *[Further.PIECE] * 3)]
    assert ["a", "b", None, None] == said


def test_both_ends_make_the_answer() -> None:
    """A listener over a speaker hears what the policy says."""
    assert ["well", "well"] == list(Listener(Speaker(Parrot()).say).listen(Question("well well", ())))


def test_a_second_question_ends_the_first_answer() -> None:
    """Whoever goes on with the first one is told, and hears nothing of the other."""
    listener = Listener(Speaker(Parrot()).say)
    first, second = listener.listen(Question("a b", ())), listener.listen(Question("c d", ()))
    assert ("a", "c") == (next(first), next(second))
    with pytest.raises(PolicyError, match="asked something else"):
        next(first)
    assert "d" == next(second)


def test_who_does_not_talk_says_so() -> None:
    """The error comes with the first piece."""
    with pytest.raises(PolicyError, match="does not talk"):
        Speaker(ScriptedPolicy()).say(Question("a", ()))


def test_nothing_was_asked_yet() -> None:
    """The next piece of no answer is its end."""
    assert Piece(None) == Speaker(Parrot()).say(Further.PIECE)
