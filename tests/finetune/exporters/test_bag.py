import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from magma_ros import arms
from magma_ros.errors import EpisodeError
from magma_ros.finetune.exporters.bag import export_bags
from magma_ros.finetune.exporters.libero_hdf5 import export_hdf5
from magma_ros.finetune.importers.bag import BagEpisodes, BagOptions
from magma_ros.finetune.importers.exported_hdf5 import ExportedHdf5
from magma_ros.load_options import LoadOptions
from magma_ros.ros.bag_reader import BagReader
from magma_ros.ros.bag_replay import ReplaySettings, replay
from tests.examples import CONTRACT, ScriptedPolicy, make_chunk, make_episode
from tests.finetune.exporters.round_trips import assert_same, episodes, written

SIM = arms.load("sim")


@settings(max_examples=6, deadline=None)
@given(episodes())
def test_an_episode_comes_back_to_the_bit(original):
    """Numbers, pictures, times, words and marks; through the messages of a bag."""
    with tempfile.TemporaryDirectory() as folder:
        (bag,) = export_bags(written(Path(folder) / "in", [original]), Path(folder) / "out", SIM)
        source = BagEpisodes([bag], SIM)
        assert CONTRACT == source.contract
        assert_same(original, source.read(0))


@settings(max_examples=2, deadline=None)
@given(episodes())
def test_from_bag_to_hdf5_and_back_loses_nothing(original):
    """MCAP, our dataset, HDF5, our dataset, MCAP: the same to the bit at the end of the chain."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bags = export_bags(written(folder / "a", [original]), folder / "bags", SIM)
        export_hdf5(written(folder / "b", [BagEpisodes(bags, SIM).read(0)]), folder / "hdf5")
        again = export_bags(written(folder / "c", [ExportedHdf5([folder / "hdf5"]).read(0)]), folder / "again", SIM)
        assert_same(original, BagEpisodes(again, SIM).read(0))


def test_an_exported_bag_can_be_replayed(tmp_path):
    """A policy sees its pictures and follows its instruction, as in a recording of ours."""
    (bag,) = export_bags(written(tmp_path / "in", [make_episode(3)]), tmp_path / "out", SIM)
    chosen = ReplaySettings()
    parameters = chosen.parameters("scripted", LoadOptions())
    policy = ScriptedPolicy(make_chunk([[0.001, 0, 0, 0, 0, 0, 1.0]]))
    lines = list(replay(BagReader(bag), arm=SIM, settings=chosen, parameters=parameters, load=lambda *_: policy))
    assert ["put carrot on plate"] * 3 == [line["instruction"] for line in lines]


def test_an_arm_whose_pose_is_in_tf_is_written_there(tmp_path):
    """The pose of its end effector comes back from the transform."""
    arm = arms.load("wx250s")
    contract = replace(CONTRACT, frame=arm.frames.base)
    dataset = written(tmp_path / "in", [make_episode(3)])
    dataset.contract = contract
    cameras = [camera.name for camera in arm.topics.cameras]
    dataset.read = lambda _: make_episode(3, images={name: make_episode(3).images["image"] for name in cameras})
    (bag,) = export_bags(dataset, tmp_path / "out", arm)
    episode = BagEpisodes([bag], arm).read(0)
    assert episode.ee_position_m == pytest.approx(make_episode(3).ee_position_m)


@pytest.mark.parametrize(
    ("arm", "changes", "match"),
    [
        ("fr3", {}, "expected actions in its base 'fr3_link0'"),
        ("sim", {"images": {"wrist": make_episode().images["image"]}}, "cameras: expected those of arm 'sim'"),
        ("sim", {"joint_positions_rad": make_episode().joint_positions_rad[:, :3]}, "joints: expected 3 names"),
        ("sim", {"stamps_s": make_episode().stamps_s - 5.0}, "stamp: expected seconds from 0"),
        ("sim", {"stamps_s": make_episode().stamps_s * 1e-7}, "a microsecond apart"),
    ],
)
def test_what_does_not_fit_the_arm_is_refused(tmp_path, arm, changes, match):
    """Before a bag is there."""
    dataset = written(tmp_path / "in", [make_episode()])
    dataset.read = lambda _: make_episode(**changes)
    with pytest.raises(EpisodeError, match=match):
        export_bags(dataset, tmp_path / "out", arms.load(arm))
    assert [] == list((tmp_path / "out").glob("episode_*"))


def test_a_bag_is_not_written_over(tmp_path):
    """A second export into the same folder is refused."""
    dataset = written(tmp_path / "in", [make_episode()])
    export_bags(dataset, tmp_path / "out", SIM)
    with pytest.raises(EpisodeError, match="exists already"):
        export_bags(dataset, tmp_path / "out", SIM)


def test_an_exported_bag_has_the_motion_of_its_poses_too(tmp_path):
    """Read as a recording of another stack: one step fewer, at the exact times of the others."""
    original = make_episode(4)
    (bag,) = export_bags(written(tmp_path / "in", [original]), tmp_path / "out", SIM)
    episode = BagEpisodes([bag], SIM, options=BagOptions(actions="measured")).read(0)
    assert original.stamps_s[:3].tolist() == episode.stamps_s.tolist()
    moved = original.ee_position_m[1:] - original.ee_position_m[:-1]
    assert moved.tolist() == episode.actions[:, :3].tolist()
