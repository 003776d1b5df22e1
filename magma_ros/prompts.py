"""The only code that writes prompts: Magma's texts in the Llama-3 chat form."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

from magma_ros.errors import InvalidInputError

SYSTEM_TEXT = "You are agent that can see, talk and act."
"""The system message that Magma was trained with."""

IMAGE_PLACEHOLDER = "<image>"
"""What the text holds where a picture belongs."""
MAX_INSTRUCTION_CHARS = 512
"""Longest instruction; the rest of the context belongs to the picture and the answer."""

REPLACEMENT_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What a decoder, such as rclpy's, puts in the place of bytes that are not UTF-8."""

_ACTION_QUESTION = "What action should the robot take to "
_RESERVED_TEXTS = ("<|", "|>", "<image", "<pad>", "<action", "<trace")
_LINE_BREAKING_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")


class Message(NamedTuple):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


def clean_instruction(instruction: str, *, lowercase: bool = False) -> str:
    """`instruction` without surrounding white space, in lower case when `lowercase`; punctuation stays as given.

    Raises:
        InvalidInputError: not a string, nothing in it, more than one line or a control character, longer than
            `MAX_INSTRUCTION_CHARS`, text that the tokenizer would read as a special token, or the character that
            stands for bytes that are not UTF-8.
    """
    if not isinstance(instruction, str):
        raise InvalidInputError(f"instruction: expected a string, got {type(instruction).__name__}")
    text = instruction.strip()
    if not text:
        raise InvalidInputError("instruction: expected a sentence, got an empty one")
    if len(text) > MAX_INSTRUCTION_CHARS:
        raise InvalidInputError(f"instruction: expected at most {MAX_INSTRUCTION_CHARS} characters, got {len(text)}")
    if any(unicodedata.category(character) in _LINE_BREAKING_CATEGORIES for character in text):
        raise InvalidInputError(f"instruction: expected one line without control characters, got {text!r}")
    if REPLACEMENT_CHARACTER in text:
        raise InvalidInputError(f"instruction: expected UTF-8, got bytes that are not, read as {text!r}")
    reserved = [mark for mark in _RESERVED_TEXTS if mark in text.lower()]
    if reserved:
        raise InvalidInputError(f"instruction: the texts {reserved} are reserved for special tokens, got {text!r}")
    return text.lower() if lowercase else text


def robot_action_user_text(instruction: str, *, use_image_start_end: bool, num_images: int = 1) -> str:
    """The user's turn that asks for one robot action: a placeholder line per picture, then the question.

    Args:
        instruction: The operator's sentence, see `clean_instruction`.
        use_image_start_end: Write `<image_start><image><image_end>` for a picture instead of `<image>`;
            a checkpoint's `mm_use_image_start_end`.
        num_images: Pictures in the observation.

    Raises:
        InvalidInputError: the instruction cannot be used or there is no picture.
    """
    if num_images < 1:
        raise InvalidInputError(f"num_images: expected at least one picture, got {num_images}")
    return (
        picture_lines(num_images, use_image_start_end=use_image_start_end)
        + f"{_ACTION_QUESTION}{clean_instruction(instruction)}?"
    )


def picture_lines(num_images: int, *, use_image_start_end: bool) -> str:
    """A placeholder line per picture, as a user's turn begins."""
    line = f"<image_start>{IMAGE_PLACEHOLDER}<image_end>\n" if use_image_start_end else f"{IMAGE_PLACEHOLDER}\n"
    return line * num_images


def asks_for_action(prompt: str) -> bool:
    """Whether the last question in a rendered `prompt` is the one that a robot action answers."""
    last_line = (
        prompt.rpartition("<|start_header_id|>user<|end_header_id|>")[2].partition("<|eot_id|>")[0].split("\n")[-1]
    )
    return last_line.startswith(_ACTION_QUESTION)


def question_prompt(question: str, *, use_image_start_end: bool, num_images: int = 1) -> str:
    """The whole text in front of a spoken answer: a placeholder line per picture, then the question.

    Raises:
        InvalidInputError: the question cannot be used.
    """
    user_text = picture_lines(num_images, use_image_start_end=use_image_start_end) + clean_instruction(question)
    return render_chat([Message("system", SYSTEM_TEXT), Message("user", user_text)], add_generation_prompt=True)


def render_chat(messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
    """The conversation as Llama-3's chat template writes it, with the leading `<|begin_of_text|>`.

    Each turn is stripped of surrounding white space. With `add_generation_prompt` the text ends in the header of
    the assistant's turn, where the model goes on.
    """
    return "<|begin_of_text|>" + render_turns(messages, add_generation_prompt=add_generation_prompt)


def render_turns(messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
    """As `render_chat`, of turns that follow others."""
    turns = "".join(
        f"<|start_header_id|>{message.role}<|end_header_id|>\n\n{message.content.strip()}<|eot_id|>"
        for message in messages
    )
    return turns + ("<|start_header_id|>assistant<|end_header_id|>\n\n" if add_generation_prompt else "")


def robot_action_prompt(instruction: str, *, use_image_start_end: bool, num_images: int = 1) -> str:
    """The whole text in front of seven action tokens; training and serving both use it.

    Raises:
        InvalidInputError: the instruction cannot be used or there is no picture.
    """
    user_text = robot_action_user_text(instruction, use_image_start_end=use_image_start_end, num_images=num_images)
    return render_chat([Message("system", SYSTEM_TEXT), Message("user", user_text)], add_generation_prompt=True)
