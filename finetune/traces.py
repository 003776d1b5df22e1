"""Trace-of-Mark: from tracked points to marks on one frame and the future of those that move.

The steps are Magma's. Where theirs end in an exception or in text that cannot be learned, these end in a reason:
docs/som_tom.md lists every difference. A clip, its parameters and a seed give the same result each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import ThreadpoolController

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.camera_motion import compensated, homographies, is_moving, step_lengths
from magma_ros.finetune.trace_parameters import TraceParameters
from magma_ros.finetune.tracks import Tracker, Tracks, VideoArray
from magma_ros.mark_text import GRID, TraceText, to_grid
from magma_ros.marks import Mark, disc_px
from magma_ros.types import FloatArray

Indices = NDArray[np.int64]
Points = NDArray[np.float32]


class NoTrace(Enum):
    """Why a frame has no traces; the value is what a record says."""

    SKIPPED = "skipped"
    """Drawn to be left without marks, see `TraceParameters.skip_share`."""
    FEW_POINTS = "few_points"
    """At most one point was seen in enough frames."""
    NOTHING_MOVES = "nothing_moves"
    """At most one point is foreground."""
    NO_BACKGROUND = "no_background"
    """Every point is foreground: what moves cannot be told from what does not."""
    TOO_STILL = "too_still"
    """No mark moved far or fast enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedFrame:
    """One frame of a clip, and the marks to draw on it.

    Attributes:
        frame: Its index in the clip.
        history: Indices of earlier frames to show before it, ascending.
        marks: In the picture, by ascending number from 1; none when skipped, or when no point is seen.
        paths: Where each mark is in every frame of the clip, as the marked frame's camera would see it, shape
            (T, len(marks), 2) float32 (x, y) [px]; read-only.
        is_moving: Which marks are foreground, one flag for each.
        traces: The future of the marks that move, by ascending number; empty where `no_trace` says why.
        no_trace: None where there are traces.
        num_steps: Positions in the longest trace: the steps that a prompt asks for; 0 without traces.
        speed: Whole cells per step, mean over all foreground marks: the speed that a prompt may say.
        camera_moved: Whether the camera's motion was taken out of `paths`.
        num_clipped: Positions of foreground marks outside of the picture, which got the nearest cell in it.
    """

    frame: int
    history: tuple[int, ...]
    marks: tuple[Mark, ...]
    paths: Points
    is_moving: tuple[bool, ...]
    traces: tuple[TraceText, ...] = ()
    no_trace: NoTrace | None
    num_steps: int = 0
    speed: int = 0
    camera_moved: bool = False
    num_clipped: int = 0


def mark_clip(frames: VideoArray, *, tracker: Tracker, preset: TraceParameters, seed: int) -> MarkedFrame:
    """The whole way from a clip (T, height, width, 3) to marks and traces, with a grid of points from its first frame.

    Raises:
        InvalidInputError: not a clip of at least two frames.
    """
    tracks = tracker.track(frames, grid_size=preset.grid_size)
    return trace_of_mark(tracks, width_px=frames.shape[2], height_px=frames.shape[1], preset=preset, seed=seed)


def trace_of_mark(tracks: Tracks, *, width_px: int, height_px: int, preset: TraceParameters, seed: int) -> MarkedFrame:
    """The marks and traces of tracked points.

    Args:
        tracks: Of one clip of at least two frames.
        width_px: Of each frame.
        height_px: Same.
        preset: See `TraceParameters`.
        seed: Of every draw: marked frame, history, numbers of marks, members of clusters, numbering.

    Raises:
        InvalidInputError: fewer than two frames.
    """
    if len(tracks) < 2:
        raise InvalidInputError(f"expected at least two frames to see a motion, got {len(tracks)}")
    generator = np.random.default_rng(seed)
    frame = _start(tracks.points, preset.start_share, generator)
    history = tuple(sorted(generator.choice(frame, min(frame, preset.num_history), replace=False).tolist()))
    if generator.random() < preset.skip_share:
        nothing = tracks.points[:, :0]
        return MarkedFrame(
            frame=frame, history=history, marks=(), paths=nothing, is_moving=(), no_trace=NoTrace.SKIPPED
        )
    num_foreground = int(generator.integers(*preset.foreground_marks, endpoint=True))
    num_background = int(generator.integers(*preset.background_marks, endpoint=True))
    parts = split(tracks, frame=frame, preset=preset)
    if parts.no_trace is None:
        moving = _representatives(parts.paths[frame:], parts.foreground, num_foreground, generator)
        still = _representatives(parts.paths[frame:], parts.background, num_background, generator)
    else:
        moving = parts.foreground[:0]
        shown = generator.permutation(np.flatnonzero(tracks.visible[frame]))
        still = _apart(shown, tracks.points[frame], num_foreground + num_background, width_px)
    order = np.concatenate([moving, still])[generator.permutation(len(moving) + len(still))]
    marked = MarkedFrame(
        frame=frame,
        history=history,
        marks=tuple(Mark(i + 1, *map(float, tracks.points[frame, index])) for i, index in enumerate(order)),
        paths=_read_only(parts.paths[:, order]),
        is_moving=tuple(np.isin(order, moving).tolist()),
        no_trace=parts.no_trace,
        camera_moved=parts.camera_moved,
    )
    if parts.no_trace is not None:
        return marked
    return _with_traces(marked, tracks.visible[:, order], (width_px, height_px), preset)


