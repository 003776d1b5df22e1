"""The only code that changes pixels; every picture is (height, width, 3) uint8 RGB."""

from __future__ import annotations

import cv2
import numpy as np

from magma_ros.errors import InvalidInputError
from magma_ros.types import ImageArray

MAX_SIDE_PX = 8192
"""Longest side of a picture that is accepted [px]; bounds what a camera topic can make us allocate."""

RESAMPLING = "opencv INTER_AREA when smaller, INTER_LINEAR otherwise"
"""How `resize` computes pixels; part of a pipeline's fingerprint."""


def check_image(image: ImageArray, *, name: str = "image") -> ImageArray:
    """`image` itself when it is a picture.

    Raises:
        InvalidInputError: not uint8, not (height, width, 3), empty, or a side longer than `MAX_SIDE_PX`.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise InvalidInputError(f"{name}: expected a uint8 array, got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise InvalidInputError(f"{name}: expected shape (height, width, 3), got {image.shape}")
    if not 1 <= min(image.shape[:2]) <= max(image.shape[:2]) <= MAX_SIDE_PX:
        raise InvalidInputError(f"{name}: expected sides of 1 to {MAX_SIDE_PX} px, got {image.shape[:2]}")
    return image


def orient(image: ImageArray, *, rotate_180: bool) -> ImageArray:
    """`image`, turned by half a circle in its plane when `rotate_180`; the result may share its memory."""
    check_image(image)
    return np.ascontiguousarray(image[::-1, ::-1]) if rotate_180 else image


def resize(image: ImageArray, *, height_px: int, width_px: int) -> ImageArray:
    """`image` stretched to (height_px, width_px, 3); the very same array when it has that size already.

    Shrinking averages the area that each new pixel covers (so that a supersampled rendering is anti-aliased);
    growing on either axis interpolates linearly.

    Raises:
        InvalidInputError: not a picture, or a size outside 1 … `MAX_SIDE_PX`.
    """
    check_image(image)
    if not 1 <= min(height_px, width_px) <= max(height_px, width_px) <= MAX_SIDE_PX:
        raise InvalidInputError(f"expected a size of 1 to {MAX_SIDE_PX} px, got {height_px} x {width_px}")
    if image.shape[:2] == (height_px, width_px):
        return image
    shrinks = height_px <= image.shape[0] and width_px <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(image), (width_px, height_px), interpolation=method)
    return np.asarray(resized, dtype=np.uint8)
