"""Point tracks by pyramidal Lucas-Kanade: no weights, no GPU; OpenCV only.

Each point is followed from frame to frame and back. It is lost where the way back misses its beginning, where its
surroundings no longer look as in the frame in which it was given, or outside of the picture. A lost point goes on as it
and the points near it moved, and is seen again where it is found near there by its first looks; between two sightings
its way is made straight.

What is not sure counts as not seen: up to a third of the points of a moving thing is lost, and what is left is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.tracks import Tracks, VideoArray, both_ways, check_question, grid_points

_ITERATIONS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.03)
_NEIGHBOURS = 8
_OWN_WEIGHT = 2.0
_FOUND_AGAIN_PX = 3.0
"""A lost point that is found farther from where it was expected is another one that looks like it."""
_PATCH_PX = 11
_FLAT = 6e-5
"""Strength of a corner (OpenCV's least eigenvalue) that noise of two grey levels alone has; a weaker one is none."""

Points = NDArray[np.float32]
Flags = NDArray[np.bool_]
Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class LucasKanade:
    """A tracker that needs nothing but OpenCV; confidence is how alike a point's surroundings are, 0 … 1.

    Attributes:
        window_px: Side of the square that is compared from frame to frame [px].
        levels: Times that the frame is halved; a point may move by about `window_px * 2**levels / 2` in a frame.
        max_miss_px: How far the way back may end from where it began [px].
        min_likeness: Correlation of the surroundings with those in the query's frame below which a point is lost.
    """

    window_px: int = 9
    levels: int = 3
    max_miss_px: float = 0.7
    min_likeness: float = 0.8

    def __post_init__(self) -> None:
        if self.window_px < 3 or self.levels < 0 or self.max_miss_px <= 0.0 or not -1.0 <= self.min_likeness <= 1.0:
            raise InvalidInputError(f"expected a window of 3 px or more, and limits in their ranges, got {self}")

    def track(
        self,
        frames: VideoArray,
        *,
        grid_size: int | None = None,
        queries_px: Points | None = None,
        query_frame: int = 0,
    ) -> Tracks:
        """See `Tracker.track`; a point of the grid is where its cell can be followed best if not in the middle."""
        check_question(frames, grid_size, queries_px, query_frame)
        if queries_px is None:
            assert grid_size is not None
            queries_px = _grid(_grey(frames[query_frame]), grid_size, self.window_px)
        queries = np.array(queries_px, dtype=np.float32)
        return both_ways(lambda part: self._followed(part, queries), frames, query_frame)

    def _followed(self, frames: VideoArray, queries: Points) -> Tracks:
        """Tracks from the first frame on."""
        greys = [_grey(frame) for frame in frames]
        looks = _patches(greys[0], queries)
        points, visible = [queries], [_is_inside(queries, greys[0])]
        likeness = [visible[0].astype(np.float32)]
        pace = np.zeros_like(queries)
        for index in range(1, len(greys)):
            last, now = points[-1], greys[index]
            moved, is_found = self._search(greys[index - 1], now, last, last + pace, visible[-1], self.levels)
            moved = _carried(last, moved, is_found, pace)
            again, is_again = self._search(greys[0], now, queries, moved, visible[0] & ~is_found, 0)
            is_again &= np.linalg.norm(again - moved, axis=1) <= _FOUND_AGAIN_PX
            moved, is_found = np.where(is_again[:, None], again, moved), is_found | is_again
            alike = _correlation(looks, _patches(greys[index], moved))
            is_found &= (alike >= self.min_likeness) & _is_inside(moved, greys[index])
            pace = np.where(is_found[:, None], (pace + moved - last) / 2 if index > 1 else moved - last, pace)
            points.append(moved)
            visible.append(is_found)
            likeness.append(np.where(is_found, alike, 0.0).astype(np.float32))
        seen = np.stack(visible)
        return Tracks(_straightened(np.stack(points), seen), seen, np.stack(likeness))

    def _search(
        self, before: Grey, now: Grey, points: Points, guess: Points, wanted: Flags, levels: int
    ) -> tuple[Points, Flags]:
        """Where the wanted ones of `points` went, and which; those that are not found stay at their guess."""
        ahead, went = self._moved(before, now, points, guess, wanted, levels)
        back, came = self._moved(now, before, ahead, points + ahead - guess, went, levels)
        is_found = came & (np.linalg.norm(back - points, axis=1) <= self.max_miss_px)
        return np.where(is_found[:, None], ahead, guess), is_found

    def _moved(
        self, before: Grey, now: Grey, points: Points, guess: Points, wanted: Flags, levels: int
    ) -> tuple[Points, Flags]:
        """Where OpenCV says the wanted ones of `points` went, and which; the others stay at their guess."""
        moved, is_found = guess.astype(np.float32), np.zeros(len(points), dtype=np.bool_)
        if not wanted.any():
            return moved, is_found
        there, status, _ = cv2.calcOpticalFlowPyrLK(
            before,
            now,
            points[wanted],
            moved[wanted],
            winSize=(self.window_px, self.window_px),
            maxLevel=levels,
            criteria=_ITERATIONS,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        is_found[wanted] = status[:, 0] == 1
        moved[is_found] = there[status[:, 0] == 1]
        return moved, is_found


def _grey(frame: NDArray[np.uint8]) -> Grey:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _grid(grey: Grey, grid_size: int, window_px: int) -> Points:
    """The middle of each cell of a grid; where that is flat, the strongest corner in the cell, if there is any."""
    height, width = grey.shape
    middles = grid_points(grid_size, width_px=width, height_px=height)
    strength = cv2.cornerMinEigenVal(grey, window_px)
    reach_x, reach_y = (int(side / grid_size / 2) for side in (width, height))
    offsets_y, offsets_x = np.mgrid[-reach_y : reach_y + 1, -reach_x : reach_x + 1].reshape(2, -1)
    x = np.clip(np.rint(middles[:, :1]).astype(int) + offsets_x, 0, width - 1)
    y = np.clip(np.rint(middles[:, 1:]).astype(int) + offsets_y, 0, height - 1)
    cells = strength[y, x]
    best = cells.argmax(axis=1)[:, None]
    corners = np.hstack([np.take_along_axis(x, best, 1), np.take_along_axis(y, best, 1)]).astype(np.float32)
    is_moved = (cells[:, len(offsets_x) // 2] < _FLAT) & (cells.max(axis=1) >= _FLAT)
    return np.where(is_moved[:, None], corners, middles)


def _carried(points: Points, moved: Points, is_found: Flags, pace: Points) -> Points:
    """`moved`, where those that were not found go on at their own pace and that of near points with a like one."""
    if is_found.all() or not is_found.any():
        return moved if is_found.any() else points + pace
    lost = ~is_found
    apart = np.linalg.norm(points[lost][:, None] - points[is_found][None], axis=2)
    count = min(_NEIGHBOURS, apart.shape[1])
    nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
    unlike = np.linalg.norm(pace[is_found][nearest] - pace[lost][:, None], axis=2)
    weights = np.exp(-unlike)[:, :, None]
    steps = (weights * (moved - points)[is_found][nearest]).sum(axis=1) + _OWN_WEIGHT * pace[lost]
    carried = moved.copy()
    carried[lost] = points[lost] + steps / (weights.sum(axis=1) + _OWN_WEIGHT)
    return carried


def _straightened(points: Points, visible: Flags) -> Points:
    """`points` (T, N, 2), where each gap between two sightings is a straight way at one speed."""
    straight = points.copy()
    frames = np.arange(len(points))
    for index in np.flatnonzero((~visible).any(axis=0) & visible.any(axis=0)):
        seen = np.flatnonzero(visible[:, index])
        gap = slice(seen[0], seen[-1] + 1)
        for axis in range(2):
            straight[gap, index, axis] = np.interp(frames[gap], seen, points[seen, index, axis])
    return straight


def _patches(grey: Grey, points: Points) -> NDArray[np.float32]:
    """Surroundings of each point without their mean and contrast, shape (N, _PATCH_PX²)."""
    reach = _PATCH_PX // 2
    offsets_y, offsets_x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32).reshape(2, 1, -1)
    seen = cv2.remap(
        grey.astype(np.float32),
        points[:, :1] + offsets_x,
        points[:, 1:] + offsets_y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    seen -= seen.mean(axis=1, keepdims=True)
    return np.asarray(seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1.0), dtype=np.float32)


def _correlation(looks: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.clip((looks * others).sum(axis=1), 0.0, 1.0), dtype=np.float32)


def _is_inside(points: Points, grey: Grey) -> Flags:
    return np.asarray(((points >= 0) & (points <= [grey.shape[1] - 1, grey.shape[0] - 1])).all(axis=1))
