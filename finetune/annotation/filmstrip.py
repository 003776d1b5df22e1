"""Pictures for people: a window of film with its marks, and where they went."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike

from magma_ros import images
from magma_ros.finetune.traces import MarkedFrame
from magma_ros.finetune.tracks import VideoArray
from magma_ros.marks import Mark, draw_marks
from magma_ros.types import FloatArray, ImageArray

CELL_HEIGHT_PX = 192
NUM_CELLS = 5
_COLOURS = ((255, 196, 0), (0, 214, 255), (120, 255, 80), (255, 120, 230), (255, 140, 60))
_GAP_PX = 4


def filmstrip(frames: VideoArray, marked: MarkedFrame) -> ImageArray:
    """Evenly spaced pictures in a row: the first with all marks, and each with what moves up to its time.

    Paths are drawn where they were computed, as the marked frame's camera would see them: with a moving camera they lie
    beside what they follow in later pictures.

    Args:
        frames: Shape (T, height, width, 3).
        marked: One of them.

    Returns:
        Shape (`CELL_HEIGHT_PX`, any width, 3).
    """
    height, width = frames.shape[1:3]
    size = (CELL_HEIGHT_PX, max(1, round(CELL_HEIGHT_PX * width / height)))
    scale = np.array([size[1] / width, size[0] / height])
    cells = []
    for number in np.unique(np.linspace(marked.frame, len(frames) - 1, NUM_CELLS).round().astype(int)).tolist():
        cell = images.resize(frames[number], height_px=size[0], width_px=size[1]).copy()
        for index in np.flatnonzero(marked.is_moving):
            path = _enlarged(marked.paths[marked.frame : number + 1, index], scale)
            _draw(cell, path, _COLOURS[index % len(_COLOURS)])
        if number == marked.frame:
            places = [_enlarged((mark.x_px, mark.y_px), scale).tolist() for mark in marked.marks]
            cell = draw_marks(
                cell, [Mark(mark.number, *place) for mark, place in zip(marked.marks, places, strict=True)]
            )
        cells += [cell, np.full((size[0], _GAP_PX, 3), 255, np.uint8)]
    return np.hstack(cells[:-1])


def _enlarged(points_px: ArrayLike, scale: FloatArray) -> FloatArray:
    """Points (…, 2) (x, y) of a frame in its cell, same shape; the middles of the upper left pixels are (0, 0) [px]."""
    return (np.asarray(points_px, dtype=np.float64) + 0.5) * scale - 0.5


def _draw(cell: ImageArray, points: FloatArray, colour: tuple[int, int, int]) -> None:
    """A line with a dot at its end."""
    corners = np.rint(points).astype(np.int32)
    cv2.polylines(cell, [corners.reshape(-1, 1, 2)], False, colour, 2, cv2.LINE_AA)  # noqa: FBT003 - OpenCV's order
    cv2.circle(cell, tuple(int(value) for value in corners[-1]), 3, colour, -1, cv2.LINE_AA)
