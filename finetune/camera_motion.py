"""Whether the camera moved while points were tracked, and where the points would be had it not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magma_ros.types import FloatArray

_FEWEST = 4
"""Points that determine a homography."""

Points = NDArray[np.float32]


def step_lengths(points: Points) -> FloatArray:
    """Mean way of each point from one frame to the next, shape (N,) [px/step], of points (T, N, 2) with T above 1."""
    return np.asarray(np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=2).mean(axis=0))


def is_moving(points: Points, *, min_step_px: float, min_share: float) -> bool:
    """Whether more than `min_share` of the points (T, N, 2) move by more than `min_step_px` in a mean step."""
    return bool((step_lengths(points) > min_step_px).mean() > min_share)


def homographies(
    points: Points, visible: NDArray[np.bool_], *, reference: int, reprojection_px: float
) -> FloatArray | None:
    """What maps the pixels of each frame to those of frame `reference`, shape (T, 3, 3), by RANSAC.

    It follows the motion that most of the points share, whatever moves.

    Args:
        points: Shape (T, N, 2) (x, y) [px].
        visible: Shape (T, N); a frame's homography is found from the points that are seen in it and in the reference.
        reference: Index of the frame.
        reprojection_px: How far from its place a point may be mapped to count.

    Returns:
        None where a frame shares less than four points with the reference, or none is found for it.
    """
    found = np.empty((len(points), 3, 3))
    for frame in range(len(points)):
        seen = visible[frame] & visible[reference]
        if frame == reference:
            found[frame] = np.eye(3)
            continue
        if seen.sum() < _FEWEST:
            return None
        homography, _ = cv2.findHomography(points[frame, seen], points[reference, seen], cv2.RANSAC, reprojection_px)
        if homography is None:
            return None
        found[frame] = homography
    return found


def compensated(points: Points, views: FloatArray) -> Points:
    """`points` (T, N, 2) of each frame through that frame's homography, see `homographies`; same shape."""
    return np.concatenate([cv2.perspectiveTransform(at[None], view) for at, view in zip(points, views, strict=True)])
