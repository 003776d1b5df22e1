"""The only code that writes prompts: Magma's texts in the Llama-3 chat form."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType
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

TraceWording = Literal["video", "narration", "robot", "demo"]
"""How traces are asked for: of a person who does or says something, of a robot, or as upstream's demonstration does."""
SemanticWording = Literal["person", "narration", "scene", "robot"]
"""How a description is asked for: of what a person does, may be saying, of all that is seen, of what a robot does."""

_ACTION_QUESTION = "What action should the robot take to "
_SPLIT_IMAGE = "The image is split into 256x256 grids"
_TRACE_QUESTIONS: Mapping[TraceWording, str] = MappingProxyType(
    {
        "video": f"\n{_SPLIT_IMAGE}, and labeled with numeric marks {{marks}}.\nThe person is doing: {{text}}.",
        "narration": f"\n{_SPLIT_IMAGE}, and labeled with numeric marks {{marks}}.\nThe person is saying: {{text}}.",
        "robot": f"\n{_SPLIT_IMAGE}, and labeled with numeric marks: {{marks}}.\nThe robot is doing: {{text}}.",
        "demo": f"{_SPLIT_IMAGE} and is labeled with numeric marks {{marks}}.\nThe robot is doing: {{text}}.",
    }
)
_SEMANTIC_QUESTIONS: Mapping[SemanticWording, str] = MappingProxyType(
    {
        "person": "What is the person doing in the image?",
        "narration": "The person is doing some task in the image. Guess what is the person saying?",
        "scene": "What do you see in the image?",
        "robot": "What is the robot doing in the image?",
    }
)
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
    return with_picture_tokens(f"{IMAGE_PLACEHOLDER}\n" * num_images, use_image_start_end=use_image_start_end)


def with_picture_tokens(user_text: str, *, use_image_start_end: bool) -> str:
    """`user_text`, whose pictures are plain placeholders, with these between start and end tokens if so."""
    wrapped = f"<image_start>{IMAGE_PLACEHOLDER}<image_end>"
    return user_text.replace(IMAGE_PLACEHOLDER, wrapped) if use_image_start_end else user_text


def som_user_text(*, use_image_start_end: bool) -> str:
    """The user's turn that asks where the marks of a picture are; `mark_text.som_answer` is the answer's form.

    Between the picture's line and the text is a blank one, here and in every turn about marks, as Magma learned them.
    """
    return (
        picture_lines(1, use_image_start_end=use_image_start_end)
        + f"\n{_SPLIT_IMAGE}, and labeled with numeric marks.\nPlease locate all the numerical marks in the image.\n"
    )


def tom_user_text(
    text: str,
    marks: Sequence[int] | Mapping[int, tuple[int, int]],
    *,
    wording: TraceWording,
    num_steps: int,
    use_image_start_end: bool,
    speed: int | None = None,
) -> str:
    """The user's turn that asks how marks will move; `mark_text.tom_answer` is the answer's form.

    Args:
        text: What is done or said, see `clean_instruction`.
        marks: Numbers of the marks that are drawn; or, where none is drawn, numbers and their cells (column, row).
        wording: Who does it.
        num_steps: How many positions are asked for at most.
        use_image_start_end: See `robot_action_user_text`.
        speed: Cells per step, said when given (`mm_use_trace_speed`).

    Raises:
        InvalidInputError: the text cannot be used, or there is no mark or step.
    """
    if not marks or num_steps < 1:
        raise InvalidInputError(f"expected at least one mark and one step, got {marks} and {num_steps}")
    listed = ", ".join(
        [f"Mark {number} at [{x}, {y}]" for number, (x, y) in marks.items()]
        if isinstance(marks, Mapping)
        else [str(number) for number in marks]
    )
    named = _TRACE_QUESTIONS[wording].format(
        marks=listed if isinstance(marks, Mapping) else f"[{listed}]", text=clean_instruction(text)
    )
    paced = "" if speed is None else f" with speed {speed}"
    return (
        picture_lines(1, use_image_start_end=use_image_start_end)
        + f"{named} To finish the task, how to move the numerical marks in the image{paced}"
        + f" for the next {num_steps} steps?\n"
    )


def semantic_user_text(*, wording: SemanticWording, use_image_start_end: bool, num_images: int = 1) -> str:
    """The user's turn that asks what happens in the pictures."""
    pictures = picture_lines(num_images, use_image_start_end=use_image_start_end)
    return f"{pictures}\n{_SEMANTIC_QUESTIONS[wording]}\n"


def ui_click_user_text(goal: str, *, use_image_start_end: bool) -> str:
    """The user's turn that asks where to click on a screen; `click_text.parse_click` reads the answer.

    Raises:
        InvalidInputError: the goal cannot be used, see `clean_instruction`.
    """
    return (
        picture_lines(1, use_image_start_end=use_image_start_end)
        + f'In this view I need to click a button to "{clean_instruction(goal)}"? Provide the coordinates and the mark'
        + " index of the containing bounding box if applicable."
    )


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
    return spoken_prompt(
        picture_lines(num_images, use_image_start_end=use_image_start_end) + clean_instruction(question)
    )


def spoken_prompt(user_text: str) -> str:
    """The whole text in front of the answer to a user's turn."""
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
    return spoken_prompt(
        robot_action_user_text(instruction, use_image_start_end=use_image_start_end, num_images=num_images)
    )
