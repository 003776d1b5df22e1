"""`info.json` and `stats.json`: how much a dataset holds and of what size; both can be made from its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magma_ros.episodes import stats, tables
from magma_ros.episodes.catalogue import damage, episode_files
from magma_ros.episodes.features import Features, lerobot_fps
from magma_ros.episodes.layout import CHUNK_FILES, DATA_PATH, FILE_MB, INFO, STATS, VERSION, VIDEO_PATH
from magma_ros.episodes.stats import FeatureStats
from magma_ros.errors import EpisodeError
from magma_ros.json_files import read_object
from magma_ros.whole_files import replacing

Stats = Mapping[str, FeatureStats]
"""Feature → its statistics."""


def write_info(
    folder: Path, *, features: Features, rate_hz: float, robot_type: str, num_tasks: int, last: Mapping[str, Any] | None
) -> None:
    """Write `info.json` of a dataset whose last episode has the record `last`."""
    num_episodes = 0 if last is None else int(last["episode_index"]) + 1
    has_videos = any(feature["dtype"] == "video" for feature in features.values())
    document = {
        "codebase_version": VERSION,
        "robot_type": robot_type,
        "total_episodes": num_episodes,
        "total_frames": 0 if last is None else int(last["dataset_to_index"]),
        "total_tasks": num_tasks,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": FILE_MB,
        "video_files_size_in_mb": FILE_MB,
        "fps": lerobot_fps(rate_hz),
        "splits": {"train": f"0:{num_episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if has_videos else None,
        "features": features,
    }
    write_json(folder / INFO, document)


def write_stats(folder: Path, of_features: Stats) -> None:
    """Write `stats.json`."""
    plain = {name: {key: value.tolist() for key, value in of.items()} for name, of in of_features.items()}
    write_json(folder / STATS, plain)


def read_stats(folder: Path, *, num_frames: int) -> Stats:
    """Those in `stats.json`; from the rows where it does not know all of `num_frames`, since a writer was killed.

    Raises:
        EpisodeError: what there is cannot be read.
    """
    if (folder / STATS).exists():
        document = read_object(folder / STATS, error=EpisodeError)
        with damage(folder / STATS):
            known = {name: {key: np.array(value) for key, value in of.items()} for name, of in document.items()}
            if int(known["index"]["count"][0]) == num_frames:
                return known
    folded: Stats = {}
    for path in episode_files(folder):
        with damage(path):
            for record in tables.read(path).to_pylist():
                folded = folded_with(folded, record)
    return folded


def folded_with(known: Stats, record: Mapping[str, Any]) -> Stats:
    """`known`, with those of the episode of `record`."""
    added: dict[str, dict[str, NDArray[Any]]] = {}
    for name, value in record.items():
        if name.startswith("stats/"):
            feature, key = name.removeprefix("stats/").rsplit("/", 1)
            added.setdefault(feature, {})[key] = np.array(value)
    return {name: stats.merged(known[name], of) if known else of for name, of in added.items()}


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write `document`, readable, in one step."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
