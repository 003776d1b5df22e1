"""How questions in words cross a policy's WebSocket; docs/serving.md lists the keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from magma_ros.distant_talk import Asked, Further
from magma_ros.errors import InvalidInputError, ProtocolError
from magma_ros.talking import MAX_NEW_TOKENS, Question

KEY = "question"
"""In every message about words: the text, or None for the next piece of the answer."""
PIECE = "piece"
MAX_PICTURES = 32

_LONGEST, _PICTURE = "max_new_tokens", "question/image_"
_OTHERS = (KEY, _LONGEST, "request_id")


def to_message(asked: Asked) -> dict[str, Any]:
    """What is sent for a question, or for the next piece."""
    if isinstance(asked, Further):
        return {KEY: None}
    pictures = {f"{_PICTURE}{index}": image for index, image in enumerate(asked.images)}
    return {KEY: asked.text, _LONGEST: asked.max_new_tokens, **pictures}


def from_message(message: Mapping[str, Any]) -> Asked:
    """What a message with the key `KEY` asks.

    Raises:
        ProtocolError: other keys, or values of other types.
        InvalidInputError: pictures or a length that cannot be used.
    """
    text, longest = message[KEY], message.get(_LONGEST, MAX_NEW_TOKENS)
    if text is None and set(message) <= {KEY, "request_id"}:
        return Further.PIECE
    names = [key for key in message if key not in _OTHERS]
    wanted = [f"{_PICTURE}{index}" for index in range(len(names))]
    if sorted(names) != sorted(wanted) or len(names) > MAX_PICTURES:
        raise ProtocolError(
            f"question: expected at most {MAX_PICTURES} pictures {_PICTURE}0, {_PICTURE}1 …, got {names[:5]}"
        )
    if not isinstance(text, str) or type(longest) is not int:
        raise ProtocolError(
            f"question: expected text and a number of tokens, got {type(text).__name__} and {type(longest).__name__}"
        )
    images = [message[name] for name in wanted]
    if not all(isinstance(image, np.ndarray) for image in images):
        raise InvalidInputError(f"question: expected uint8 arrays (height, width, 3) as {_PICTURE}…")
    return Question(text, tuple(images), longest)