@dataclass(frozen=True, slots=True)
class Split:
    """What moves and what does not.

    Attributes:
        paths: The points without the camera's motion, as the marked frame's camera would see them, shape (T, N, 2).
        foreground, background: Indices of points; those that are seen too little are in neither.
        camera_moved: Whether `paths` differ from the tracked points.
        no_trace: Why marks on these points would have no traces.
    """

    paths: Points
    foreground: Indices
    background: Indices
    camera_moved: bool
    no_trace: NoTrace | None


def split(tracks: Tracks, *, frame: int, preset: TraceParameters) -> Split:
    """Foreground and background of tracked points, from `frame` on; points that are not seen in it are in neither."""
    points, visible = tracks.points, tracks.visible
    kept = np.flatnonzero((visible[frame:].mean(axis=0) > preset.visible_share) & visible[frame])
    if len(kept) <= 1:
        return Split(points, kept[:0], kept, camera_moved=False, no_trace=NoTrace.FEW_POINTS)
    views = None
    if preset.assume_moving or is_moving(
        points[frame:, kept], min_step_px=preset.moving_step_px, min_share=preset.moving_share
    ):
        views = homographies(points[:, kept], visible[:, kept], reference=frame, reprojection_px=preset.reprojection_px)
    paths = points if views is None else compensated(points, views)
    lengths = step_lengths((points if preset.split_before else paths)[frame:, kept])
    foreground, background = kept[lengths > preset.foreground_step_px], kept[lengths <= preset.foreground_step_px]
    no_trace = NoTrace.NOTHING_MOVES if len(foreground) <= 1 else NoTrace.NO_BACKGROUND if not len(background) else None
    return Split(paths, foreground, background, camera_moved=views is not None, no_trace=no_trace)


def _apart(candidates: Indices, points: Points, count: int, width_px: int) -> Indices:
    """The first `count` candidates whose discs do not touch those before; where they are too few, the first others."""
    least_px = max(disc_px(number, width_px=width_px) for number in range(1, count + 1))
    kept: list[int] = []
    for index in candidates.tolist():
        if len(kept) < count and (np.linalg.norm(points[kept] - points[index], axis=1) >= least_px).all():
            kept.append(index)
    others = [index for index in candidates.tolist() if index not in kept]
    return np.array([*kept, *others][:count], dtype=np.int64)


def _start(points: Points, share: float, generator: np.random.Generator) -> int:
    """A frame before `share` of all motion in the clip is over, but never the last."""
    steps = np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=2).mean(axis=1)
    done = np.cumsum(steps) / (1e-5 + steps.sum())
    return int(generator.integers(np.clip((done < share).sum(), 1, len(points) - 1)))


def _representatives(paths: Points, part: Indices, count: int, generator: np.random.Generator) -> Indices:
    """A random member of each of `count` clusters of the points `part` by their whole paths (T, N, 2)."""
    rows = paths[:, part].transpose(1, 0, 2).reshape(len(part), -1).astype(np.float64)
    num_clusters = min(count, len(np.unique(rows, axis=0)))
    means = KMeans(num_clusters, n_init=1, random_state=int(generator.integers(2**31)))
    with _threads().limit(limits=1, user_api="openmp"):  # several add up in any order
        clusters = means.fit_predict(rows)
    return np.array([generator.choice(part[clusters == cluster]) for cluster in np.unique(clusters)])


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def _with_traces(
    marked: MarkedFrame, visible: NDArray[np.bool_], size_px: tuple[int, int], preset: TraceParameters
) -> MarkedFrame:
    """`marked` with the futures of its foreground marks, as far as they are long and fast enough."""
    num_steps = len(visible) - 1 - marked.frame
    traces: list[TraceText] = []
    speeds: list[float] = []
    num_clipped = 0
    for index in np.flatnonzero(marked.is_moving):
        last_seen = int(np.flatnonzero(visible[:, index])[-1])
        path = marked.paths[marked.frame : last_seen + 1, index]
        cells = GRID * path.astype(np.float64) / size_px
        num_clipped += int(((cells < 0.0) | (cells >= GRID)).any(axis=1).sum())
        speeds.append(float(np.linalg.norm(np.diff(cells, axis=0), axis=1).mean()) if len(cells) > 1 else 0.0)
        kept = _without_static(np.clip(cells, 0.0, GRID - 1.0), preset.static_cells)
        if len(kept) - 1 > int(preset.min_length_share * num_steps) and speeds[-1] >= preset.min_speed_cells:
            start, *future = to_grid(path[kept], width_px=size_px[0], height_px=size_px[1]).tolist()
            traces.append(TraceText(marked.marks[index].number, tuple(start), tuple(map(tuple, future))))
    return replace(
        marked,
        traces=tuple(traces),
        no_trace=None if traces else NoTrace.TOO_STILL,
        num_steps=max((len(trace.future) for trace in traces), default=0),
        speed=int(np.mean(speeds)),
        num_clipped=num_clipped,
    )


def _without_static(cells: FloatArray, least: float) -> list[int]:
    """Indices of the positions (n, 2) that are at least `least` from the one kept before; the first is kept."""
    kept = [0]
    for index in range(1, len(cells)):
        if np.linalg.norm(cells[index] - cells[kept[-1]]) >= least:
            kept.append(index)
    return kept


def _read_only(points: Points) -> Points:
    points.setflags(write=False)
    return points
