import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from magma_ros.episodes import RawDataset
from magma_ros.errors import EpisodeError
from magma_ros.finetune.exporters.lerobot_v21 import export_v21
from tests.examples import make_episode
from tests.finetune.exporters.round_trips import written


@pytest.fixture
def exported(tmp_path):
    """Two episodes of different tasks, and the same as v2.1."""
    episodes = [make_episode(4, seed=1), make_episode(3, seed=2, instruction="stack")]
    dataset = written(tmp_path / "in", episodes)
    assert 7 == export_v21(dataset.folder, tmp_path / "out")
    return dataset.folder, tmp_path / "out"


def test_every_column_and_picture_is_the_same_in_the_older_layout(exported):
    """Read back as v2.1, each episode has what it had as v3.0, to the bit."""
    new, old = (RawDataset(folder) for folder in exported)
    assert ("v3.0", "v2.1") == (new.version, old.version)
    assert (new.fps, new.tasks, dict(new.features)) == (old.fps, old.tasks, dict(old.features))
    assert len(new) == len(old) == 2
    for index in range(2):
        first, second = new.read(index), old.read(index)
        assert first.instructions == second.instructions
        assert set(first.columns) == set(second.columns)
        for name, values in first.columns.items():
            np.testing.assert_array_equal(values, second.columns[name])
        for name, pictures in first.pictures.items():
            np.testing.assert_array_equal(pictures, second.pictures[name])


def test_the_files_are_those_of_the_layout(exported):
    """One Parquet file an episode, lines of JSON about tasks, episodes and statistics."""
    folder = exported[1]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    meta = {f"meta/{name}" for name in ("info.json", "tasks.jsonl", "episodes.jsonl", "episodes_stats.jsonl")}
    assert meta | {f"data/chunk-000/episode_00000{index}.parquet" for index in range(2)} == names
    info = json.loads((folder / "meta/info.json").read_text())
    assert ("v2.1", 2, 7, 2) == tuple(
        info[k] for k in ("codebase_version", "total_episodes", "total_frames", "total_tasks")
    )
    lines = [json.loads(line) for line in (folder / "meta/episodes.jsonl").read_text().splitlines()]
    assert {"episode_index": 1, "tasks": ["stack"], "length": 3} == lines[1]


def test_statistics_are_those_of_the_episode(exported):
    """By column, and by channel of the pictures as shares of white."""
    folder = exported[1]
    stats = json.loads((folder / "meta/episodes_stats.jsonl").read_text().splitlines()[0])["stats"]
    original = make_episode(4, seed=1)
    np.testing.assert_allclose(original.actions.mean(axis=0), stats["action"]["mean"])
    np.testing.assert_allclose(original.actions.std(axis=0), stats["action"]["std"])
    shown = original.images["image"].max(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(shown, np.ravel(stats["observation.images.image"]["max"]))
    assert [4] == stats["action"]["count"]


def test_the_parquet_files_tell_the_datasets_library_what_they_hold(exported):
    """Pictures are pictures, not structs."""
    schema = pq.read_schema(exported[1] / "data/chunk-000/episode_000000.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert {"_type": "Image"} == features["observation.images.image"]
    assert 7 == features["action"]["length"]


def test_nothing_is_written_over(exported):
    """A folder that holds something is refused."""
    with pytest.raises(EpisodeError, match="new or empty"):
        export_v21(*exported)
