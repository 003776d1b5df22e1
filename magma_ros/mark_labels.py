"""The number of a mark as a label, on a disc or a plate: drawn larger and reduced, so that small ones are crisp."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from magma_ros.types import FloatArray, ImageArray

_WHITE = (255, 255, 255)
_ENLARGEMENT = 8
_HERSHEY_PX = 21.0
"""Height of OpenCV's digits at scale 1."""


@dataclass(frozen=True, slots=True)
class Label:
    """How much of each pixel is ground and how much of that is ink, both 0 … 1, shape (height, width)."""

    ground: FloatArray
    ink: FloatArray


@lru_cache(maxsize=1024)
def disc(text: str, digit_px: int) -> Label:
    """`text` in the middle of a disc that is one pixel larger than it."""
    ink = _ink(text, digit_px)
    radius = max(ink.shape) // 2 + 1
    axis = np.arange(-radius, radius + 1)
    ground = np.clip(radius + 0.5 - np.hypot(axis[:, None], axis[None, :]), 0.0, 1.0)
    return Label(ground, _centred(ink, ground.shape))


@lru_cache(maxsize=1024)
def plate(text: str, digit_px: int) -> Label:
    """`text` on a rectangle with a margin of a quarter of its height."""
    ink = _ink(text, digit_px)
    margin = max(2, digit_px // 4)
    shape = (ink.shape[0] + 2 * margin, ink.shape[1] + 2 * margin)
    return Label(np.ones(shape), _centred(ink, shape))


def _ink(text: str, digit_px: int) -> FloatArray:
    """Digits, `digit_px` high and cut to what is inked, 0 … 1."""
    scale = _ENLARGEMENT * digit_px / _HERSHEY_PX
    thickness = max(1, round(0.14 * _ENLARGEMENT * digit_px))
    room = 2 * _ENLARGEMENT * digit_px
    canvas = np.zeros((2 * room, room * (len(text) + 1)), np.uint8)
    cv2.putText(
        canvas, text, (room // 2, room + room // 4), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA
    )
    x, y, width, height = cv2.boundingRect(canvas)
    size = (max(1, round(width * digit_px / height)), digit_px)
    ink = cv2.resize(canvas[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA)
    return np.asarray(ink, dtype=np.float64) / 255.0


def _centred(ink: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    room = np.zeros(shape)
    top, left = (shape[0] - ink.shape[0]) // 2, (shape[1] - ink.shape[1]) // 2
    room[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return room


def blend(picture: ImageArray, label: Label, corner_px: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Put `label` on a ground of `colour` over `picture` in place, as far as it lies in it.

    Args:
        picture: Shape (height, width, 3), uint8 RGB.
        label: What is put there.
        corner_px: Where its upper left pixel comes (x, y) [px].
        colour: Of the ground, RGB; the digits are white.
    """
    height, width = label.ink.shape
    left_px, top_px = corner_px
    rows = slice(max(0, -top_px), min(height, picture.shape[0] - top_px))
    columns = slice(max(0, -left_px), min(width, picture.shape[1] - left_px))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    ground, ink = label.ground[rows, columns, None], label.ink[rows, columns, None]
    part = picture[rows.start + top_px : rows.stop + top_px, columns.start + left_px : columns.stop + left_px]
    painted = (1.0 - ink) * np.array(colour) + ink * np.array(_WHITE)
    part[:] = np.rint((1.0 - ground) * part + ground * painted).astype(np.uint8)
