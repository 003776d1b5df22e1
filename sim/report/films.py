"""Small animated pictures of trials, for reports: evenly spaced frames over two lines that say how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from magma_ros.contract import CameraSpec
from magma_ros.errors import SweepError
from magma_ros.images import orient
from magma_ros.sim.rollout import Outcome
from magma_ros.stops import Stop
from magma_ros.types import ImageArray, Observation, SafeAction
from magma_ros.whole_files import replacing

MAX_BYTES = 200_000
_SPEED = 2.0
_LAST_FRAME_S = 1.5
_BAR_PX = 30
_QUALITIES = (70, 45, 25)
_PAPER, _INK = (250, 250, 248), (24, 26, 31)
_COLOURS = {"success": (0, 114, 178), "failure": (190, 75, 0), "error": (110, 114, 122)}


@dataclass(frozen=True, slots=True)
class _Shot:
    step: int
    stamp_s: float
    picture: ImageArray
    stopped_by: str


class FilmRecorder:
    """Keeps at most `max_frames` pictures of one trial, however long it is: give it to `rollout` as `on_step`."""

    def __init__(self, cameras: Sequence[CameraSpec], *, max_frames: int = 40, width_px: int = 160) -> None:
        """Film what `cameras` show of each observation, upright and side by side, the first one `width_px` wide.

        Without a picture of theirs nothing is kept.
        """
        self._cameras, self._max_frames, self._width_px = tuple(cameras), max_frames, width_px
        self._kept: list[_Shot] = []
        self._latest: tuple[int, Observation, str] | None = None
        self._num_steps, self._stride = 0, 1

    def __call__(self, observation: Observation, decision: SafeAction | Stop) -> None:
        """Look at one step."""
        if not any(camera.name in observation.images for camera in self._cameras):
            return
        self._latest = self._num_steps, observation, decision.reason.value if isinstance(decision, Stop) else ""
        if self._num_steps % self._stride == 0:
            self._kept.append(self._shot(*self._latest))
        self._num_steps += 1
        if len(self._kept) == self._max_frames:
            self._kept, self._stride = self._kept[::2], 2 * self._stride

    def save(self, path: Path, *, outcome: Outcome, caption: str) -> bool:
        """Write an animated WebP of at most `MAX_BYTES`, at twice the world's speed; the last frame stays a moment.

        Args:
            path: The file; its folder is made.
            outcome: How the trial ended.
            caption: What the trial was, in a few letters.

        Returns:
            False when there was no picture to show; nothing is written then.
        """
        if self._latest is None:
            return False
        last = self._shot(*self._latest)
        shots = [shot for shot in self._kept if shot.step < last.step] + [last]
        frames = [_labelled(shot, caption, shot.stopped_by and f"stop: {shot.stopped_by}") for shot in shots[:-1]]
        frames.append(_labelled(last, caption, outcome))
        waits_ms = [round(1000 * (b.stamp_s - a.stamp_s) / _SPEED) for a, b in pairwise(shots)]
        film = _encoded(frames, [*waits_ms, round(1000 * _LAST_FRAME_S)])
        with replacing(path) as partial:
            partial.write_bytes(film)
        return True

    def _shot(self, step: int, observation: Observation, stopped_by: str) -> _Shot:
        shown = [camera for camera in self._cameras if camera.name in observation.images]
        upright = [orient(observation.images[camera.name], rotate_180=camera.rotate_180) for camera in shown]
        height_px = round(self._width_px * upright[0].shape[0] / upright[0].shape[1])
        strip = np.hstack([_resized(picture, height_px) for picture in upright])
        return _Shot(step, observation.stamp_s, strip, stopped_by)


def last_frame(film: Path) -> bytes:
    """How a film ends, as a still WebP.

    Raises:
        SweepError: it is no film.
    """
    _, animation = cv2.imreadanimation(str(film))
    if not animation.frames:
        raise SweepError(f"{film}: expected an animated WebP")
    _, data = cv2.imencode(".webp", animation.frames[-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITIES[0]])
    return bytes(data)


def _encoded(frames: Sequence[ImageArray], waits_ms: Sequence[int]) -> bytes:
    """As good and as smooth as fits: first the quality goes down, then every other frame goes."""
    for quality in _QUALITIES:
        data = _webp(frames, waits_ms, quality)
        if len(data) <= MAX_BYTES:
            return data
    assert len(frames) > 1, "a single small picture fits"
    pairs = range(0, len(frames) - 1, 2)
    waits = [sum(waits_ms[i : min(i + 2, len(frames) - 1)]) for i in pairs]
    return _encoded([*(frames[i] for i in pairs), frames[-1]], [*waits, waits_ms[-1]])


def _webp(frames: Sequence[ImageArray], waits_ms: Sequence[int], quality: int) -> bytes:
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in frames]
    animation.durations = list(waits_ms)
    _, data = cv2.imencodeanimation(".webp", animation, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return bytes(data)


def _labelled(shot: _Shot, caption: str, note: str) -> ImageArray:
    """The picture over two short lines: what it is of, and the step or how it ended."""
    height, width, _ = shot.picture.shape
    canvas = np.full((height + _BAR_PX, width, 3), _PAPER, np.uint8)
    canvas[:height] = shot.picture
    _write(canvas, caption, height + 12, _INK)
    _write(canvas, note or f"step {shot.step}", height + 25, _COLOURS.get(note, _INK))
    return canvas


def _write(canvas: ImageArray, text: str, baseline_px: int, colour: tuple[int, int, int]) -> None:
    cv2.putText(canvas, text, (5, baseline_px), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)


def _resized(picture: ImageArray, height_px: int) -> ImageArray:
    height, width, _ = picture.shape
    small = cv2.resize(picture, (round(width * height_px / height), height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
