"""Set-of-Mark and Trace-of-Mark as text: Magma's formats to the character, written and strictly read.

A picture is split into 256 x 256 cells, whatever its size; a place is the cell's column and row, from the upper left.
Pixels are everywhere counted from the middle of the upper left one. In these coordinates upstream takes `int(256 x /
width)`, without half a pixel, so the first cell begins at that middle: what was learnt from such texts says where
things are by them, and `to_pixels` must leave out the same half pixel.
A reader takes a whole answer or none of it: what is cut off, doubled or malformed raises, and names the fault and its
place. Nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from magma_ros.errors import InvalidInputError
from magma_ros.marks import Mark
from magma_ros.text_reader import TextReader
from magma_ros.types import FloatArray

GRID = 256
"""Cells along each side of a picture."""
TRACE_START, TRACE_END = "<trace_start>", "<trace_end>"
"""Tokens that some of Magma's tokenizers wrap traces in (`mm_use_trace_start_end`)."""

MAX_NUMBER = 9999
"""Largest number, of a mark or a cell outside of the picture, that is read."""

GridPoint = tuple[int, int]
"""Column and row of a cell; within 0 … 255 in the picture."""

_MOVED = " should be moved, and their future positions are:\n\n"


@dataclass(frozen=True, slots=True)
class MarkText:
    """A mark as text has it: its number from 1 and its cell, which lies in the picture."""

    number: int
    point: GridPoint

    def __post_init__(self) -> None:
        _check_mark(self.number, self.point)


@dataclass(frozen=True, slots=True)
class TraceText:
    """Where a mark is and where it will be, as text has it.

    Attributes:
        number: From 1.
        start: Its cell in the picture that is shown.
        future: Its cells at the next steps, at least one. What this project writes lies in the picture; answers of
            networks that were trained on other data may leave it.
    """

    number: int
    start: GridPoint
    future: tuple[GridPoint, ...]

    def __post_init__(self) -> None:
        _check_mark(self.number, self.start)
        if not self.future:
            raise InvalidInputError(f"trace of mark {self.number}: expected at least one future position, got none")


_Said = TypeVar("_Said", MarkText, TraceText)


def to_grid(points_px: ArrayLike, *, width_px: int, height_px: int) -> NDArray[np.int64]:
    """Cells of `points_px` (…, 2) (x, y), same shape; points outside of the picture get the nearest cell in it.

    The cell is `int(256 x / width)` with x from the middle of the upper left pixel, as in Magma's data, where points
    outside are not clipped.

    Raises:
        InvalidInputError: points that are not pairs of finite numbers, or a picture without pixels.
    """
    points = _pairs(points_px, width_px, height_px)
    cells = np.floor(GRID * points / np.array([width_px, height_px]))
    return np.asarray(np.clip(cells, 0, GRID - 1), dtype=np.int64)


def to_pixels(cells: ArrayLike, *, width_px: int, height_px: int) -> FloatArray:
    """Middles of `cells` (…, 2) as pixels (x, y), same shape; `to_grid` takes each back to its cell.

    Of the places that `to_grid` brings into a cell, as many lie before the middle as behind it: traces that are read
    back are on neither side of what moved. Half a pixel less would put them that much up and left of it, and in
    pictures of less than 256 px into other cells. Upstream takes the cell's upper left corner.

    Raises:
        InvalidInputError: cells that are not pairs of finite numbers, or a picture without pixels.
    """
    return (_pairs(cells, width_px, height_px) + 0.5) / GRID * np.array([width_px, height_px], dtype=np.float64)


def mark_texts(marks: Iterable[Mark], *, width_px: int, height_px: int) -> tuple[MarkText, ...]:
    """`marks` of a picture as text has them, see `to_grid`."""
    cells = [(mark.number, to_grid((mark.x_px, mark.y_px), width_px=width_px, height_px=height_px)) for mark in marks]
    return tuple(MarkText(number, (int(cell[0]), int(cell[1]))) for number, cell in cells)


def som_answer(marks: Iterable[MarkText]) -> str:
    """`Mark 1 at [x,y]. Mark 2 at [x,y].` and a line end, by ascending number.

    Raises:
        InvalidInputError: no mark, or a number twice.
    """
    return " ".join(f"{_placed(m.number, m.point)}." for m in _ascending(marks)) + "\n"


def parse_som(text: str) -> tuple[MarkText, ...]:
    """The marks in an answer in the form of `som_answer`; white space around it is nothing.

    Raises:
        MarkTextError: another form; a number twice; a place outside of the picture.
    """
    reader = TextReader(text)
    marks = dict([_read_mark(reader, ())])
    reader.expect(".")
    while reader.skip(" "):
        marks.update([_read_mark(reader, marks)])
        reader.expect(".")
    reader.expect_end()
    return tuple(MarkText(number, point) for number, point in marks.items())


