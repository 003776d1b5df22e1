"""Talking: pictures and a question in, text out piece by piece; the `Talker` protocol beside that of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from magma_ros.errors import InvalidInputError, PolicyError
from magma_ros.types import ImageArray, frozen_image

MAX_NEW_TOKENS = 500
"""Longest answer, unless asked for another; upstream's."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to be told.

    Attributes:
        text: The user's turn: `<image>` and a line break for each picture, then the words. It is as the functions of
            `prompts` write it without start and end tokens; whoever answers knows whether these belong there.
        images: The pictures in the order of their placeholders, each (height, width, 3) uint8 RGB.
        max_new_tokens: Longest answer, at least 1.
    """

    text: str
    images: tuple[ImageArray, ...]
    max_new_tokens: int = MAX_NEW_TOKENS

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise InvalidInputError(f"max_new_tokens: expected at least 1, got {self.max_new_tokens}")
        images = tuple(frozen_image(image, name=f"image {index}") for index, image in enumerate(self.images))
        object.__setattr__(self, "images", images)


@runtime_checkable
class Talker(Protocol):
    """A policy that may also answer in words. Acting and talking do not change each other's answers."""

    @property
    def talks(self) -> bool:
        """Whether there is anybody to answer; a policy elsewhere may have nobody."""
        ...

    @property
    def predicts_traces(self) -> bool:
        """Whether the network was trained on marks and traces, as far as its checkpoint says."""
        ...

    def talk(self, question: Question) -> Iterator[str]:
        """The pieces of the answer as they are found, the likeliest word each time.

        Actions may be inferred between two pieces, on the same thread. Who wants no more of an answer asks for no
        further piece; a second question ends the answer to the first.

        Raises:
            MagmaRosError: there is no answer, or no more of it; with the first piece or a later one.
        """
        ...


def talk(policy: object, question: Question) -> Iterator[str]:
    """The answer of `policy`.

    Raises:
        PolicyError: it does not talk.
        MagmaRosError: as `Talker.talk`.
    """
    if not isinstance(policy, Talker) or not policy.talks:
        raise PolicyError(
            "this policy acts and does not talk: expected a checkpoint of Magma, or a server that has one"
        )
    yield from policy.talk(question)


def talks(policy: object) -> bool:
    """Whether `policy` answers questions."""
    return isinstance(policy, Talker) and policy.talks


def predicts_traces(policy: object) -> bool:
    """Whether `policy` answers questions about traces."""
    return isinstance(policy, Talker) and policy.talks and policy.predicts_traces
