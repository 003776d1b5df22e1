"""Our datasets in LeRobot's layout v2.1, which older tools read: a Parquet file, and MP4 files, for each episode."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.episodes import RawDataset, RawEpisode, stats, video
from magma_ros.episodes.features import to_table
from magma_ros.episodes.layout import CHUNK_FILES, OLD_DATA_PATH, OLD_VIDEO_PATH
from magma_ros.errors import EpisodeError

_STATS = ("min", "max", "mean", "std", "count")
"""Those of LeRobot's that this version has."""

Line = dict[str, Any]
"""One object of a file of JSON lines."""


def export_v21(folder: Path, output: Path, *, on_episode: Callable[[int], None] = lambda _: None) -> int:
    """Write the dataset in `folder` as v2.1 into `output`; gives the number of steps.

    Pictures in Parquet stay to the pixel; videos are decoded and encoded once more.

    Raises:
        EpisodeError: `output` holds something, cannot be written, or an episode is damaged.
    """
    dataset = RawDataset(folder)
    if output.exists() and any(output.iterdir()):
        raise EpisodeError(f"{output}: expected a folder that is new or empty")
    episodes: list[Line] = []
    of_episodes: list[Line] = []
    try:
        for index in range(len(dataset)):
            episode = dataset.read(index)
            _write_episode(output, index, episode, dataset)
            tasks = list(dict.fromkeys(episode.instructions))
            episodes.append({"episode_index": index, "tasks": tasks, "length": len(episode.instructions)})
            of_episodes.append({"episode_index": index, "stats": dict(_stats(episode))})
            on_episode(index + 1)
        tasks_by_number = [{"task_index": number, "task": task} for number, task in enumerate(dataset.tasks)]
        _write_lines(output / "meta/tasks.jsonl", tasks_by_number)
        _write_lines(output / "meta/episodes.jsonl", episodes)
        _write_lines(output / "meta/episodes_stats.jsonl", of_episodes)
        num_steps: int = sum(line["length"] for line in episodes)
        info = json.dumps(_info(dataset, num_steps), indent=2) + "\n"
        (output / "meta/info.json").write_text(info, encoding="utf-8")
    except OSError as error:
        raise EpisodeError(f"{output}: cannot be written: {error}") from error
    return num_steps


def _info(dataset: RawDataset, num_steps: int) -> dict[str, Any]:
    videos = _videos(dataset)
    return {
        "codebase_version": "v2.1",
        **{key: dataset.info[key] for key in ("robot_type", "fps", "features")},
        "total_episodes": len(dataset),
        "total_frames": num_steps,
        "total_tasks": len(dataset.tasks),
        "total_videos": len(videos) * len(dataset),
        "total_chunks": -(-len(dataset) // CHUNK_FILES),
        "chunks_size": CHUNK_FILES,
        "splits": {"train": f"0:{len(dataset)}"},
        "data_path": OLD_DATA_PATH,
        "video_path": OLD_VIDEO_PATH if videos else None,
    }


def _write_episode(output: Path, index: int, episode: RawEpisode, dataset: RawDataset) -> None:
    place = {"episode_chunk": index // CHUNK_FILES, "episode_index": index}
    for key in _videos(dataset):
        path = output / OLD_VIDEO_PATH.format(**place, video_key=key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(video.encode(episode.pictures[key], rate_hz=dataset.fps))
    table = to_table(episode.columns, episode.pictures, dict(dataset.info["features"]))
    path = output / OLD_DATA_PATH.format(**place)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(_with_old_types(table), path)


def _with_old_types(table: pa.Table) -> pa.Table:
    """Lists are called sequences by the versions of the `datasets` library that this layout is read with."""
    described = json.loads(table.schema.metadata[b"huggingface"])
    for feature in described["info"]["features"].values():
        if feature["_type"] == "List":
            feature["_type"] = "Sequence"
    return table.replace_schema_metadata({"huggingface": json.dumps(described)})


def _videos(dataset: RawDataset) -> list[str]:
    return [key for key in dataset.camera_keys if dataset.features[key].dtype == "video"]


def _stats(episode: RawEpisode) -> Iterator[tuple[str, dict[str, Any]]]:
    found = {key: stats.of_pictures(pictures) for key, pictures in episode.pictures.items()}
    found |= {key: stats.of_column(column) for key, column in episode.columns.items()}
    for key, of_feature in found.items():
        yield key, {name: of_feature[name].tolist() for name in _STATS}


def _write_lines(path: Path, lines: list[Line]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
