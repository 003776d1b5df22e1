"""What episodes a LeRobot dataset has and where each one is: version 3.0, and the older 2.0 and 2.1."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.episodes import tables
from magma_ros.episodes.layout import (
    CHUNK_FILES,
    DATA_PATH,
    INFO,
    OLD_DATA_PATH,
    OLD_VIDEO_PATH,
    TASKS,
    VERSION,
    VIDEO_PATH,
    FileIndex,
)
from magma_ros.errors import EpisodeError
from magma_ros.json_files import read_object

OLD_VERSIONS = ("v2.1", "v2.0")
_PATHS = {VERSION: (DATA_PATH, VIDEO_PATH), **dict.fromkeys(OLD_VERSIONS, (OLD_DATA_PATH, OLD_VIDEO_PATH))}
_MAX_LINES_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as `info.json` describes it; `names` of its numbers, without the groups that some datasets have."""

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RawRow:
    """Where an episode is.

    Attributes:
        index: Its number.
        length: Its steps.
        data: The file of its numbers.
        first_row: Its first row in `data`.
        videos: Feature → the file of its pictures, and when they begin there [s].
        record: What else the dataset's own table says of it; version 3.0 only.
    """

    index: int
    length: int
    data: Path
    first_row: int
    videos: Mapping[str, tuple[Path, float]]
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What `meta/` says of a dataset; `info` is its `info.json`."""

    version: str
    fps: float
    features: Mapping[str, Feature]
    tasks: tuple[str, ...]
    rows: tuple[RawRow, ...]
    info: Mapping[str, Any]


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """What libraries raise over a missing, damaged or unwritable file becomes an `EpisodeError` that names `path`."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException, av.FFmpegError) as error:
        raise EpisodeError(f"{path}: cannot be used: {error}") from error


def read_catalogue(folder: Path) -> Catalogue:
    """What `meta/` of the dataset in `folder` says.

    Raises:
        EpisodeError: it is no dataset of a known version, or contradicts itself.
    """
    info = read_object(folder / INFO, error=EpisodeError)
    with damage(folder / INFO):
        version, fps = str(info["codebase_version"]), float(info["fps"])
        features = {str(name): _feature(feature) for name, feature in info["features"].items()}
    if version not in _PATHS:
        raise EpisodeError(f"{folder}: expected a LeRobot dataset of version {', '.join(_PATHS)}, got {version}")
    videos = [name for name, feature in features.items() if feature.dtype == "video"]
    _require_known(folder, info, features, _PATHS[version], has_videos=bool(videos))
    if not 0 < fps < 1e6:
        raise EpisodeError(f"{folder}: expected a rate above zero, got {fps}")
    with damage(folder / "meta"):
        if version == VERSION:
            tasks = tables.read_tasks(folder / TASKS) if (folder / TASKS).exists() else ()
            rows = tuple(_rows(folder, videos))
        else:
            tasks = tuple(_old_tasks(folder))
            rows = tuple(_old_rows(folder, videos, int(info.get("chunks_size", CHUNK_FILES))))
    numbers = [row.index for row in rows]
    if numbers != list(range(len(rows))):
        raise EpisodeError(f"{folder}: expected episodes numbered from 0 without a gap, got {numbers[:5]} …")
    return Catalogue(version, fps, MappingProxyType(features), tasks, rows, MappingProxyType(info))


def episode_files(folder: Path) -> list[Path]:
    """The tables of the episodes, version 3.0, in order."""
    return sorted((folder / "meta" / "episodes").glob("chunk-*/file-*.parquet"))


def file_of(record: Mapping[str, Any], kind: str) -> FileIndex:
    """Where an episode's `data`, `videos/…` or `meta/episodes` are, by its record."""
    return FileIndex(int(record[f"{kind}/chunk_index"]), int(record[f"{kind}/file_index"]))


def _rows(folder: Path, videos: Sequence[str]) -> Iterator[RawRow]:
    first_index: dict[FileIndex, int] = {}
    for path in episode_files(folder):
        names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
        for record in tables.read(path, columns=names).to_pylist():
            data, begin = file_of(record, "data"), int(record["dataset_from_index"])
            yield RawRow(
                index=int(record["episode_index"]),
                length=_length(record["length"]),
                data=folder / data.path(DATA_PATH),
                first_row=begin - first_index.setdefault(data, begin),
                videos={name: _video(folder, record, name) for name in videos},
                record=MappingProxyType(record),
            )


def _video(folder: Path, record: Mapping[str, Any], name: str) -> tuple[Path, float]:
    path = file_of(record, f"videos/{name}").path(VIDEO_PATH, video_key=name)
    return folder / path, float(record[f"videos/{name}/from_timestamp"])


def _old_tasks(folder: Path) -> list[str]:
    lines = list(_json_lines(folder / "meta/tasks.jsonl"))
    numbered = {int(line["task_index"]): str(line["task"]) for line in lines}
    if sorted(numbered) != list(range(len(lines))):
        raise EpisodeError(f"{folder}: expected tasks numbered from 0, got {sorted(numbered)[:5]}")
    return [numbered[number] for number in range(len(lines))]


def _old_rows(folder: Path, videos: Sequence[str], chunk_size: int) -> Iterator[RawRow]:
    for line in _json_lines(folder / "meta/episodes.jsonl"):
        place = {"episode_index": int(line["episode_index"]), "episode_chunk": int(line["episode_index"]) // chunk_size}
        yield RawRow(
            index=place["episode_index"],
            length=_length(line["length"]),
            data=folder / OLD_DATA_PATH.format(**place),
            first_row=0,
            videos={name: (folder / OLD_VIDEO_PATH.format(**place, video_key=name), 0.0) for name in videos},
            record=MappingProxyType({}),
        )


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.stat().st_size > _MAX_LINES_BYTES:
        raise EpisodeError(f"{path}: expected at most {_MAX_LINES_BYTES} bytes")
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _feature(feature: Mapping[str, Any]) -> Feature:
    names = feature.get("names")
    flat = None if names is None else tuple(_flat(names))
    return Feature(str(feature["dtype"]), tuple(int(side) for side in feature["shape"]), flat)


def _flat(names: Any) -> Iterator[str]:
    """Names as they are, or out of the groups ("motors": […]) that some datasets have."""
    if isinstance(names, Mapping):
        names = [name if isinstance(group, int) else group for name, group in names.items()]
    for name in names:
        if isinstance(name, str):
            yield name
        else:
            yield from _flat(name)


def _length(value: Any) -> int:
    if int(value) < 1:
        raise ValueError(f"expected episodes of at least one step, got {value}")
    return int(value)


def _require_known(
    folder: Path, info: Mapping[str, Any], features: Mapping[str, Feature], paths: tuple[str, str], *, has_videos: bool
) -> None:
    """Refuse other file names than LeRobot's own: a template from outside could lead anywhere."""
    given = (info.get("data_path"), info.get("video_path") if has_videos else paths[1])
    if given != paths:
        raise EpisodeError(f"{folder}: expected the data_path and video_path {paths}, got {given}")
    strange = [name for name in features if "/" in name or name.startswith(".")]
    if strange:
        raise EpisodeError(f"{folder}: expected names of features without a slash, got {strange}")
