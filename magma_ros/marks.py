"""Set-of-Mark pictures: numbered discs at points, labels beside boxes, outlines of segments; pictures are RGB uint8.

Discs look as those that Magma was trained on: red, with white digits as high as `DIGIT_SHARE` of the picture's width.
They are drawn larger and reduced, so that they are crisp in small pictures, too; no font file is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magma_ros.errors import InvalidInputError
from magma_ros.images import check_image
from magma_ros.mark_labels import blend, disc, plate
from magma_ros.types import FloatArray, ImageArray

DIGIT_SHARE = 0.03
"""Height of a mark's digits as a share of the picture's width (Magma's)."""
LABEL_SHARE = 0.016
"""Same of a box's label: a screen has many boxes."""
MIN_DIGIT_PX = 7
"""Lower digits cannot be told apart [px]."""

_RED = (255, 0, 0)
_COLOURS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (148, 103, 189), (190, 110, 0), (0, 128, 128), (200, 40, 140))
_TINT = 0.35


@dataclass(frozen=True, slots=True)
class Mark:
    """A number at a place of a picture.

    Attributes:
        number: From 1.
        x_px, y_px: Right and down from the middle of the upper left pixel [px].
    """

    number: int
    x_px: float
    y_px: float

    def __post_init__(self) -> None:
        _check_number(self.number)
        if not (math.isfinite(self.x_px) and math.isfinite(self.y_px)):
            raise InvalidInputError(f"mark {self.number}: expected finite pixels, got ({self.x_px}, {self.y_px})")


@dataclass(frozen=True, slots=True)
class Box:
    """A numbered rectangle, such as a button of a screen.

    Attributes:
        number: From 1.
        left_px, top_px, right_px, bottom_px: Its sides [px]; none is beyond the opposite one.
    """

    number: int
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float

    def __post_init__(self) -> None:
        _check_number(self.number)
        sides = (self.left_px, self.top_px, self.right_px, self.bottom_px)
        if not all(math.isfinite(side) for side in sides):
            raise InvalidInputError(f"box {self.number}: expected finite sides, got {sides}")
        if self.left_px > self.right_px or self.top_px > self.bottom_px:
            raise InvalidInputError(f"box {self.number}: expected left <= right and top <= bottom, got {sides}")

    @property
    def centre(self) -> Mark:
        """The mark in its middle."""
        return Mark(self.number, (self.left_px + self.right_px) / 2, (self.top_px + self.bottom_px) / 2)


def draw_marks(image: ImageArray, marks: Sequence[Mark], *, digit_share: float = DIGIT_SHARE) -> ImageArray:
    """A copy of `image` with a disc at each mark, later ones over earlier ones; what lies beyond the edge is cut off.

    Args:
        image: Shape (height, width, 3), uint8 RGB.
        marks: Where, and which numbers.
        digit_share: Height of the digits as a share of the picture's width.

    Raises:
        InvalidInputError: `image` is not a picture.
    """
    marked = check_image(image).copy()
    digit_px = _digit_px(marked.shape[1], digit_share)
    for mark in marks:
        label = disc(str(mark.number), digit_px)
        height, width = label.ink.shape
        blend(marked, label, (round(mark.x_px - (width - 1) / 2), round(mark.y_px - (height - 1) / 2)), _RED)
    return marked


def disc_px(number: int, *, width_px: int, digit_share: float = DIGIT_SHARE) -> int:
    """Diameter of the disc of a mark of that number in a picture `width_px` wide, as `draw_marks` draws it [px]."""
    diameter_px: int = disc(str(number), _digit_px(width_px, digit_share)).ink.shape[0]
    return diameter_px


def draw_boxes(image: ImageArray, boxes: Sequence[Box]) -> ImageArray:
    """A copy of `image` with the outline of each box and its number beside it.

    A label stands where it overlaps least with all boxes and with the labels before it, see `label_places`.

    Raises:
        InvalidInputError: `image` is not a picture.
    """
    marked = check_image(image).copy()
    height, width, _ = marked.shape
    labels = [plate(str(box.number), _digit_px(width, LABEL_SHARE)) for box in boxes]
    line_px = max(1, round(width / 500))
    for index, box in enumerate(boxes):
        corners = [round(side) for side in (box.left_px, box.top_px, box.right_px, box.bottom_px)]
        cv2.rectangle(marked, corners[:2], corners[2:], _colour(index), line_px)
    sizes = [(label.ink.shape[1], label.ink.shape[0]) for label in labels]
    places = label_places(boxes, sizes, width_px=width, height_px=height)
    for index, (label, place) in enumerate(zip(labels, places, strict=True)):
        blend(marked, label, place, _colour(index))
    return marked


