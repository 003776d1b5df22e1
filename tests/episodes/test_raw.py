"""Other people's LeRobot datasets, of version 3.0 and older."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magma_ros.episodes import RawDataset, video
from magma_ros.episodes.features import to_png
from magma_ros.errors import EpisodeError
from tests.episodes.folders import write
from tests.examples import make_episode

SENTENCES = ("fold the towel", "open the drawer")
LENGTHS = (3, 5, 2)
FEATURES: dict[str, Any] = {
    "observation.images.top": {"dtype": "video", "shape": [3, 32, 48], "names": ["channels", "height", "width"]},
    "observation.images.side": {"dtype": "image", "shape": [8, 8, 3], "names": ["height", "width", "channels"]},
    "observation.state": {"dtype": "float32", "shape": [2], "names": {"motors": ["shoulder", "elbow"]}},
    "pose": {"dtype": "float64", "shape": [2, 2], "names": None},
    "note": {"dtype": "string", "shape": [1], "names": None},
    **{
        name: {"dtype": "int64", "shape": [1], "names": None} for name in ("frame_index", "episode_index", "task_index")
    },
}


def pictures_of(number: int, side: int) -> np.ndarray:
    levels = (20 * number + np.arange(LENGTHS[number]) * 10).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(levels[:, None, None, None], (len(levels), side, side, 3)))


def rows_of(number: int) -> dict[str, Any]:
    steps = np.arange(LENGTHS[number])
    files = [{"bytes": to_png(picture), "path": f"{step}.png"} for step, picture in enumerate(pictures_of(number, 8))]
    return {
        "observation.images.side": files,
        "observation.state": [[float(number), float(step)] for step in steps],
        "pose": [[[number, step], [0.5, -0.0]] for step in steps],
        "note": [f"step {step}" for step in steps],
        "frame_index": steps.tolist(),
        "episode_index": [number] * len(steps),
        "task_index": [number % 2] * len(steps),
    }


def table_of(*numbers: int) -> pa.Table:
    rows = [rows_of(number) for number in numbers]
    table = pa.table({name: [value for row in rows for value in row[name]] for name in rows[0]})
    place = table.column_names.index("observation.state")
    return table.set_column(place, "observation.state", table["observation.state"].cast(pa.list_(pa.float32())))


def write_info(folder: Path, **changes: Any) -> None:
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    info = {"fps": 10, "chunks_size": 2, "features": FEATURES, **changes}
    (folder / "meta/info.json").write_text(json.dumps(info))


def write_old(folder: Path, **changes: Any) -> Path:
    """Version 2.1: a table and a video per episode, two episodes to a folder, and lists in JSON lines."""
    paths = {
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    write_info(folder, **{"codebase_version": "v2.1", **paths, **changes})
    lines = {
        "tasks": [{"task_index": number, "task": sentence} for number, sentence in enumerate(SENTENCES)],
        "episodes": [{"episode_index": number, "tasks": [], "length": n} for number, n in enumerate(LENGTHS)],
    }
    for name, records in lines.items():
        (folder / f"meta/{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for number in range(len(LENGTHS)):
        place = {"episode_chunk": number // 2, "episode_index": number}
        data = folder / paths["data_path"].format(**place)
        clip = folder / paths["video_path"].format(**place, video_key="observation.images.top")
        for path in (data, clip):
            path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table_of(number), data)
        clip.write_bytes(video.encode(pictures_of(number, 32), rate_hz=10))
    return folder


def write_new(folder: Path) -> Path:
    """Version 3.0 as the converter of 2.1 writes it: all rows in one row group, the index of the tasks with a name."""
    paths = {
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }
    write_info(folder, codebase_version="v3.0", **paths)
    ends = np.cumsum(LENGTHS).tolist()
    data = {"data/chunk_index": [0] * 3, "data/file_index": [0] * 3}
    top = "videos/observation.images.top"
    rows = {
        "episode_index": [0, 1, 2],
        "length": LENGTHS,
        "dataset_from_index": [0, *ends[:-1]],
        "dataset_to_index": ends,
        **data,
        f"{top}/chunk_index": [0] * 3,
        f"{top}/file_index": [0] * 3,
        f"{top}/from_timestamp": [0.0, *(end / 10 for end in ends[:-1])],
        f"{top}/to_timestamp": [end / 10 for end in ends],
        "stats/note": [[1.0]] * 3,
    }
    files = {
        "meta/tasks.parquet": pa.table({"task_index": [1, 0], "task": SENTENCES[::-1]}),
        "meta/episodes/chunk-000/file-000.parquet": pa.table(rows),
        "data/chunk-000/file-000.parquet": table_of(0, 1, 2),
    }
    for name, table in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name)
    clip = folder / f"{top}/chunk-000/file-000.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(video.encode(np.concatenate([pictures_of(number, 32) for number in range(3)]), rate_hz=10))
    return folder


@pytest.mark.parametrize("write_foreign", [write_old, write_new])
def test_every_episode_is_read_under_its_own_names(tmp_path: Path, write_foreign: Any) -> None:
    """Numbers, text, pictures in the table and in videos, and the sentence of each step, of either version."""
    dataset = RawDataset(write_foreign(tmp_path))
    assert len(dataset) == 3
    assert (dataset.fps, dataset.tasks) == (10.0, SENTENCES)
    assert dataset.camera_keys == ("observation.images.top", "observation.images.side")
    assert dataset.features["observation.state"].names == ("shoulder", "elbow")
    for number, length in enumerate(LENGTHS):
        episode = dataset.read(number)
        state = episode.columns["observation.state"]
        assert (state.dtype, state.shape) == (np.float32, (length, 2))
        assert state.tolist() == [[number, step] for step in range(length)]
        assert episode.columns["pose"].shape == (length, 2, 2)
        assert episode.columns["pose"][1].tolist() == [[number, 1], [0.5, 0.0]]
        assert episode.columns["note"].tolist() == [f"step {step}" for step in range(length)]
        assert episode.instructions == (SENTENCES[number % 2],) * length
        np.testing.assert_array_equal(pictures_of(number, 8), episode.pictures["observation.images.side"])
        error = np.abs(pictures_of(number, 32).astype(int) - episode.pictures["observation.images.top"])
        assert error.max() <= 2


def test_our_own_datasets_are_read_too(tmp_path: Path) -> None:
    """Under LeRobot's names, with what else the table of episodes says."""
    write(tmp_path, make_episode(seed=5))
    dataset = RawDataset(tmp_path)
    episode = dataset.read(0)
    assert dataset.version == "v3.0"
    assert episode.record["magma_ros/seed"] == 5
    np.testing.assert_array_equal(make_episode(seed=5).actions, episode.columns["action"])
    names = dataset.features["observation.state"].names
    assert names is not None
    assert names[7:9] == ("gripper_opening", "joint_0_rad")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebase_version": "v1.6"}, "expected a LeRobot dataset of version v3.0, v2.1, v2.0, got v1.6"),
        ({"data_path": "../{episode_index}.parquet"}, "expected the data_path"),
        ({"fps": 0}, "above zero"),
        ({"features": {"a/../../b": FEATURES["note"]}}, "without a slash"),
        ({"features": {"a": {"dtype": "int64"}}}, "info.json: cannot be used"),
        ({"fps": "quick"}, "info.json: cannot be used"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """An unknown version, file names that lead elsewhere, and fields that are missing."""
    write_old(tmp_path, **changes)
    with pytest.raises(EpisodeError, match=message):
        RawDataset(tmp_path)


def test_lists_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """A line that is torn, and a number that is missing."""
    write_old(tmp_path)
    episodes = tmp_path / "meta/episodes.jsonl"
    lines = episodes.read_text().splitlines()
    episodes.write_text("\n".join(lines[1:]))
    with pytest.raises(EpisodeError, match="without a gap"):
        RawDataset(tmp_path)
    episodes.write_text("\n".join(lines)[:-5])
    with pytest.raises(EpisodeError, match="cannot be used"):
        RawDataset(tmp_path)


def test_pictures_that_lie_elsewhere_are_refused(tmp_path: Path) -> None:
    """A row that has the name of a picture in the place of the picture says so."""
    write_old(tmp_path)
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    rows = rows_of(0) | {"observation.images.side": [{"bytes": None, "path": "somewhere.png"}] * LENGTHS[0]}
    pq.write_table(pa.table(rows), path)
    with pytest.raises(EpisodeError, match="the name of another file"):
        RawDataset(tmp_path).read(0)


def test_a_column_with_holes_is_refused(tmp_path: Path) -> None:
    """A missing value is not a number that somebody measured."""
    write_old(tmp_path)
    rows = rows_of(0) | {"note": ["a", None, "b"]}
    pq.write_table(pa.table(rows), tmp_path / "data/chunk-000/episode_000000.parquet")
    with pytest.raises(EpisodeError, match="note: expected a value in every row, got 1 without"):
        RawDataset(tmp_path).read(0)
