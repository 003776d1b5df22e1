"""Our files and those of the real library, file by file.

`golden/` was written by lerobot 0.4.4 from the example episodes (`tools/lerobot_check.py --golden`), so nothing here
needs the library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lerobot_check
import numpy as np
import pyarrow.parquet as pq
import pytest

from magma_ros.episodes import EpisodeDataset, EpisodeWriter, Pictures, RawDataset

GOLDEN = Path(__file__).with_name("golden")
TABLES = ("data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet")
KINDS: tuple[Pictures, ...] = ("png", "video")


@pytest.fixture(scope="module", params=KINDS)
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The examples as the library wrote them, and as we write them."""
    ours = tmp_path_factory.mktemp(f"ours_{request.param}")
    settings = {"contract": lerobot_check.CONTRACT, "source": {}, "pictures": request.param}
    with EpisodeWriter(ours, **settings) as writer:
        for episode in lerobot_check.example_episodes():
            writer.append(episode)
    return GOLDEN / request.param, ours


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_the_same_files_are_there(folders: tuple[Path, Path]) -> None:
    """File by file; only the description of what the numbers mean, and the lock, are ours."""
    theirs, ours = ({path.relative_to(f).as_posix() for path in f.rglob("*") if path.is_file()} for f in folders)
    assert ours - theirs == {"meta/magma_ros.json", "meta/.lock"}
    assert theirs <= ours


def test_info_says_the_same(folders: tuple[Path, Path]) -> None:
    """Every field, every feature, every name; but for the sizes of files and the codec, which are ours to choose."""
    theirs, ours = (read(folder / "meta/info.json") for folder in folders)
    assert theirs.keys() == ours.keys()
    chosen = ("data_files_size_in_mb", "video_files_size_in_mb", "features")
    assert {k: v for k, v in theirs.items() if k not in chosen} == {k: v for k, v in ours.items() if k not in chosen}
    assert theirs["features"].keys() == ours["features"].keys()
    for name, feature in theirs["features"].items():
        assert feature.pop("info", {}).keys() == ours["features"][name].pop("info", {}).keys()
        assert feature == ours["features"][name]


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_the_same_columns_of_the_same_types(folders: tuple[Path, Path], name: str) -> None:
    """As Arrow reads them: names, types down to the lists' lengths, and what `datasets` and pandas find beside them."""
    theirs, ours = (pq.read_schema(folder / name) for folder in folders)
    own = {field: str(ours.field(field).type) for field in ours.names if not field.startswith("magma_ros/")}
    types = {field: str(theirs.field(field).type) for field in theirs.names}
    assert {field: kind.replace("large_string", "string") for field, kind in types.items()} == own  # as of pandas 3
    for library, part in ((b"huggingface", "info"), (b"pandas", "index_columns")):
        wanted, got = (json.loads((schema.metadata or {}).get(library, b"{}")).get(part) for schema in (theirs, ours))
        assert wanted == got


def test_numbers_of_the_tables_are_the_same(folders: tuple[Path, Path]) -> None:
    """Row by row and to the bit, pictures aside; quantiles, which the library takes from a histogram, nearly."""
    for name in TABLES:
        theirs, ours = (pq.read_table(folder / name) for folder in folders)
        for column in theirs.column_names:
            if "images" in column or column == "__index_level_0__":
                continue
            wanted, got = theirs[column].to_pylist(), ours[column].to_pylist()
            if column.startswith("stats/"):
                is_quantile = column.rsplit("/", 1)[1].startswith("q")
                spread = np.ptp(np.array(ours[column.rsplit("/", 1)[0] + "/max"].to_pylist(), float)) + 1.0
                np.testing.assert_allclose(
                    np.array(wanted, float), np.array(got, float), atol=2 * spread if is_quantile else 1e-6, rtol=1e-6
                )
            else:
                assert wanted == got, column


def test_statistics_have_the_same_keys_and_shapes(folders: tuple[Path, Path]) -> None:
    """Feature by feature; counts, extremes and means agree, and deviations but for those of pictures.

    The library squares bytes as bytes, so its deviations of pictures are far too small; ours are the true ones.
    """
    theirs, ours = (read(folder / "meta/stats.json") for folder in folders)
    assert theirs.keys() == ours.keys()
    for feature, of_feature in theirs.items():
        assert of_feature.keys() == ours[feature].keys()
        for key, value in of_feature.items():
            wanted, got = np.array(value, float), np.array(ours[feature][key], float)
            assert wanted.shape == got.shape, (feature, key)
            if not key.startswith("q") and (key, "images" in feature) != ("std", True):
                np.testing.assert_allclose(wanted, got, atol=2e-3 if "images" in feature else 1e-6, rtol=1e-6)


@pytest.mark.parametrize("pictures", KINDS)
def test_what_the_library_wrote_is_read(pictures: Pictures) -> None:
    """Numbers to the bit, pictures in PNG to the bit, those in its AV1 within the codec's error."""
    dataset = RawDataset(GOLDEN / pictures)
    for number, episode in enumerate(lerobot_check.example_episodes()):
        raw = dataset.read(number)
        assert set(raw.instructions) == {episode.instruction}
        np.testing.assert_array_equal(episode.actions, raw.columns["action"])
        np.testing.assert_array_equal(episode.stamps_s, raw.columns["stamp_s"])
        np.testing.assert_array_equal(episode.interventions, raw.columns["intervention"])
        for camera, array in episode.images.items():
            error = np.abs(raw.pictures[f"observation.images.{camera}"].astype(int) - array)
            assert error.max() == 0 if pictures == "png" else error.mean() < 4


def test_the_examples_come_back_from_our_files(folders: tuple[Path, Path]) -> None:
    """With the marks, seed, outcome and operator, for which LeRobot has no place of its own."""
    dataset = EpisodeDataset(folders[1])
    dataset.verify()
    for number, expected in enumerate(lerobot_check.example_episodes()):
        actual = dataset.read(number)
        assert (expected.seed, expected.success, expected.operator) == (actual.seed, actual.success, actual.operator)
        np.testing.assert_array_equal(expected.interventions, actual.interventions)
        np.testing.assert_array_equal(expected.actions, actual.actions)
