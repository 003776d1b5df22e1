"""Where points of a video go: tracks, what makes them, and where they begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from magma_ros.errors import InvalidInputError
from magma_ros.types import frozen_array

VideoArray = NDArray[np.uint8]
"""Frames of one size, shape (T, height, width, 3), RGB."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """N points followed through T frames; arrays are copied in and handed out read-only.

    Attributes:
        points: Right and down from the middle of the upper left pixel, shape (T, N, 2) float32 (x, y) [px]; may leave
            the picture.
        visible: Whether the point was seen, shape (T, N); where it was not, `points` holds an estimate.
        confidence: 0 … 1, shape (T, N) float32; what it measures is the tracker's to say.
    """

    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    confidence: NDArray[np.float32]

    def __post_init__(self) -> None:
        points = frozen_array(self.points, shape=(-1, -1, 2), dtype=np.float32, name="points")
        if not np.isfinite(points).all():
            raise InvalidInputError("points: expected finite pixels, got others")
        object.__setattr__(self, "points", points)
        for name, dtype in (("visible", np.bool_), ("confidence", np.float32)):
            value = frozen_array(getattr(self, name), shape=points.shape[:2], dtype=dtype, name=name)
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.points)


class Tracker(Protocol):
    """What follows points through a video."""

    def track(
        self,
        frames: VideoArray,
        *,
        grid_size: int | None = None,
        queries_px: NDArray[np.float32] | None = None,
        query_frame: int = 0,
    ) -> Tracks:
        """Tracks of points that are given in one frame, through all frames, those before it too.

        Args:
            frames: The whole video, at least one frame.
            grid_size: Follow a grid of this many points along each side, which may be moved within their cells.
            queries_px: Follow these points instead, shape (N, 2) (x, y).
            query_frame: The frame in which the points are.

        Raises:
            InvalidInputError: not such a video or frame, or not exactly one of grid and queries.
        """
        ...


def grid_points(grid_size: int, *, width_px: int, height_px: int) -> NDArray[np.float32]:
    """Middles of `grid_size` x `grid_size` equal cells, row by row, shape (grid_size², 2) (x, y) [px].

    Raises:
        InvalidInputError: no cell, or cells of less than a pixel.
    """
    if not 1 <= grid_size <= min(width_px, height_px):
        raise InvalidInputError(f"grid_size: expected 1 to {min(width_px, height_px)}, got {grid_size}")
    shares = (np.arange(grid_size) + 0.5) / grid_size
    x, y = np.meshgrid(shares * width_px - 0.5, shares * height_px - 0.5)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def check_question(
    frames: VideoArray, grid_size: int | None, queries_px: NDArray[np.float32] | None, query_frame: int
) -> None:
    """Make sure that a tracker is asked as `Tracker.track` says.

    Raises:
        InvalidInputError: it is not.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise InvalidInputError(f"frames: expected (T, height, width, 3) uint8, got {frames.shape} {frames.dtype}")
    if not 0 <= query_frame < len(frames):
        raise InvalidInputError(f"query_frame: expected 0 to {len(frames) - 1}, got {query_frame}")
    if (grid_size is None) == (queries_px is None):
        raise InvalidInputError("expected a grid size or query points, and not both")
    if queries_px is not None and (queries_px.ndim != 2 or queries_px.shape[1] != 2 or len(queries_px) == 0):
        raise InvalidInputError(f"queries_px: expected (N, 2) with N of at least 1, got {queries_px.shape}")


def both_ways(follow: Callable[[VideoArray], Tracks], frames: VideoArray, query_frame: int) -> Tracks:
    """Tracks through all frames, of what `follow` tracks from the first frame that it is given to the last.

    Args:
        follow: Called with the frames from the query's on, and with those up to it in reverse if there are any.
        frames: The whole video.
        query_frame: Index of the frame in which the points are.
    """
    later = follow(frames[query_frame:])
    if query_frame == 0:
        return later
    earlier = follow(frames[query_frame::-1])
    return Tracks(
        np.concatenate([earlier.points[:0:-1], later.points]),
        np.concatenate([earlier.visible[:0:-1], later.visible]),
        np.concatenate([earlier.confidence[:0:-1], later.confidence]),
    )


def joined(windows: Iterable[Tracks]) -> Tracks:
    """One track of each point through windows that share a frame: the last of one is the first of the next.

    A point that was not seen at such a seam counts as not seen from there on, since it was taken up at an estimate.
    """
    points: list[NDArray[np.float32]] = []
    visible: list[NDArray[np.bool_]] = []
    confidence: list[NDArray[np.float32]] = []
    for window in windows:
        first = 1 if points else 0
        seen = visible[-1][-1] if visible else np.ones(window.points.shape[1], dtype=np.bool_)
        points.append(window.points[first:])
        visible.append(window.visible[first:] & seen)
        confidence.append(window.confidence[first:] * seen)
    return Tracks(np.concatenate(points), np.concatenate(visible), np.concatenate(confidence))
