"""What is annotated: the pictures of recorded episodes, or the clips of a curation, each with a text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.episodes import EpisodeDataset, holds_episodes
from magma_ros.errors import AnnotationError, CurationError
from magma_ros.finetune.curation.curate import MANIFEST_NAME
from magma_ros.finetune.curation.stretches import Stretch
from magma_ros.finetune.line_log import SETTINGS_NAME, read_lines
from magma_ros.finetune.tracks import VideoArray
from magma_ros.json_files import read_object
from magma_ros.types import ImageArray


@dataclass(frozen=True, slots=True)
class Clip:
    """A film that is not read yet; it goes to other processes, so it pickles.

    Attributes:
        name: Tells it from the others; a path without a root.
        origin: Where it is from, as plain values for its records.
    """

    name: str
    origin: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class EpisodeClip(Clip):
    """What one camera saw in one episode of `folder`."""

    folder: Path
    episode: int
    camera: str

    def read(self) -> tuple[str, Iterator[ImageArray]]:
        """Instruction and pictures.

        Raises:
            EpisodeError: it cannot be read.
        """
        episode = _dataset(self.folder).read(self.episode, cameras=(self.camera,))
        return episode.instruction, iter(episode.images[self.camera])


@dataclass(frozen=True, slots=True)
class FileClip(Clip):
    """A video file with its text."""

    path: Path
    text: str

    def read(self) -> tuple[str, Iterator[ImageArray]]:
        """Text and pictures, which are decoded one by one.

        Raises:
            CurationError: while the pictures are read: the file cannot be decoded.
        """
        return self.text, iter(Stretch(self.path, 0.0, float("inf")))


AnyClip = EpisodeClip | FileClip


def find_clips(folder: Path, *, cameras: tuple[str, ...] = ()) -> tuple[AnyClip, ...]:
    """The clips in `folder`, which holds episodes or what a curation left.

    Args:
        folder: The dataset, or the output of `magma-ros data curate`.
        cameras: Of episodes, which ones; all when none is named.

    Raises:
        AnnotationError: it holds neither, the curation is not finished, or there is no such camera.
        EpisodeError, CurationError: it cannot be read.
    """
    if holds_episodes(folder):
        return tuple(_episode_clips(folder, cameras))
    if (folder / MANIFEST_NAME).is_file():
        if cameras:
            raise AnnotationError(f"cameras: episodes have them, {folder} has curated clips")
        return tuple(_file_clips(folder))
    raise AnnotationError(
        f"{folder}: expected a dataset of episodes, or a folder with the {MANIFEST_NAME} of a curation"
    )


def in_windows(pictures: Iterable[ImageArray], *, window: int, step: int) -> Iterator[tuple[int, VideoArray]]:
    """Number of the first picture, and the pictures of each whole window of a film that is never held as a whole.

    Args:
        pictures: Of one size.
        window: Length of each [pictures]; what is left at the end and shorter is not handed out.
        step: From the beginning of one to that of the next [pictures].

    Raises:
        AnnotationError: pictures of different sizes.
    """
    held: deque[ImageArray] = deque()
    begin = 0
    for number, picture in enumerate(pictures):
        if number < begin:
            continue
        if held and held[0].shape != picture.shape:
            raise AnnotationError(f"picture {number}: expected {held[0].shape} as before, got {picture.shape}")
        held.append(picture)
        if len(held) == window:
            yield begin, np.stack(held)
            begin += step
            for _ in range(min(step, window)):
                held.popleft()


def _episode_clips(folder: Path, cameras: tuple[str, ...]) -> Iterator[EpisodeClip]:
    dataset = EpisodeDataset(folder)
    available = [camera.name for camera in dataset.contract.cameras]
    missing = [name for name in cameras if name not in available]
    if missing:
        raise AnnotationError(f"cameras: expected some of {available}, got {missing}")
    for episode in range(len(dataset)):
        for camera in cameras or available:
            origin = (("episodes", folder.name), ("episode", episode), ("camera", camera))
            yield EpisodeClip(f"episode_{episode:06d}/{camera}", origin, folder.absolute(), episode, camera)


def _file_clips(folder: Path) -> Iterator[FileClip]:
    lines = list(read_lines(folder / MANIFEST_NAME, error=CurationError))
    settings = read_object(folder / SETTINGS_NAME, error=CurationError)
    if len(lines) != settings.get("num_segments"):
        raise AnnotationError(
            f"{folder}: expected a finished curation, got {len(lines)} of {settings.get('num_segments')} segments"
        )
    for line in lines:
        for clip in line["clips"]:
            origin = (
                ("video", line["video"]),
                ("start_s", line["start"]),
                ("end_s", line["end"]),
                ("part", clip["part"]),
            )
            yield FileClip(clip["clip"].removesuffix(".mp4"), origin, (folder / clip["clip"]).absolute(), line["text"])


@lru_cache(maxsize=1)
def _dataset(folder: Path) -> EpisodeDataset:
    return EpisodeDataset(folder)
