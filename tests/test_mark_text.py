"""Marks and traces as text; the golden strings are those of the reference, letter by letter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError, MarkTextError
from magma_ros.mark_text import (
    MarkText,
    TraceText,
    mark_texts,
    parse_som,
    parse_tom,
    som_answer,
    to_grid,
    to_pixels,
    tom_answer,
)
from magma_ros.marks import Mark

SOM = "Mark 1 at [10,20]. Mark 2 at [0,255]. Mark 12 at [128,7].\n"
MARKS = (MarkText(1, (10, 20)), MarkText(2, (0, 255)), MarkText(12, (128, 7)))
TOM = (
    "Mark 3 at [10,20], Mark 12 at [0,255] should be moved, and their future positions are:\n\n"
    '"Mark 3": "[[11,21],[12,23]]"\n\n"Mark 12": "[[1,250]]"\n\n'
)
TRACES = (TraceText(3, (10, 20), ((11, 21), (12, 23))), TraceText(12, (0, 255), ((1, 250),)))

cells = st.tuples(st.integers(0, 255), st.integers(0, 255))
anywhere = st.tuples(st.integers(-9999, 9999), st.integers(-9999, 9999))
numbers = st.integers(1, 9999)
marks = st.dictionaries(numbers, cells, min_size=1, max_size=12).map(
    lambda said: [MarkText(*item) for item in said.items()]
)
traces = st.dictionaries(
    numbers, st.tuples(cells, st.lists(anywhere, min_size=1, max_size=8)), min_size=1, max_size=6
).map(lambda said: [TraceText(number, start, tuple(future)) for number, (start, future) in said.items()])


def test_som_answer_is_the_reference_form() -> None:
    """Marks are listed by ascending number, without a space in the brackets, and end in a line end."""
    assert SOM == som_answer(reversed(MARKS))


def test_tom_answer_is_the_reference_form() -> None:
    """The marks that move come first, then a quoted line for each and a blank line behind it."""
    assert TOM == tom_answer(reversed(TRACES))


def test_trace_tokens_wrap_the_lines_only() -> None:
    """With trace tokens the lines of positions stand between them."""
    head, body = TOM.split("are:\n\n")
    assert f"{head}are:\n\n<trace_start>{body}<trace_end>" == tom_answer(TRACES, use_trace_start_end=True)


@given(marks)
def test_marks_come_back_as_they_were_written(said: list[MarkText]) -> None:
    """Reading what was written gives the same marks by ascending number."""
    assert sorted(said, key=lambda mark: mark.number) == list(parse_som(som_answer(said)))


@pytest.mark.parametrize("is_wrapped", [False, True])
@given(said=traces)
def test_traces_come_back_as_they_were_written(is_wrapped, said: list[TraceText]) -> None:
    """Reading what was written gives the same traces, wrapped or not, with the final line ends or without."""
    text = tom_answer(said, use_trace_start_end=is_wrapped)
    ascending = sorted(said, key=lambda trace: trace.number)
    assert ascending == list(parse_tom(text)) == list(parse_tom(text.strip()))


@pytest.mark.parametrize("reader", [parse_som, parse_tom])
@given(text=st.text(alphabet='Mark 12at[],.\n":-shouldbemv<>_x\u0662', max_size=80))
def test_any_text_is_read_or_refused(reader, text: str) -> None:
    """Whatever is said, a reader returns marks or raises the one error."""
    try:
        said = reader(text)
    except MarkTextError:
        return
    assert said


@pytest.mark.parametrize(("reader", "text"), [(parse_som, SOM.strip()), (parse_tom, TOM.strip())])
def test_no_cut_answer_yields_a_mark_that_was_not_said(reader, text: str) -> None:
    """An answer that is cut off anywhere is refused, or is a whole answer of marks that the text has."""
    whole = reader(text)
    for length in range(len(text)):
        try:
            said = reader(text[:length])
        except MarkTextError:
            continue
        assert whole[: len(said)] == said


@given(st.integers(0, len(TOM.strip()) - 1), st.sampled_from('0123456789,.[]" -\nx\u0663'))
def test_no_changed_letter_is_read_as_what_was_not_said(place: int, letter: str) -> None:
    """An answer with one letter changed is refused, or the text has every position that is read from it."""
    changed = TOM[:place] + letter + TOM[place + 1 :]
    try:
        said = parse_tom(changed)
    except MarkTextError:
        return
    for trace in said:
        assert f"Mark {trace.number} at [{trace.start[0]},{trace.start[1]}]" in changed
        listed = ",".join(f"[{x},{y}]" for x, y in trace.future)
        assert f'"Mark {trace.number}": "[{listed}]"' in changed


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "character 0: expected 'Mark ', got the end of the text"),
        ("Mark 1 at [1,2]", "character 15: expected '.', got the end of the text"),
        ("Mark 1 at [1,2]. Mark 1 at [3,4].", "character 22: expected a number other than [1], got '1 at [3,4].'"),
        ("Mark 1 at [256,0].", "character 11: expected a whole number from 0 to 255, got '256,0].'"),
        ("Mark 0 at [1,2].", "character 5: expected a whole number from 1 to 9999, got '0 at [1,2].'"),
        ("Mark 1 at [1, 2].", "character 13: expected a whole number from 0 to 255, got ' 2].'"),
        ("Mark 1 at [\u0661,2].", "expected a whole number"),
        ("Mark 1 at [1,2]. And so on.", "character 17: expected 'Mark '"),
        (f"Mark {'9' * 5000} at [1,2].", "expected a whole number from 1 to 9999"),
        ("Mark 1 at [__import__('os'),2].", "expected a whole number"),
    ],
)
def test_a_fault_in_a_som_answer_is_named_with_its_place(text: str, fault: str) -> None:
    """The error says at which letter what was expected, and what came."""
    with pytest.raises(MarkTextError) as caught:
        parse_som(text)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"Mark 12": "[[1,250]]"', '"Mark 4": "[[1,250]]"', 'expected \'"Mark 12": "[\''),
        ('\n\n"Mark 12": "[[1,250]]"', "", "got the end of the text"),
        ("[[1,250]]", "[]", "expected '['"),
        ("[0,255]", "[0,300]", "from 0 to 255"),
        ("Mark 12 at", "Mark 3 at", "a number other than [3]"),
        ('[[1,250]]"', '[[1,250]]"\n\n"Mark 5": "[[1,1]]"', "expected the end of the text"),
        (" should be moved", " may be moved", "should be moved"),
    ],
)
def test_a_fault_in_a_tom_answer_is_named(old: str, new: str, fault: str) -> None:
    """Marks without a line, lines without a mark, empty traces and other words are refused by name."""
    assert old in TOM
    with pytest.raises(MarkTextError) as caught:
        parse_tom(TOM.replace(old, new, 1))
    assert fault in str(caught.value)


def test_a_trace_that_leaves_the_picture_is_read_as_it_was_said() -> None:
    """Upstream does not clip futures: cells beyond the grid are handed out, not changed."""
    (trace,) = parse_tom(
        'Mark 1 at [1,2] should be moved, and their future positions are:\n\n"Mark 1": "[[-3,2],[256,300]]"'
    )
    assert ((-3, 2), (256, 300)) == trace.future


@given(cells, st.integers(1, 8192), st.integers(1, 8192))
def test_a_cell_is_the_one_of_its_middle(cell: tuple[int, int], width_px: int, height_px: int) -> None:
    """From cell to pixel and back is the same cell in a picture of any size."""
    pixel = to_pixels(cell, width_px=width_px, height_px=height_px)
    assert list(cell) == to_grid(pixel, width_px=width_px, height_px=height_px).tolist()


@pytest.mark.parametrize("side_px", [64, 96, 128, 224, 256, 512, 640])
def test_a_cells_middle_is_on_neither_side_of_the_places_in_it(side_px: int) -> None:
    """Places over a whole picture lie as far before as behind the middles of their cells, and half a cell at most."""
    across = (np.arange(8 * 256) + 0.5) * side_px / (8 * 256)
    places = np.stack([across, across[::-1]], axis=1)
    size = {"width_px": side_px, "height_px": side_px}
    away = to_pixels(to_grid(places, **size), **size) - places
    np.testing.assert_allclose([0.0, 0.0], away.mean(axis=0), atol=1e-9)
    assert np.abs(away).max() < side_px / 512


def test_a_pixel_is_in_the_cell_that_upstream_writes() -> None:
    """The cell is int(256 x / width), and the nearest one for what lies outside."""
    points = [[319.9, 239.9], [0.0, 0.0], [639.0, 479.0], [-5.0, 1e6]]
    assert [[127, 127], [0, 0], [255, 255], [0, 255]] == to_grid(points, width_px=640, height_px=480).tolist()


def test_marks_become_text_marks_of_their_picture() -> None:
    """A mark keeps its number and gets the cell of its pixel."""
    assert (MarkText(4, (128, 64)),) == mark_texts([Mark(4, 320.0, 120.0)], width_px=640, height_px=480)


@pytest.mark.parametrize("points", [np.zeros((3,)), [[np.nan, 1.0]], 5.0])
def test_points_that_are_no_pairs_are_refused(points: object) -> None:
    """Only pairs of finite numbers have a cell."""
    with pytest.raises(InvalidInputError):
        to_grid(points, width_px=64, height_px=64)  # type: ignore[arg-type]


@pytest.mark.parametrize("said", [[], [MARKS[0], MARKS[0]]])
def test_an_answer_names_at_least_one_mark_and_none_twice(said: list[MarkText]) -> None:
    """The writer refuses what the reader would."""
    with pytest.raises(InvalidInputError):
        som_answer(said)


def test_text_marks_lie_in_the_picture() -> None:
    """A mark outside of the grid, or a trace without a future, cannot be made."""
    with pytest.raises(InvalidInputError):
        MarkText(1, (256, 0))
    with pytest.raises(InvalidInputError):
        TraceText(1, (0, 0), ())
