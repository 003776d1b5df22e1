"""What a policy is asked about a picture with marks drawn over it, and what its answers mean in that picture's pixels.

Magma was trained to name marks (docs/som_tom.md), so that a phrase is grounded by the number of a mark, and a motion is
predicted as the path of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from magma_ros import prompts
from magma_ros.click_text import ClickedMark, parse_click
from magma_ros.errors import InvalidInputError, MarkTextError
from magma_ros.mark_text import parse_tom, to_pixels
from magma_ros.marks import Mark, draw_marks
from magma_ros.talking import MAX_NEW_TOKENS, Question
from magma_ros.types import FloatArray, ImageArray, frozen_array

MAX_GRID = 32
"""Most columns, and most rows, of a grid of marks."""
MAX_STEPS = 64
"""Most steps of a trace."""
MAX_TRACE_TOKENS = 4000
"""Longest answer about traces, whatever is asked for."""

_MAX_CLICK_TOKENS = 128  # upstream's
_TOKENS_PER_POINT = 14  # "[123,123]," letter by letter, and some more


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a mark is and where it will be.

    Attributes:
        number: The mark's.
        points_px: Where it is, then where it will be after each step, shape (num_steps + 1, 2), (x, y) [px].
    """

    number: int
    points_px: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "points_px", frozen_array(self.points_px, shape=(-1, 2), dtype=np.float64, name="points_px")
        )


def grid_of_marks(*, width_px: int, height_px: int, columns: int, rows: int) -> tuple[Mark, ...]:
    """Marks in the middles of equal cells of a picture, numbered from 1, row by row.

    Raises:
        InvalidInputError: fewer than one or more than `MAX_GRID` columns or rows.
    """
    if not (1 <= columns <= MAX_GRID and 1 <= rows <= MAX_GRID):
        raise InvalidInputError(f"grid: expected 1 to {MAX_GRID} columns and rows, got {columns} x {rows}")
    cells = [(column, row) for row in range(rows) for column in range(columns)]
    return tuple(
        Mark(number, (column + 0.5) * width_px / columns - 0.5, (row + 0.5) * height_px / rows - 0.5)
        for number, (column, row) in enumerate(cells, start=1)
    )


def free_question(image: ImageArray, question: str, *, max_new_tokens: int = MAX_NEW_TOKENS) -> Question:
    """`question` about `image` as it is.

    Raises:
        InvalidInputError: the question cannot be used, see `prompts.clean_instruction`.
    """
    words = prompts.clean_instruction(question)
    return Question(prompts.picture_lines(1, use_image_start_end=False) + words, (image,), max_new_tokens)


def grounding_question(image: ImageArray, marks: Sequence[Mark], phrase: str) -> Question:
    """Which of `marks`, drawn over a copy of `image`, is meant by `phrase`.

    Raises:
        InvalidInputError: the phrase cannot be used, no marks, or a number twice.
    """
    _require_distinct(marks)
    text = prompts.ui_click_user_text(phrase, use_image_start_end=False)
    return Question(text, (draw_marks(image, marks),), _MAX_CLICK_TOKENS)


def grounded(answer: str, marks: Sequence[Mark], *, width_px: int, height_px: int) -> Mark:
    """The mark that an answer means: the one that it names, or the nearest to the place that it names, there.

    Raises:
        MarkTextError: it names no mark and no place, or a mark that was not drawn.
    """
    clicked = parse_click(answer)
    if isinstance(clicked, ClickedMark):
        return _drawn(clicked.number, marks)
    x, y = clicked.centre
    x_px, y_px = x * width_px - 0.5, y * height_px - 0.5
    nearest = min(marks, key=lambda mark: np.hypot(mark.x_px - x_px, mark.y_px - y_px))
    return Mark(nearest.number, x_px, y_px)


def trace_question(
    image: ImageArray, marks: Sequence[Mark], task: str, *, num_steps: int, speed: int | None = None
) -> Question:
    """How `marks`, drawn over a copy of `image`, will move while the robot does `task`.

    Args:
        image: Shape (height, width, 3), uint8 RGB.
        marks: In its pixels.
        task: The instruction.
        num_steps: That are to be predicted.
        speed: Mean speed of the marks [cells of `mark_text.GRID` a step]; None leaves it to the policy.

    Raises:
        InvalidInputError: the task cannot be used, no marks, a number twice, or another number of steps than 1 to
            `MAX_STEPS`.
    """
    _require_distinct(marks)
    if not 1 <= num_steps <= MAX_STEPS:
        raise InvalidInputError(f"num_steps: expected 1 to {MAX_STEPS}, got {num_steps}")
    numbers = sorted(mark.number for mark in marks)
    text = prompts.tom_user_text(
        task, numbers, wording="robot", num_steps=num_steps, use_image_start_end=False, speed=speed
    )
    longest = 100 + len(marks) * (40 + _TOKENS_PER_POINT * num_steps)
    return Question(text, (draw_marks(image, marks),), min(longest, MAX_TRACE_TOKENS))


def predicted_traces(answer: str, marks: Sequence[Mark], *, width_px: int, height_px: int) -> tuple[Trace, ...]:
    """The traces in an answer, each from where its mark was drawn, by ascending number.

    Raises:
        MarkTextError: the answer has another form, or a mark that was not drawn.
    """
    found = []
    for said in parse_tom(answer):
        mark = _drawn(said.number, marks)
        future_px = to_pixels(said.future, width_px=width_px, height_px=height_px)
        found.append(Trace(said.number, np.vstack([(mark.x_px, mark.y_px), future_px])))
    return tuple(found)


def _drawn(number: int, marks: Sequence[Mark]) -> Mark:
    for mark in marks:
        if mark.number == number:
            return mark
    raise MarkTextError(f"expected one of the marks {sorted(mark.number for mark in marks)}, got mark {number}")


def _require_distinct(marks: Sequence[Mark]) -> None:
    numbers = [mark.number for mark in marks]
    if not numbers or len(set(numbers)) != len(numbers):
        raise InvalidInputError(f"marks: expected at least one and no number twice, got {numbers}")
