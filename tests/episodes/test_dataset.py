"""Episodes on disk: what is read is what was written, or an error that names the place."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros.episodes import EpisodeDataset, EpisodeWriter, Pictures, holds_episodes
from magma_ros.errors import EpisodeError
from tests.episodes.folders import assert_same, numbered_episode, write
from tests.examples import CONTRACT, make_episode

DATA = "data/chunk-000/file-000.parquet"
ROWS = "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.image/chunk-000/file-000.mp4"
FINITE = st.floats(-1e100, 1e100)


@settings(max_examples=15)
@given(data=st.data(), num_steps=st.integers(1, 5), num_joints=st.integers(0, 3))
def test_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, num_steps: int, num_joints: int
) -> None:
    """Any finite numbers, any sentence and every pixel come back to the bit and the type."""
    draw = np.random.default_rng(num_steps)
    rows = data.draw(st.lists(FINITE, min_size=num_steps * (num_joints + 4), max_size=num_steps * (num_joints + 4)))
    numbers = np.array(rows).reshape(num_steps, -1)
    episode = make_episode(
        num_steps,
        seed=data.draw(st.integers(0, 2**63 - 1)),
        images={name: draw.integers(0, 256, (num_steps, 7, 9, 3), dtype=np.uint8) for name in ("wrist cam", "image")},
        ee_position_m=numbers[:, :3],
        gripper_opening=numbers[:, 3],
        joint_positions_rad=numbers[:, 4:],
        stamps_s=np.cumsum(draw.uniform(1e-9, 1.0, num_steps)) + 1.7e9,
        instruction=data.draw(st.text(min_size=1, max_size=20).filter(lambda text: text.strip())),
        success=data.draw(st.booleans()),
        interventions=np.array(data.draw(st.lists(st.booleans(), min_size=num_steps, max_size=num_steps))),
        operator=data.draw(st.sampled_from(["", "Ada", "佐藤"])),
    )
    dataset = write(tmp_path_factory.mktemp("data"), episode)
    assert_same(episode, dataset.read(0))
    dataset.verify()


@pytest.mark.parametrize("pictures", ["png", "video"])
def test_writer_goes_on_where_it_stopped(tmp_path: Path, pictures: Pictures) -> None:
    """A second writer on the same folder appends; each episode is found in the shared files."""
    write(tmp_path, *map(numbered_episode, range(3)), pictures=pictures)
    dataset = write(tmp_path, *map(numbered_episode, range(3, 5)), pictures=pictures)
    assert len(dataset) == 5
    for number in range(5):
        assert_same(numbered_episode(number), dataset.read(number), picture_error=0 if pictures == "png" else 3)
    assert dataset.instructions == ("task 0", "task 1", "task 2")
    assert dataset.source["made_by"] == "test"
    assert dataset.contract == CONTRACT
    dataset.verify()


def test_a_dataset_may_be_empty(tmp_path: Path) -> None:
    """A writer that wrote nothing leaves a dataset without episodes, which the next one fills."""
    assert not holds_episodes(tmp_path)
    assert len(write(tmp_path)) == 0
    assert holds_episodes(tmp_path)
    assert len(write(tmp_path, make_episode())) == 1


def test_another_contract_is_refused(tmp_path: Path) -> None:
    """One folder holds actions of one meaning."""
    write(tmp_path, make_episode())
    with pytest.raises(EpisodeError, match="another action contract"):
        EpisodeWriter(tmp_path, contract=dataclasses.replace(CONTRACT, frame="tool0"), source={})


def test_pictures_of_the_other_kind_are_refused(tmp_path: Path) -> None:
    """A dataset is exact as a whole or small as a whole."""
    write(tmp_path, make_episode())
    with pytest.raises(EpisodeError, match="expected pictures as video, got"):
        EpisodeWriter(tmp_path, contract=CONTRACT, source={}, pictures="video")


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    """While a folder is open nobody else may append to it; a closed writer does not append."""
    with (
        EpisodeWriter(tmp_path, contract=CONTRACT, source={}) as writer,
        pytest.raises(EpisodeError, match="expected to be alone"),
    ):
        EpisodeWriter(tmp_path, contract=CONTRACT, source={})
    with pytest.raises(EpisodeError, match="closed"):
        writer.append(make_episode())
    assert len(write(tmp_path, make_episode())) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {"wrist": np.zeros((4, 8, 8, 3), np.uint8)}}, "expected the cameras"),
        ({"actions": np.full((4, 7), 0.2)}, "expected a translation of at most"),
        ({"seed": 2**63}, "64 bits"),
        ({"images": {"image": np.zeros((4, 8, 10, 3), np.uint8), "a/b": np.zeros((4, 8, 8, 3), np.uint8)}}, "slash"),
    ],
)
def test_episodes_outside_the_contract_are_not_written(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Another camera, or a step that is longer than the contract allows, raises and leaves nothing behind."""
    with pytest.raises(EpisodeError, match=message):
        write(tmp_path, make_episode(4, **changes))
    assert len(EpisodeDataset(tmp_path)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {"image": np.zeros((4, 8, 12, 3), np.uint8)}}, r"images\.image as image of shape \[8, 10, 3\]"),
        ({"images": {name: np.zeros((4, 8, 10, 3), np.uint8) for name in ("image", "wrist")}}, "wrist as nothing"),
        ({"joint_positions_rad": np.zeros((4, 7))}, r"observation\.state as float64 of shape \[14\]"),
    ],
)
def test_all_episodes_of_a_dataset_are_alike(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Another size of picture, camera or number of joints than the first episode's is refused by name."""
    write(tmp_path, make_episode())
    with pytest.raises(EpisodeError, match=message):
        write(tmp_path, make_episode(4, **changes))
    assert len(EpisodeDataset(tmp_path)) == 1


def test_odd_sides_are_no_video(tmp_path: Path) -> None:
    """H.264 stores the colours of two by two pixels; such pictures are for png, and the folder stays usable."""
    odd = make_episode(4, images={"image": np.zeros((4, 7, 10, 3), np.uint8)})
    with pytest.raises(EpisodeError, match="even sides"):
        write(tmp_path, odd, pictures="video")
    assert len(write(tmp_path, make_episode(), pictures="video")) == 1


@pytest.mark.parametrize("pictures", ["png", "video"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "foreign"])
def test_damaged_files_are_named(tmp_path: Path, damage: str, pictures: Pictures) -> None:
    """A missing, truncated, cut or foreign file raises with its path, and never a library's own error."""
    dataset = write(tmp_path, numbered_episode(0), pictures=pictures)
    path = tmp_path / (DATA if pictures == "png" else VIDEO)
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": content[: len(content) * 3 // 4], "foreign": b"no such file"}[damage])
    with pytest.raises(EpisodeError, match=path.name):
        dataset.read(0)
    with pytest.raises(EpisodeError, match=f"episode 0: .*{path.name}"):
        dataset.verify()


def test_a_bit_that_flipped_on_the_disk_is_found(tmp_path: Path) -> None:
    """Pages of the tables carry a checksum."""
    dataset = write(tmp_path, make_episode())
    content = bytearray((tmp_path / DATA).read_bytes())
    place = content.index(make_episode().actions[0, :1].tobytes())
    content[place] ^= 1
    (tmp_path / DATA).write_bytes(content)
    with pytest.raises(EpisodeError, match=r"file-000\.parquet"):
        dataset.read(0)


def test_a_video_that_lost_its_last_pictures_is_found(tmp_path: Path) -> None:
    """A shorter video in the place of the right one is an error, not a shorter episode."""
    dataset = write(tmp_path / "whole", numbered_episode(3), pictures="video")
    shorter = write(tmp_path / "shorter", numbered_episode(0), pictures="video")
    shutil.copy(shorter.folder / VIDEO, dataset.folder / VIDEO)
    with pytest.raises(EpisodeError, match=r"expected 5 pictures from 0.0 s on, got 2"):
        dataset.read(0)


def test_rows_of_another_episode_are_found(tmp_path: Path) -> None:
    """A table whose rows are in another order is an error."""
    dataset = write(tmp_path, make_episode())
    table = pq.read_table(tmp_path / DATA)
    pq.write_table(table.take(pa.array([1, 0, 2, 3])), tmp_path / DATA)
    with pytest.raises(EpisodeError, match="the 4 steps of episode 0 in their order"):
        dataset.read(0)


def test_gaps_and_numbers_beyond_the_end_are_refused(tmp_path: Path) -> None:
    """A missing episode is noticed when the folder is opened; one that never was, when it is read."""
    dataset = write(tmp_path, make_episode(), make_episode())
    for index in (-1, 2):
        with pytest.raises(EpisodeError, match="available 0 to 1"):
            dataset.read(index)
    pq.write_table(pq.read_table(tmp_path / ROWS).slice(1), tmp_path / ROWS)
    with pytest.raises(EpisodeError, match="without a gap"):
        EpisodeDataset(tmp_path)


def test_an_episode_that_another_library_appended_is_named(tmp_path: Path) -> None:
    """LeRobot itself can append to our datasets, without what it has no columns for: that episode alone is refused."""
    write(tmp_path, make_episode(), make_episode())
    rows = pq.read_table(tmp_path / ROWS)
    pq.write_table(rows.slice(0, 1), tmp_path / ROWS)
    theirs = rows.slice(1).drop_columns([name for name in rows.column_names if name.startswith("magma_ros/")])
    pq.write_table(theirs, tmp_path / ROWS.replace("file-000", "file-001"))
    dataset = EpisodeDataset(tmp_path)
    assert_same(make_episode(), dataset.read(0))
    with pytest.raises(EpisodeError, match="episode 1: expected a seed, an outcome and an operator"):
        dataset.verify()


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": 2}', '{"format": 3}', '{"format": 3, "contract": {}}'])
def test_folders_without_a_description_are_refused(tmp_path: Path, text: str | None) -> None:
    """Only a magma_ros.json of the known format opens a folder."""
    write(tmp_path, make_episode())
    (tmp_path / "meta/magma_ros.json").unlink()
    if text is not None:
        (tmp_path / "meta/magma_ros.json").write_text(text)
    with pytest.raises(EpisodeError, match=r"magma_ros\.json"):
        EpisodeDataset(tmp_path)


def test_a_foreign_dataset_is_neither_opened_nor_written_over(tmp_path: Path) -> None:
    """LeRobot's own datasets do not say what their numbers mean: they are imported, and stay as they are."""
    write(tmp_path, make_episode())
    (tmp_path / "meta/magma_ros.json").unlink()
    before = (tmp_path / "meta/info.json").read_bytes()
    with pytest.raises(EpisodeError, match="are imported"):
        EpisodeDataset(tmp_path)
    with pytest.raises(EpisodeError, match=r"without meta/magma_ros\.json"):
        EpisodeWriter(tmp_path, contract=CONTRACT, source={})
    assert (tmp_path / "meta/info.json").read_bytes() == before


def test_a_rate_that_contradicts_the_contract_is_refused(tmp_path: Path) -> None:
    """LeRobot's `fps` and the contract's control rate are the same number."""
    write(tmp_path, make_episode())
    info = json.loads((tmp_path / "meta/info.json").read_text())
    (tmp_path / "meta/info.json").write_text(json.dumps({**info, "fps": 10}))
    with pytest.raises(EpisodeError, match=r"expected 5.0 steps per second"):
        EpisodeDataset(tmp_path)


def test_verify_finds_what_the_contract_forbids(tmp_path: Path) -> None:
    """A dataset whose contract was narrowed behind its back does not verify."""
    dataset = write(tmp_path, make_episode())
    dataset.contract = dataclasses.replace(CONTRACT, max_rotation_rad=0.001)
    with pytest.raises(EpisodeError, match="episode 0: expected a rotation of at most"):
        dataset.verify()


@pytest.mark.parametrize("pictures", ["png", "video"])
def test_actions_are_read_without_the_pictures(tmp_path: Path, pictures: Pictures) -> None:
    """Actions and interventions are those of the whole episode, and so is the size of the pictures."""
    second = make_episode(5, interventions=np.arange(5) > 2)
    dataset = write(tmp_path, make_episode(3), second, pictures=pictures)
    episode = dataset.read(1)
    actions, interventions = dataset.read_actions(1)
    np.testing.assert_array_equal(episode.actions, actions)
    np.testing.assert_array_equal(episode.interventions, interventions)
    assert episode.images["image"].nbytes == dataset.picture_bytes(1, ["image"])
    with pytest.raises(EpisodeError, match=r"expected the cameras \['wrist'\], which are not among \['image'\]"):
        dataset.picture_bytes(1, ["image", "wrist"])


@pytest.mark.parametrize("pictures", ["png", "video"])
def test_the_pictures_of_some_cameras_are_read_alone(tmp_path: Path, pictures: Pictures) -> None:
    """Everything else is there; a camera that was not recorded is an error."""
    images = {name: make_episode(seed=seed).images["image"] for seed, name in enumerate(("image", "wrist"))}
    dataset = write(tmp_path, make_episode(images=images), pictures=pictures)
    whole, part = dataset.read(0), dataset.read(0, cameras=["wrist"])
    assert ["wrist"] == list(part.images)
    assert_same(dataclasses.replace(whole, images={"wrist": whole.images["wrist"]}), part)
    with pytest.raises(EpisodeError, match=r"expected the pictures \['observation.images.side'\]"):
        dataset.read(0, cameras=["side"])


def test_actions_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    """A NaN that came in behind the writer's back is an error of the file, with the step."""
    dataset = write(tmp_path, make_episode(4))
    table = pq.read_table(tmp_path / DATA)
    rows = table["action"].to_pylist()
    rows[2][5] = float("nan")
    column, kind = table.column_names.index("action"), table.schema.field("action")
    pq.write_table(table.set_column(column, kind, pa.array(rows, kind.type)), tmp_path / DATA)
    with pytest.raises(EpisodeError, match="actions from step 2"):
        dataset.read_actions(0)
