"""Questions in words to a policy server."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from magma_ros.distant_talk import Further
from magma_ros.entropy_bounds import EntropyBounds, entropy_bounds_of
from magma_ros.errors import InvalidInputError, MagmaRosError, PolicyError, ProtocolError
from magma_ros.remote import codec, words
from magma_ros.remote.client import RemotePolicy
from magma_ros.talking import Question, predicts_traces, talk, talks
from tests.examples import make_observation
from tests.remote.serving import WAIT_S, EchoPolicy, picture, serving

QUESTION = Question("<image>\nWhat is this?", (picture(1),), max_new_tokens=9)


class TalkingPolicy(EchoPolicy):
    """Answers with the size of the first picture, word by word; `refuse` and `crash` are obeyed."""

    talks, predicts_traces = True, True
    entropy_bounds = EntropyBounds(1.0, 2.0)

    def talk(self, question: Question) -> Iterator[str]:
        self.events.append(question.text)
        if "refuse" in question.text:
            raise InvalidInputError("told to refuse")
        if "crash" in question.text:
            raise ZeroDivisionError("told to crash")
        yield from (f"{length} " for length in (*question.images[0].shape, question.max_new_tokens))


@pytest.fixture
def served() -> Iterator[tuple[TalkingPolicy, RemotePolicy, str]]:
    policy = TalkingPolicy()
    with serving(policy) as running:
        client = RemotePolicy(running.address, deadline_s=WAIT_S)
        yield policy, client, running.address
        client.close()


def test_questions_come_across() -> None:
    """Text, length and pictures to the bit; the next piece is asked for with the key alone."""
    got = words.from_message(codec.decode(codec.encode(words.to_message(QUESTION))))
    assert isinstance(got, Question)
    assert (QUESTION.text, 9) == (got.text, got.max_new_tokens)
    np.testing.assert_array_equal(QUESTION.images[0], got.images[0])
    assert words.from_message(words.to_message(Further.PIECE)) is Further.PIECE


@pytest.mark.parametrize(
    "changes",
    [
        {"question": 3},
        {"question": None},
        {"max_new_tokens": "many"},
        {"max_new_tokens": True},
        {"max_new_tokens": 0},
        {"question/image_0": "a picture"},
        {"question/image_0": np.zeros((2, 2), np.uint8)},
        {"question/image_2": picture()},
        {"observation/image": picture()},
        {"reset": True},
    ],
)
def test_what_is_no_question_is_refused(changes: dict[str, object]) -> None:
    """Other keys, other types, pictures that are none or not numbered in order."""
    message = words.to_message(QUESTION) | changes
    with pytest.raises((ProtocolError, InvalidInputError)):
        words.from_message(message)


def test_a_served_policy_talks_between_its_actions(served: tuple[TalkingPolicy, RemotePolicy, str]) -> None:
    """Pieces come one at a time, actions in between, and no episode begins anew because of a question."""
    policy, client, _ = served
    assert (True, True) == (talks(client), predicts_traces(client))
    assert EntropyBounds(1.0, 2.0) == entropy_bounds_of(client)
    client.infer(make_observation(stamp_s=1.0))
    pieces = talk(client, QUESTION)
    assert "64 " == next(pieces)
    assert 2.0 == client.infer(make_observation(stamp_s=2.0)).stamp_s
    assert ["96 ", "3 ", "9 "] == list(pieces)
    assert ["reset", "infer 1", QUESTION.text, "infer 2"] == policy.events


@pytest.mark.parametrize(("text", "error"), [("refuse", InvalidInputError), ("crash", PolicyError)])
def test_a_question_that_fails_raises_here_and_the_connection_goes_on(
    served: tuple[TalkingPolicy, RemotePolicy, str], text: str, error: type[MagmaRosError]
) -> None:
    """A refusal keeps its class, a fault shows nothing of its inside; the next question is answered."""
    _, client, _ = served
    with pytest.raises(error) as raised:
        next(talk(client, Question(text, ())))
    assert "Traceback" not in str(raised.value)
    assert "64 " == next(talk(client, QUESTION))


def test_clients_do_not_hear_each_other_s_answers(served: tuple[TalkingPolicy, RemotePolicy, str]) -> None:
    """The one that asked last has the answer; the other is told that it has not."""
    _, first, address = served
    second = RemotePolicy(address, deadline_s=WAIT_S)
    one, other = talk(first, QUESTION), talk(second, QUESTION)
    assert ("64 ", "64 ") == (next(one), next(other))
    with pytest.raises(PolicyError, match="another client"):
        next(one)
    assert ["96 ", "3 ", "9 "] == list(other)
    second.close()


def test_a_server_whose_policy_only_acts_says_so() -> None:
    """Its handshake says it, so that nothing is sent; sent all the same, it is refused."""
    with serving(EchoPolicy()) as running:
        client = RemotePolicy(running.address, deadline_s=WAIT_S)
        assert (False, False) == (talks(client), predicts_traces(client))
        assert entropy_bounds_of(client) is None
        with pytest.raises(PolicyError, match="does not talk"):
            next(talk(client, QUESTION))
        with pytest.raises(PolicyError, match="does not talk"):
            next(client.talk(QUESTION))
        client.close()
