"""What is asked about marked pictures, and what is made of the answers."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError, MarkTextError
from magma_ros.mark_text import TraceText, tom_answer
from magma_ros.marks import Mark, draw_marks
from magma_ros.picture_questions import (
    MAX_TRACE_TOKENS,
    free_question,
    grid_of_marks,
    grounded,
    grounding_question,
    predicted_traces,
    trace_question,
)

IMAGE = np.full((96, 128, 3), 90, np.uint8)
SIZE = {"width_px": 128, "height_px": 96}
MARKS = (Mark(1, 20.0, 30.0), Mark(4, 100.0, 60.0))


def test_a_grid_is_numbered_row_by_row_in_the_middles_of_its_cells() -> None:
    """The marks of a grid lie symmetrically in the picture."""
    marks = grid_of_marks(**SIZE, columns=4, rows=2)
    assert [1, 2, 3, 4, 5, 6, 7, 8] == [mark.number for mark in marks]
    assert [(15.5, 23.5), (47.5, 23.5)] == [(mark.x_px, mark.y_px) for mark in marks[:2]]
    assert (127 - 15.5, 95 - 23.5) == (marks[-1].x_px, marks[-1].y_px)


@pytest.mark.parametrize(("columns", "rows"), [(0, 4), (4, 0), (33, 4), (4, 33)])
def test_a_grid_of_no_or_too_many_cells_is_refused(columns: int, rows: int) -> None:
    """1 to 32 of each."""
    with pytest.raises(InvalidInputError, match="1 to 32"):
        grid_of_marks(**SIZE, columns=columns, rows=rows)


def test_a_free_question_shows_the_picture_as_it_is() -> None:
    """One placeholder line, then the words."""
    question = free_question(IMAGE, " What is this? ", max_new_tokens=9)
    assert ("<image>\nWhat is this?", 9) == (question.text, question.max_new_tokens)
    np.testing.assert_array_equal(IMAGE, question.images[0])


def test_a_phrase_is_asked_about_as_magma_was_trained_to() -> None:
    """The words of upstream's user interface question, and the marks drawn over a copy."""
    question = grounding_question(IMAGE, MARKS, "the carrot")
    assert question.text == (
        '<image>\nIn this view I need to click a button to "the carrot"? Provide the coordinates and the mark index of '
        "the containing bounding box if applicable."
    )
    np.testing.assert_array_equal(draw_marks(IMAGE, MARKS), question.images[0])
    assert (IMAGE == 90).all()


def test_traces_are_asked_for_as_magma_was_trained_to() -> None:
    """The robot's question of Trace-of-Mark, with the numbers that were drawn, and the speed where it is given."""
    plain, paced = (trace_question(IMAGE, MARKS, "lift", num_steps=8, speed=speed).text for speed in (None, 6))
    assert plain == (
        "<image>\n\nThe image is split into 256x256 grids, and labeled with numeric marks: [1, 4].\n"
        "The robot is doing: lift. To finish the task, how to move the numerical marks in the image for the next 8 "
        "steps?\n"
    )
    assert plain.replace(" in the image for", " in the image with speed 6 for") == paced


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Mark: 4", Mark(4, 100.0, 60.0)),
        ("the carrot is at Mark: 1.", Mark(1, 20.0, 30.0)),
        ("<box>(100,300),(200,400)</box>", Mark(1, 0.15 * 128 - 0.5, 0.35 * 96 - 0.5)),
        ("0.9 0.5", Mark(4, 0.9 * 128 - 0.5, 0.5 * 96 - 0.5)),
    ],
)
def test_an_answer_means_a_mark_or_a_place_near_one(answer: str, expected: Mark) -> None:
    """A number means where that mark was drawn; a place means itself, beside the nearest mark."""
    found = grounded(answer, MARKS, **SIZE)
    assert expected.number == found.number
    np.testing.assert_allclose([expected.x_px, expected.y_px], [found.x_px, found.y_px])


@pytest.mark.parametrize("answer", ["Mark: 2", "", "yes", "Mark: 1 or Mark: 4", "<box>(1,2)</box>"])
def test_an_answer_that_means_nothing_is_an_error(answer: str) -> None:
    """A mark that was not drawn, no place, and two of them are not guessed about."""
    with pytest.raises(MarkTextError):
        grounded(answer, MARKS, **SIZE)


def test_traces_begin_where_their_marks_were_drawn() -> None:
    """The future is in pixels, a cell's middle for each step, and may leave the picture."""
    (trace,) = predicted_traces(tom_answer([TraceText(4, (200, 160), ((210, 160), (300, 160)))]), MARKS, **SIZE)
    assert 4 == trace.number
    np.testing.assert_allclose([[100.0, 60.0], [105.25, 60.1875], [150.25, 60.1875]], trace.points_px)


@pytest.mark.parametrize(
    "answer", [tom_answer([TraceText(2, (1, 1), ((2, 2),))]), "Mark 1 at [1,1] should", "A carrot."]
)
def test_traces_of_marks_that_were_not_drawn_are_an_error(answer: str) -> None:
    """So is a text that is cut off, and one about something else."""
    with pytest.raises(MarkTextError):
        predicted_traces(answer, MARKS, **SIZE)


@pytest.mark.parametrize("marks", [(), (MARKS[0], MARKS[0])])
def test_marks_that_cannot_be_told_apart_are_refused(marks: tuple[Mark, ...]) -> None:
    """None at all, or a number twice."""
    with pytest.raises(InvalidInputError, match="no number twice"):
        grounding_question(IMAGE, marks, "the carrot")
    with pytest.raises(InvalidInputError, match="no number twice"):
        trace_question(IMAGE, marks, "lift", num_steps=8)


@pytest.mark.parametrize("num_steps", [0, 65])
def test_a_trace_has_a_bounded_number_of_steps(num_steps: int) -> None:
    """1 to 64."""
    with pytest.raises(InvalidInputError, match="num_steps"):
        trace_question(IMAGE, MARKS, "lift", num_steps=num_steps)


@pytest.mark.parametrize(("num_marks", "num_steps"), [(1, 1), (1, 8), (24, 8), (256, 1)])
def test_an_answer_about_traces_has_room(num_marks: int, num_steps: int) -> None:
    """As many tokens as the whole answer has letters, so that no tokenizer cuts it off, up to a bound."""
    marks = [Mark(number, 60.0, 40.0) for number in range(1, num_marks + 1)]
    answer = tom_answer([TraceText(mark.number, (120, 106), ((123, 123),) * num_steps) for mark in marks])
    longest = trace_question(IMAGE, marks, "lift", num_steps=num_steps).max_new_tokens
    assert min(len(answer), MAX_TRACE_TOKENS) <= longest <= MAX_TRACE_TOKENS
