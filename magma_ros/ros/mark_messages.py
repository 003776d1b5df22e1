"""Marks and traces between messages, in the camera's pixels, and values, in those of the policy's picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from magma_ros.errors import InvalidInputError
from magma_ros.marks import Mark
from magma_ros.msg import Mark as MarkMessage
from magma_ros.msg import PredictedTraces
from magma_ros.msg import Trace as TraceMessage
from magma_ros.picture_questions import Trace, grid_of_marks
from magma_ros.ros.newest_pictures import Look

MAX_MARKS = 256
"""Most marks that may be asked about at a time."""

_GRID = (6, 4)


def marks_in(look: Look, wanted: Sequence[MarkMessage], *, columns: int, rows: int) -> tuple[Mark, ...]:
    """What is drawn over the policy's picture: the `wanted` marks, or a grid where there are none.

    Args:
        look: The picture.
        wanted: In the camera's pixels.
        columns: Of the grid; 0 takes 6.
        rows: Of the grid; 0 takes 4.

    Raises:
        InvalidInputError: too many marks, one outside of the picture, or a grid that is none.
    """
    if not wanted:
        return grid_of_marks(**size_of(look), columns=columns or _GRID[0], rows=rows or _GRID[1])
    if len(wanted) > MAX_MARKS:
        raise InvalidInputError(f"marks: expected at most {MAX_MARKS}, got {len(wanted)}")
    return tuple(_mark(look, message) for message in wanted)


def _mark(look: Look, message: MarkMessage) -> Mark:
    width, height = look.view.width_px, look.view.height_px
    if not (-0.5 <= message.x_px <= width - 0.5 and -0.5 <= message.y_px <= height - 0.5):
        raise InvalidInputError(
            f"mark {message.number}: expected a place in the picture of {width} x {height} px, "
            f"got ({message.x_px}, {message.y_px})"
        )
    x_px, y_px = look.view.to_seen((message.x_px, message.y_px)).tolist()
    return Mark(int(message.number), x_px, y_px)


def size_of(look: Look) -> dict[str, int]:
    """Width and height of the policy's picture [px], by the names that functions take them by."""
    return {"width_px": look.image.shape[1], "height_px": look.image.shape[0]}


def mark_message(look: Look, mark: Mark) -> MarkMessage:
    """`mark` of the policy's picture, in the camera's pixels."""
    x_px, y_px = look.view.to_camera((mark.x_px, mark.y_px)).tolist()
    return MarkMessage(number=mark.number, x_px=x_px, y_px=y_px)


def traces_message(look: Look, traces: Sequence[Trace], *, step_s: float) -> PredictedTraces:
    """`traces` of the policy's picture, in the camera's pixels, `step_s` [s] from point to point."""
    view = look.view
    return PredictedTraces(
        header=look.header,
        camera=view.camera.name,
        width_px=view.width_px,
        height_px=view.height_px,
        step_s=step_s,
        traces=[_trace_message(trace.number, view.to_camera(trace.points_px)) for trace in traces],
    )


def points_px(trace: TraceMessage) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Where a trace begins and goes, shape (num_steps + 1, 2), in the camera's pixels; empty if it is malformed."""
    x_px, y_px = np.array(trace.x_px, dtype=np.float64), np.array(trace.y_px, dtype=np.float64)
    is_whole = len(x_px) == len(y_px) and bool(np.isfinite(x_px).all() and np.isfinite(y_px).all())
    return np.stack([x_px, y_px], axis=1) if is_whole else np.empty((0, 2))


def _trace_message(number: int, points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> TraceMessage:
    return TraceMessage(number=number, x_px=points[:, 0].tolist(), y_px=points[:, 1].tolist())