def draw_segments(image: ImageArray, masks: NDArray[np.bool_]) -> ImageArray:
    """A copy of `image` with each segment tinted and outlined, and its mark at the point farthest inside.

    Args:
        image: Shape (height, width, 3), uint8 RGB.
        masks: Shape (n, height, width); the first segment has number 1. Segments may overlap.

    Raises:
        InvalidInputError: not such arrays, or an empty segment.
    """
    marked = check_image(image).copy()
    marks = segment_marks(masks)
    if masks.shape[1:] != marked.shape[:2]:
        raise InvalidInputError(f"masks: expected (n, {marked.shape[0]}, {marked.shape[1]}), got {masks.shape}")
    for index, mask in enumerate(masks):
        tinted = (1.0 - _TINT) * marked[mask] + _TINT * np.array(_colour(index))
        marked[mask] = np.rint(tinted).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(marked, outlines, -1, _colour(index), max(1, round(marked.shape[1] / 400)))
    return draw_marks(marked, marks)


def segment_marks(masks: NDArray[np.bool_]) -> tuple[Mark, ...]:
    """A mark for each of the segments (n, height, width), from 1, at the point that is farthest from its border.

    Raises:
        InvalidInputError: another shape or type, or an empty segment.
    """
    if masks.ndim != 3 or masks.dtype != np.bool_:
        raise InvalidInputError(f"masks: expected (n, height, width) bool, got {masks.shape} {masks.dtype}")
    found = []
    for number, mask in enumerate(masks, start=1):
        if not mask.any():
            raise InvalidInputError(f"segment {number}: expected at least one pixel, got none")
        depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
        found.append(Mark(number, float(x - 1), float(y - 1)))
    return tuple(found)


def label_places(
    boxes: Sequence[Box], sizes_px: Sequence[tuple[int, int]], *, width_px: int, height_px: int
) -> list[tuple[int, int]]:
    """Left and top edge of a label for each box [px], in the picture.

    Of the places around its box and in its corners, each label gets the first of those that overlap least, by area,
    with all boxes and with the labels before it.

    Args:
        boxes: What is labelled.
        sizes_px: Width and height of each label [px].
        width_px: Of the picture; a place beyond its edge is moved inside.
        height_px: Same.
    """
    taken = np.array([(b.left_px, b.top_px, b.right_px, b.bottom_px) for b in boxes]).reshape(-1, 4)
    places = []
    for box, (width, height) in zip(boxes, sizes_px, strict=True):
        corners = _candidates(box, width, height)
        corners[:, 0] = np.clip(corners[:, 0], 0, max(0, width_px - width))
        corners[:, 1] = np.clip(corners[:, 1], 0, max(0, height_px - height))
        labels = np.hstack([corners, corners + np.array([width, height])])
        best = int(np.argmin(_overlaps(labels, taken).sum(axis=1)))
        taken = np.vstack([taken, labels[best]])
        places.append((int(corners[best, 0]), int(corners[best, 1])))
    return places


def _candidates(box: Box, width: int, height: int) -> NDArray[np.int64]:
    """Upper left corners of labels: over, under, beside, at the corners outside, and in the corners."""
    left, right = math.floor(box.left_px), math.ceil(box.right_px)
    top, bottom = math.floor(box.top_px), math.ceil(box.bottom_px)
    over, under, before, behind = top - height, bottom + 1, left - width, right + 1
    last_x, last_y = right - width, bottom - height
    around = [(left, over), (last_x, over), (left, under), (last_x, under)]
    around += [(before, top), (behind, top), (before, last_y), (behind, last_y)]
    around += [(before, over), (behind, over), (before, under), (behind, under)]
    return np.array([*around, (left, top), (last_x, top), (left, last_y), (last_x, last_y)], dtype=np.int64)


def _overlaps(labels: NDArray[np.int64], others: FloatArray) -> FloatArray:
    """Common area of each of n rectangles with each of m others, shape (n, m) [px²]."""
    ends = np.minimum(labels[:, None, 2:], others[None, :, 2:])
    starts = np.maximum(labels[:, None, :2], others[None, :, :2])
    return np.asarray(np.clip(ends - starts, 0.0, None).prod(axis=2), dtype=np.float64)


def _digit_px(width_px: int, share: float) -> int:
    return max(MIN_DIGIT_PX, math.ceil(share * width_px))


def _colour(index: int) -> tuple[int, int, int]:
    return _COLOURS[index % len(_COLOURS)]


def _check_number(number: int) -> None:
    if number < 1:
        raise InvalidInputError(f"expected a number from 1, got {number}")
