"""What `meta/` says of a dataset: versions, features, sentences and places; contradictions are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from magma_ros.episodes.catalogue import Catalogue, damage, episode_files, file_of, read_catalogue
from magma_ros.errors import EpisodeError

DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
STATE = {"dtype": "float32", "shape": [2], "names": ["x", "y"]}
FILM = {"dtype": "video", "shape": [8, 8, 3]}


def described(
    folder: Path,
    *,
    episodes: list[dict[str, Any]] | None = None,
    tasks: list[tuple[int, str]] | None = None,
    **info: Any,
) -> Catalogue:
    """The catalogue of a dataset of version 2.1 that has nothing but its description; two episodes unless said."""
    (folder / "meta").mkdir()
    told = {"codebase_version": "v2.1", "fps": 10, "data_path": DATA, "video_path": VIDEO, "features": {"state": STATE}}
    (folder / "meta/info.json").write_text(json.dumps({**told, **info}))
    listed = [{"episode_index": i, "length": 3 + i} for i in range(2)] if episodes is None else episodes
    numbered = [{"task_index": i, "task": task} for i, task in (tasks or [(0, "fold")])]
    for name, lines in (("episodes", listed), ("tasks", numbered)):
        (folder / f"meta/{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n\n" for line in lines))
    return read_catalogue(folder)


def test_an_older_dataset_has_a_file_of_its_own_for_every_episode(tmp_path: Path) -> None:
    """In folders of as many episodes as it says; each begins with its file. Empty lines between are no episodes."""
    found = described(tmp_path, chunks_size=1, features={"state": STATE, "top": FILM})
    assert ("v2.1", 10.0, ("fold",)) == (found.version, found.fps, found.tasks)
    assert [(0, 3, 0), (1, 4, 0)] == [(row.index, row.length, row.first_row) for row in found.rows]
    second = found.rows[1]
    assert tmp_path / "data/chunk-001/episode_000001.parquet" == second.data
    assert {"top": (tmp_path / "videos/chunk-001/top/episode_000001.mp4", 0.0)} == dict(second.videos)
    assert {} == dict(second.record)


def test_folders_hold_a_thousand_episodes_unless_said_otherwise(tmp_path: Path) -> None:
    """The 1000th is the last of the first folder."""
    found = described(tmp_path, episodes=[{"episode_index": i, "length": 1} for i in range(1001)])
    assert "data/chunk-000/episode_000999.parquet" == str(found.rows[999].data.relative_to(tmp_path))
    assert "data/chunk-001/episode_001000.parquet" == str(found.rows[1000].data.relative_to(tmp_path))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, None),
        (["x", "y"], ("x", "y")),
        ({"motors": ["x", "y"]}, ("x", "y")),
        ({"left": ["x"], "right": ["y"]}, ("x", "y")),
        ({"x": 0, "y": 1}, ("x", "y")),
        ([["x"], {"hand": ["y"]}], ("x", "y")),
    ],
)
def test_names_of_numbers_are_taken_out_of_their_groups(
    tmp_path: Path, names: Any, expected: tuple[str, ...] | None
) -> None:
    """Lists, groups, numbered names and groups within lists, as datasets of others have them."""
    feature = described(tmp_path, features={"state": {**STATE, "names": names}}).features["state"]
    assert ("float32", (2,), expected) == (feature.dtype, feature.shape, feature.names)


def test_sentences_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """However the lines are ordered."""
    assert ("fold", "stack") == described(tmp_path, tasks=[(1, "stack"), (0, "fold")]).tasks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fps": 1e6}, r"expected a rate above zero, got 1000000\.0$"),
        ({"features": [STATE]}, r"info\.json: cannot be used: 'list' object has no attribute 'items'$"),
        ({"features": {"state": 3}}, r"info\.json: cannot be used: 'int' object has no attribute 'get'$"),
        ({"fps": -1}, r"expected a rate above zero, got -1\.0$"),
        ({"features": {".git": STATE}}, r"names of features without a slash, got \['\.git'\]$"),
        ({"features": {"top": FILM}, "video_path": None}, "expected the data_path and video_path"),
        ({"tasks": [(0, "fold"), (2, "stack")]}, r"expected tasks numbered from 0, got \[0, 2\]$"),
        ({"tasks": [(0, "fold"), (0, "stack")]}, r"expected tasks numbered from 0, got \[0\]$"),
        ({"episodes": [{"episode_index": 1, "length": 2}]}, r"numbered from 0 without a gap, got \[1\] …$"),
        ({"episodes": [{"episode_index": 0, "length": 0}]}, "expected episodes of at least one step, got 0$"),
        ({"episodes": [{"length": 2}]}, "meta: cannot be used: 'episode_index'$"),
    ],
)
def test_descriptions_that_contradict_themselves_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """With the folder and what is wrong."""
    with pytest.raises(EpisodeError, match=f"^{tmp_path}.*{message}"):
        described(tmp_path, **changes)


def test_a_dataset_without_films_needs_no_place_for_them(tmp_path: Path) -> None:
    """Its `video_path` may be anything, since it leads nowhere."""
    assert 2 == len(described(tmp_path, video_path=None).rows)


def test_damage_is_told_with_the_file_and_other_faults_pass(tmp_path: Path) -> None:
    """What a library raises over a file becomes our error, with its cause; an error of ours stays as it is."""
    for fault in (
        OSError("gone"),
        ValueError("cut"),
        KeyError("a"),
        TypeError("b"),
        IndexError("c"),
        AttributeError("d"),
    ):
        with (
            pytest.raises(EpisodeError, match=r"table\.parquet: cannot be used: ") as caught,
            damage(tmp_path / "table.parquet"),
        ):
            raise fault
        assert fault is caught.value.__cause__
    ours = EpisodeError("as it is")
    with pytest.raises(EpisodeError, match=r"^as it is$"), damage(tmp_path):
        raise ours


def test_tables_of_episodes_are_read_in_order(tmp_path: Path) -> None:
    """By folder, then by file; other files are none."""
    names = [
        "chunk-001/file-000.parquet",
        "chunk-000/file-010.parquet",
        "chunk-000/file-002.parquet",
        "chunk-000/x.txt",
    ]
    for name in names:
        path = tmp_path / "meta/episodes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [str(path.relative_to(tmp_path / "meta/episodes")) for path in episode_files(tmp_path)]
    assert ["chunk-000/file-002.parquet", "chunk-000/file-010.parquet", "chunk-001/file-000.parquet"] == found
    assert (3, 7) == tuple(file_of({"data/chunk_index": "3", "data/file_index": 7.0}, "data"))
