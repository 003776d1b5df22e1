"""`info.json` and `stats.json`: what they say, and when the statistics are made anew from the rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magma_ros.episodes import summary
from magma_ros.errors import EpisodeError
from tests.episodes.folders import write
from tests.examples import make_episode

FEATURE = {"dtype": "float64", "shape": [2], "names": None}


def info_of(
    folder: Path, *, last: dict[str, Any] | None, dtype: str = "float64", rate_hz: float = 5.0
) -> dict[str, Any]:
    """What is written."""
    (folder / "meta").mkdir(exist_ok=True)
    features: Any = {"state": {**FEATURE, "dtype": dtype}}
    summary.write_info(folder, features=features, rate_hz=rate_hz, robot_type="toy", num_tasks=3, last=last)
    document: dict[str, Any] = json.loads((folder / "meta/info.json").read_text(encoding="utf-8"))
    return document


def test_info_counts_up_to_the_last_episode(tmp_path: Path) -> None:
    """Episodes from its number, frames from where it ends; all of them are for training."""
    found = info_of(tmp_path, last={"episode_index": 4, "dataset_to_index": 123})
    assert {
        "total_episodes": 5,
        "total_frames": 123,
        "total_tasks": 3,
        "splits": {"train": "0:5"},
    }.items() <= found.items()
    assert {"codebase_version": "v3.0", "robot_type": "toy", "chunks_size": 1000}.items() <= found.items()
    assert ({"state": FEATURE}, None) == (found["features"], found["video_path"])
    assert "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet" == found["data_path"]


def test_info_of_a_dataset_without_episodes_counts_nothing(tmp_path: Path) -> None:
    """And a film has a place as soon as there is a feature for it."""
    found = info_of(tmp_path, last=None, dtype="video")
    assert (0, 0, {"train": "0:0"}) == (found["total_episodes"], found["total_frames"], found["splits"])
    assert "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4" == found["video_path"]


def test_whole_rates_are_whole_numbers(tmp_path: Path) -> None:
    """As LeRobot writes them; others stay as they are."""
    assert '"fps": 5,' in json.dumps(info_of(tmp_path, last=None))
    assert 7.5 == info_of(tmp_path, last=None, rate_hz=7.5)["fps"]


def test_statistics_of_two_episodes_are_those_of_their_steps() -> None:
    """One step of 1, then three of mean 5 and deviation 2: mean 4, deviation the root of 6, worked out by hand."""
    quantiles = ("q01", "q10", "q50", "q90", "q99")

    def record(count: int, mean: float, std: float, low: float, high: float) -> dict[str, Any]:
        values = {"min": [low], "max": [high], "mean": [mean], "std": [std], "count": [count]}
        values |= {key: [mean] for key in quantiles}
        return {"episode_index": 0, **{f"stats/arm/state/{key}": value for key, value in values.items()}}

    first = summary.folded_with({}, record(1, 1.0, 0.0, 1.0, 1.0))
    assert ["arm/state"] == list(first)
    both = summary.folded_with(first, record(3, 5.0, 2.0, 3.0, 8.0))["arm/state"]
    shown = {key: float(both[key][0]) for key in ("min", "max", "mean", "std", "count", "q50")}
    assert {"min": 1.0, "max": 8.0, "mean": 4.0, "std": pytest.approx(6.0**0.5), "count": 4.0, "q50": 4.0} == shown


def test_statistics_are_read_where_they_know_every_frame_and_made_anew_otherwise(tmp_path: Path) -> None:
    """A file that is behind, or lost, is no loss: the rows of the episodes have it all."""
    write(tmp_path, make_episode(4, seed=1), make_episode(3, seed=2))
    written = summary.read_stats(tmp_path, num_frames=7)
    path = tmp_path / "meta/stats.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "action": {"mean": [42.0]}}))
    assert [42.0] == summary.read_stats(tmp_path, num_frames=7)["action"]["mean"].tolist()
    told["index"]["count"] = [4]
    for behind in (json.dumps({**told, "action": {"mean": [42.0]}}), None):
        path.unlink()
        if behind is not None:
            path.write_text(behind)
        anew = summary.read_stats(tmp_path, num_frames=7)
        assert set(written) == set(anew)
        assert [7] == anew["index"]["count"].tolist()
        np.testing.assert_allclose(written["action"]["mean"], anew["action"]["mean"], rtol=1e-12)


def test_statistics_of_no_episodes_are_none(tmp_path: Path) -> None:
    """There is nothing to fold."""
    assert {} == summary.read_stats(tmp_path, num_frames=0)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"index": {"count": []}}', '{"index": 3}'])
def test_statistics_that_cannot_be_read_are_refused_by_name(tmp_path: Path, text: str) -> None:
    """Another document than the writer's is damage, and nobody guesses what it meant."""
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/stats.json").write_text(text)
    with pytest.raises(EpisodeError, match=r"stats\.json: "):
        summary.read_stats(tmp_path, num_frames=0)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """To the bit of every number, and as JSON that a person can read."""
    given = {"index": {"count": np.array([3])}, "state": {"mean": np.array([0.1, -1e-300, 1 / 3])}}
    (tmp_path / "meta").mkdir()
    summary.write_stats(tmp_path, given)
    found = summary.read_stats(tmp_path, num_frames=3)
    assert given["state"]["mean"].tobytes() == found["state"]["mean"].tobytes()
    assert (tmp_path / "meta/stats.json").read_text().startswith('{\n  "index": {\n    "count": [\n      3\n')
