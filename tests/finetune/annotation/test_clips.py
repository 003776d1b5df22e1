"""Film is cut into windows without being held."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes import EpisodeWriter
from magma_ros.errors import AnnotationError, EpisodeError
from magma_ros.finetune.annotation.clips import find_clips, in_windows
from magma_ros.types import ImageArray
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT


def numbered(count: int) -> Iterator[ImageArray]:
    """Pictures whose level is their number."""
    return (np.full((2, 3, 3), number, np.uint8) for number in range(count))


@pytest.mark.parametrize(
    ("count", "window", "step", "expected"),
    [
        (7, 3, 3, [[0, 1, 2], [3, 4, 5]]),
        (6, 4, 1, [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]),
        (9, 2, 5, [[0, 1], [5, 6]]),
        (2, 3, 1, []),
    ],
)
def test_windows_begin_every_so_many_pictures(count: int, window: int, step: int, expected: list[list[int]]) -> None:
    """Side by side, over each other or apart; what is left at the end is not handed out."""
    found = list(in_windows(numbered(count), window=window, step=step))
    assert [numbers[0] for numbers in expected] == [first for first, _ in found]
    assert expected == [frames[:, 0, 0, 0].tolist() for _, frames in found]


def test_no_more_than_a_window_is_held() -> None:
    """Of a long film at most a window of pictures is alive beside the one that is read."""
    alive: list[weakref.ref[ImageArray]] = []

    def watched() -> Iterator[ImageArray]:
        for picture in numbered(200):
            alive.append(weakref.ref(picture))
            yield picture

    for _ in in_windows(watched(), window=4, step=2):
        assert sum(one() is not None for one in alive) <= 6


def test_pictures_of_two_sizes_are_refused() -> None:
    """They can't be one film."""
    sizes = iter([np.zeros((2, 2, 3), np.uint8), np.zeros((4, 2, 3), np.uint8)])
    with pytest.raises(AnnotationError, match=r"picture 1: expected \(2, 2, 3\) as before, got \(4, 2, 3\)"):
        list(in_windows(sizes, window=2, step=1))


def test_a_clip_decodes_its_own_camera_alone(tmp_path: Path) -> None:
    """Another camera's damaged pictures are found by the clip of that camera, and by no other."""
    (camera,), episode = CONTRACT.cameras, invented_episode(0)
    contract = replace(CONTRACT, cameras=(camera, replace(camera, name="wrist")))
    with EpisodeWriter(tmp_path, contract=contract, source={}, pictures="video") as writer:
        writer.append(replace(episode, images={**episode.images, "wrist": episode.images["image"]}))
    for path in (tmp_path / "videos" / "observation.images.wrist").rglob("*.mp4"):
        path.write_bytes(b"torn")
    whole, torn = find_clips(tmp_path)
    text, pictures = whole.read()
    assert ("move with the light", 6) == (text, len(list(pictures)))
    with pytest.raises(EpisodeError, match="wrist"):
        torn.read()