def tom_answer(traces: Iterable[TraceText], *, use_trace_start_end: bool = False) -> str:
    """The marks that should be moved, then a line with the future positions of each, by ascending number.

    Args:
        traces: At least one.
        use_trace_start_end: Wrap the lines in `<trace_start>` and `<trace_end>`; a checkpoint's
            `mm_use_trace_start_end`.

    Raises:
        InvalidInputError: no trace, or a number twice.
    """
    ordered = _ascending(traces)
    lines = "".join(f'"Mark {trace.number}": "[{_listed(trace.future)}]"\n\n' for trace in ordered)
    lines = f"{TRACE_START}{lines}{TRACE_END}" if use_trace_start_end else lines
    return ", ".join(_placed(trace.number, trace.start) for trace in ordered) + _MOVED + lines


def is_about_traces(answer: str) -> bool:
    """Whether `answer` begins to say where marks go; whether it can be read is `parse_tom`'s to say."""
    return _MOVED.strip() in answer


def parse_tom(text: str) -> tuple[TraceText, ...]:
    """The traces in an answer in the form of `tom_answer`, wrapped or not; white space around it is nothing.

    Raises:
        MarkTextError: another form; a number twice; a start outside of the picture; lines that are not those of the
            marks named before, in the same order.
    """
    reader = TextReader(text)
    starts = dict([_read_mark(reader, ())])
    while reader.skip(", "):
        starts.update([_read_mark(reader, starts)])
    reader.expect(_MOVED)
    is_wrapped = reader.skip(TRACE_START)
    traces: list[TraceText] = []
    for number, start in starts.items():
        if traces:
            reader.expect("\n\n")
        reader.expect(f'"Mark {number}": "[')
        traces.append(TraceText(number, start, _read_points(reader)))
        reader.expect(']"')
    if is_wrapped:
        reader.skip("\n\n")
        reader.expect(TRACE_END)
    reader.expect_end()
    return tuple(traces)


def _read_mark(reader: TextReader, said: Collection[int]) -> tuple[int, GridPoint]:
    """`Mark n at [x,y]` with a number that was not said and the place in the picture."""
    reader.expect("Mark ")
    number = reader.integer(1, MAX_NUMBER, unlike=said)
    reader.expect(" at ")
    return number, _read_point(reader, 0, GRID - 1)


def _read_points(reader: TextReader) -> tuple[GridPoint, ...]:
    """`[x,y],[x,y]`, at least one."""
    points = [_read_point(reader, -MAX_NUMBER, MAX_NUMBER)]
    while reader.skip(","):
        points.append(_read_point(reader, -MAX_NUMBER, MAX_NUMBER))
    return tuple(points)


def _read_point(reader: TextReader, lowest: int, highest: int) -> GridPoint:
    reader.expect("[")
    x = reader.integer(lowest, highest)
    reader.expect(",")
    y = reader.integer(lowest, highest)
    reader.expect("]")
    return x, y


def _pairs(points: ArrayLike, width_px: int, height_px: int) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != 2 or not np.isfinite(array).all():
        raise InvalidInputError(f"expected finite pairs (…, 2), got shape {array.shape}")
    if width_px < 1 or height_px < 1:
        raise InvalidInputError(f"expected a picture of at least one pixel, got {width_px} x {height_px}")
    return array


def _ascending(said: Iterable[_Said]) -> Sequence[_Said]:
    ordered = sorted(said, key=lambda one: one.number)
    numbers = [one.number for one in ordered]
    if not numbers or len(set(numbers)) != len(numbers):
        raise InvalidInputError(f"expected at least one mark and no number twice, got {numbers}")
    return ordered


def _placed(number: int, point: GridPoint) -> str:
    return f"Mark {number} at {_bracketed(point)}"


def _listed(points: Iterable[GridPoint]) -> str:
    return ",".join(_bracketed(point) for point in points)


def _bracketed(point: GridPoint) -> str:
    return f"[{point[0]},{point[1]}]"


def _is_in_picture(point: GridPoint) -> bool:
    return 0 <= point[0] < GRID and 0 <= point[1] < GRID


def _check_mark(number: int, point: GridPoint) -> None:
    if not 1 <= number <= MAX_NUMBER or not _is_in_picture(point):
        raise InvalidInputError(
            f"expected a number from 1 to {MAX_NUMBER} and a cell within 0 … {GRID - 1}, got mark {number} at {point}"
        )
