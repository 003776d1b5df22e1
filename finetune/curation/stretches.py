"""Stretches of a video file, picture by picture, whatever their length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from magma_ros.episodes import video
from magma_ros.errors import CurationError
from magma_ros.types import ImageArray


@dataclass(frozen=True, slots=True)
class Stretch:
    """The pictures of a video from `start_s` on that are shown before `end_s` [s], in the order of their times."""

    path: Path
    start_s: float
    end_s: float

    def rate_hz(self) -> float:
        """Pictures per second, on average over the whole file.

        Raises:
            CurationError: it is no video, or does not say.
        """
        try:
            with av.open(str(self.path)) as container:
                rate = container.streams.video[0].average_rate if container.streams.video else None
        except (av.FFmpegError, OSError) as error:
            raise CurationError(f"{self.path}: expected a video: {error}") from error
        if not rate:
            raise CurationError(f"{self.path}: expected a video that says how many pictures it shows per second")
        return float(rate)

    def __iter__(self) -> Iterator[ImageArray]:
        """Pictures, (height, width, 3) RGB each, their sides even: an odd last row or column is left away.

        Raises:
            CurationError: the file cannot be read, or not up to the end of the stretch.
        """
        try:
            with av.open(str(self.path)) as container:
                stream: Any = container.streams.video[0]
                container.seek(int(self.start_s / stream.time_base), stream=stream)
                for frame in container.decode(stream):
                    if frame.time is None or frame.time < self.start_s:
                        continue
                    if frame.time >= self.end_s:
                        return
                    yield _even(video.pixels(frame))
        except (av.FFmpegError, OSError) as error:
            raise CurationError(f"{self.path}: cannot be decoded: {error}") from error


def _even(picture: ImageArray) -> ImageArray:
    height, width = (side - side % 2 for side in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width])
