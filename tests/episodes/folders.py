"""Datasets of a few small episodes, how two episodes are compared, and processes that are killed while they write."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros import whole_files
from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter, Pictures
from tests.examples import CONTRACT, make_episode


def write(folder: Path, *episodes: Episode, pictures: Pictures = "png") -> EpisodeDataset:
    """The dataset in `folder`, begun or gone on with."""
    with EpisodeWriter(folder, contract=CONTRACT, source={"made_by": "test"}, pictures=pictures) as writer:
        for episode in episodes:
            writer.append(episode)
    return EpisodeDataset(folder)


def assert_same(expected: Episode, actual: Episode, *, picture_error: int = 0) -> None:
    """Equal to the bit and the type; pictures within `picture_error` levels."""
    for field in dataclasses.fields(Episode):
        wanted, got = getattr(expected, field.name), getattr(actual, field.name)
        if field.name == "images":
            assert set(wanted) == set(got)
            for name in wanted:
                assert (wanted[name].dtype, wanted[name].shape) == (got[name].dtype, got[name].shape)
                assert np.abs(wanted[name].astype(int) - got[name]).max() <= picture_error
        elif isinstance(wanted, np.ndarray):
            assert (wanted.dtype, wanted.shape, wanted.tobytes()) == (got.dtype, got.shape, got.tobytes())
        else:
            assert (type(wanted), wanted) == (type(got), got)


def numbered_episode(number: int, **changes: Any) -> Episode:
    """Episode `number` of a row of different ones: its own length, sentence and numbers, of grey pictures."""
    length = 2 + number % 4
    levels = np.linspace(40 + 20 * (number % 8), 60 + 20 * (number % 8), length).astype(np.uint8)
    pictures = np.broadcast_to(levels[:, None, None, None], (length, 16, 32, 3))
    values = {"images": {"image": pictures}, "instruction": f"task {number % 3}", "success": number % 2 == 0}
    return make_episode(length, seed=number, **{**values, **changes})


def append_until_killed(folder: Path, pictures: Pictures, done: Connection) -> None:
    """As a process of its own: go on with the dataset, saying each number once it is written."""
    with EpisodeWriter(folder, contract=CONTRACT, source={}, pictures=pictures) as writer:
        for number in count(len(writer)):
            done.send(writer.append(numbered_episode(number)))


def append_and_die(folder: Path, pictures: Pictures, at_sync: int) -> None:
    """As a process of its own: begin or go on, append one episode, and be killed at the given sync.

    Each sync stands for the moment before it (the file is cut in half) or, where it is a folder's, behind a rename.
    """
    syncs: Iterator[int] = count()
    sync = whole_files._sync

    def die(path: Path) -> None:
        if next(syncs) == at_sync:
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        sync(path)

    whole_files._sync = die
    with EpisodeWriter(folder, contract=CONTRACT, source={}, pictures=pictures) as writer:
        writer.append(numbered_episode(len(writer)))
