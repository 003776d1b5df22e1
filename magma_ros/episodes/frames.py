"""The frames of an episode at the end of the files of a LeRobot dataset.

Only the last file of a kind is ever written anew, and only while it is small, so an append copies `FILE_MB` at most.
What is there beyond the last episode's row was left by a writer that was killed, and is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from magma_ros.episodes import tables, video
from magma_ros.episodes.catalogue import damage, file_of
from magma_ros.episodes.layout import (
    CHUNK_FILES,
    DATA_PATH,
    EPISODES_PATH,
    FILE_MB,
    FIRST_FILE,
    ROWS_PER_FILE,
    VIDEO_PATH,
    FileIndex,
)
from magma_ros.types import ImageArray
from magma_ros.whole_files import replacing

_MAX_BYTES = FILE_MB * 2**20

Record = Mapping[str, Any]
"""A row of `meta/episodes`."""


def append_rows(folder: Path, table: pa.Table, *, last: Record | None) -> dict[str, int]:
    """Put `table` behind the rows of the episode `last`; gives the place as a record says it."""
    place, num_kept = FIRST_FILE, 0
    if last is not None:
        place = file_of(last, "data")
        path = folder / place.path(DATA_PATH)
        with damage(path):
            num_kept = int(last["dataset_to_index"]) - tables.first_value(path, "index")
            if path.stat().st_size + table.nbytes > _MAX_BYTES:
                place, num_kept = place.following(), 0
    path = folder / place.path(DATA_PATH)
    before: Iterator[pa.Table] = tables.row_groups(path, num_rows=num_kept) if num_kept else iter(())
    with replacing(path) as partial, damage(path):
        tables.write(partial, chain(before, [table]))
    return _place("data", place)


def append_video(
    folder: Path, pictures: ImageArray, *, name: str, rate_hz: float, last: Record | None
) -> dict[str, float]:
    """Put `pictures` of the feature `name` behind those of the episode `last`; gives the place as a record says it."""
    clip = video.encode(pictures, rate_hz=rate_hz)
    place, num_kept = FIRST_FILE, 0
    if last is not None:
        place, num_kept = file_of(last, f"videos/{name}"), round(last[f"videos/{name}/to_timestamp"] * rate_hz)
        path = folder / place.path(VIDEO_PATH, video_key=name)
        with damage(path):
            if path.stat().st_size + len(clip) > _MAX_BYTES or not video.can_follow(path, clip):
                place, num_kept = place.following(), 0
    path = folder / place.path(VIDEO_PATH, video_key=name)
    with replacing(path) as partial, damage(path):
        if num_kept:
            video.join(path, clip, partial, num_kept=num_kept, rate_hz=rate_hz)
        else:
            partial.write_bytes(clip)
    times = {"from_timestamp": num_kept / rate_hz, "to_timestamp": (num_kept + len(pictures)) / rate_hz}
    return _place(f"videos/{name}", place) | {f"videos/{name}/{key}": value for key, value in times.items()}


def commit(folder: Path, record: dict[str, Any]) -> None:
    """Put `record` behind the rows before it, in one step: from here on its episode is there."""
    number, row = divmod(record["episode_index"], ROWS_PER_FILE)
    place = FileIndex(*divmod(number, CHUNK_FILES))
    path = folder / place.path(EPISODES_PATH)
    with replacing(path) as partial, damage(path):
        present = [tables.read(path)] if row else []
        added = pa.Table.from_pylist([record | _place("meta/episodes", place)])
        tables.write(partial, iter([pa.concat_tables([*present, added])]))


def _place(kind: str, place: FileIndex) -> dict[str, Any]:
    return {f"{kind}/chunk_index": place.chunk, f"{kind}/file_index": place.file}
