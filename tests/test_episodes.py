"""Episodes on disk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter
from magma_ros.errors import EpisodeError, NotFiniteError
from tests.examples import CONTRACT, make_episode


def write(folder: Path, *episodes: Episode) -> EpisodeDataset:
    writer = EpisodeWriter(folder, contract=CONTRACT, source={"made_by": "test"})
    for episode in episodes:
        writer.append(episode)
    return EpisodeDataset(folder)


def assert_same(expected: Episode, actual: Episode) -> None:
    for field in dataclasses.fields(Episode):
        wanted, got = getattr(expected, field.name), getattr(actual, field.name)
        if field.name == "images":
            assert set(wanted) == set(got)
            assert all(wanted[name].tobytes() == got[name].tobytes() for name in wanted)
        elif isinstance(wanted, np.ndarray):
            assert (wanted.dtype, wanted.shape, wanted.tobytes()) == (got.dtype, got.shape, got.tobytes())
        else:
            assert (type(wanted), wanted) == (type(got), got)


@settings(max_examples=15)
@given(
    num_steps=st.integers(1, 5),
    seed=st.integers(0, 2**40),
    instruction=st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "\x00" not in text),
    success=st.booleans(),
    marked=st.booleans(),
    operator=st.sampled_from(["", "Ada"]),
)
def test_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    num_steps: int,
    seed: int,
    instruction: str,
    success: bool,
    marked: bool,
    operator: str,
) -> None:
    """What is read is what was written, to the bit and the type."""
    interventions = np.arange(num_steps) % 2 == marked
    episode = make_episode(
        num_steps, seed=seed, instruction=instruction, success=success, interventions=interventions, operator=operator
    )
    dataset = write(tmp_path_factory.mktemp("data"), episode)
    assert_same(episode, dataset.read(0))


def test_writer_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A second writer on the same folder appends."""
    write(tmp_path, make_episode(seed=1))
    dataset = write(tmp_path, make_episode(seed=2, instruction="another task"))
    assert len(dataset) == 2
    assert [dataset.read(i).seed for i in range(2)] == [1, 2]
    assert dataset.instructions == ("put carrot on plate", "another task")
    assert dataset.source["made_by"] == "test"
    assert dataset.contract == CONTRACT
    dataset.verify()


def test_another_contract_is_refused(tmp_path: Path) -> None:
    """One folder holds actions of one meaning."""
    write(tmp_path, make_episode())
    with pytest.raises(EpisodeError, match="another action contract"):
        EpisodeWriter(tmp_path, contract=dataclasses.replace(CONTRACT, frame="tool0"), source={})


def test_recorded_step_is_the_observation_that_a_policy_saw() -> None:
    """Observation and action of a step come back as the house's values."""
    episode = make_episode()
    observation = episode.observation(2)
    np.testing.assert_array_equal(episode.images["image"][2], observation.images["image"])
    np.testing.assert_array_equal(episode.ee_position_m[2], observation.proprio.ee_position_m)
    assert observation.stamp_s == episode.stamps_s[2]
    assert observation.instruction == episode.instruction
    np.testing.assert_array_equal(episode.actions[2], episode.action(2, frame="base_link").to_array())


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": np.zeros((3, 7))},
        {"actions": np.zeros((4, 6))},
        {"actions": np.full((4, 7), np.nan)},
        {"images": {"image": np.zeros((4, 8, 8, 3), np.float32)}},
        {"images": {"image": np.zeros((3, 8, 8, 3), np.uint8)}},
        {"images": {}},
        {"stamps_s": np.zeros(4)},
        {"stamps_s": np.array([0.0, 0.4, 0.2, 0.6])},
        {"instruction": " "},
        {"gripper_opening": np.zeros((4, 1))},
        {"interventions": np.zeros(3, bool)},
        {"interventions": np.zeros(4)},
    ],
)
def test_episodes_that_do_not_agree_with_themselves_are_refused(changes: dict[str, object]) -> None:
    """Lengths that differ, other types, numbers that are not finite and time that stands still raise."""
    with pytest.raises(EpisodeError):
        make_episode(4, **changes)


def test_numbers_that_are_not_finite_are_named() -> None:
    """The error is its own kind, and says in which array and from which step on."""
    actions = np.zeros((4, 7))
    actions[2, 5] = np.nan
    with pytest.raises(NotFiniteError, match="actions from step 2$"):
        make_episode(4, actions=actions)


def test_nobody_intervened_where_nothing_is_said() -> None:
    """An episode that is made without marks has one False per step, and no operator."""
    episode = make_episode(3)
    assert episode.interventions.tolist() == [False] * 3
    assert episode.operator == ""


def test_an_episode_without_steps_is_refused() -> None:
    """There is nothing to learn from nothing."""
    with pytest.raises(EpisodeError):
        make_episode(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": {"wrist": np.zeros((4, 8, 8, 3), np.uint8)}},
        {"actions": np.full((4, 7), 0.2)},
    ],
)
def test_episodes_outside_the_contract_are_not_written(tmp_path: Path, changes: dict[str, object]) -> None:
    """Another camera, or a step that is longer than the contract allows, raises and leaves nothing behind."""
    with pytest.raises(EpisodeError):
        write(tmp_path, make_episode(4, **changes))
    assert len(EpisodeDataset(tmp_path)) == 0


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_damaged_episode_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A truncated, foreign or cut archive raises with its path."""
    dataset = write(tmp_path, make_episode())
    path = tmp_path / "episodes" / "000000.npz"
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(EpisodeError, match="000000"):
        dataset.verify()


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    """An archive that would run code when it is read raises."""
    dataset = write(tmp_path, make_episode())
    path = tmp_path / "episodes" / "000000.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, "instruction": np.array({"a": 1}, dtype=object)})
    with pytest.raises(EpisodeError):
        dataset.read(0)


def test_gaps_and_numbers_beyond_the_end_are_refused(tmp_path: Path) -> None:
    """A missing episode is noticed when the folder is opened; one that never was, when it is read."""
    dataset = write(tmp_path, make_episode(), make_episode())
    for index in (-1, 2):
        with pytest.raises(EpisodeError, match="available 0 to 1"):
            dataset.read(index)
    (tmp_path / "episodes" / "000000.npz").unlink()
    with pytest.raises(EpisodeError, match="without a gap"):
        EpisodeDataset(tmp_path)


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "contract": {}}'])
def test_folders_without_a_description_are_refused(tmp_path: Path, text: str | None) -> None:
    """Only a dataset.json of the known format opens a folder."""
    if text is not None:
        (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(EpisodeError):
        EpisodeDataset(tmp_path)


def test_an_interrupted_write_leaves_no_episode(tmp_path: Path) -> None:
    """What a killed writer left behind is not counted and is written over."""
    write(tmp_path, make_episode(seed=1))
    (tmp_path / "episodes" / "000001.partial").write_bytes(b"half")
    dataset = write(tmp_path, make_episode(seed=2))
    assert [dataset.read(i).seed for i in range(len(dataset))] == [1, 2]


def test_unlisted_instruction_is_found_by_verify(tmp_path: Path) -> None:
    """The description lists every instruction; one that is missing there is an error."""
    write(tmp_path, make_episode())
    document = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({**document, "instructions": []}))
    with pytest.raises(EpisodeError, match="unlisted"):
        EpisodeDataset(tmp_path).verify()
