from dataclasses import replace

import numpy as np
import pytest

from magma_ros.episodes import EpisodeWriter
from magma_ros.errors import ImportDataError
from magma_ros.finetune.exporters.lerobot_v21 import export_v21
from magma_ros.finetune.importers import mapping
from magma_ros.finetune.importers.conventions import require_settled
from magma_ros.finetune.importers.lerobot import LeRobotEpisodes
from magma_ros.finetune.importers.mapped import MappedEpisodes
from magma_ros.finetune.importers.mapping import Numbers, Opening
from tests.examples import CONTRACT
from tests.finetune.exporters.round_trips import written
from tests.finetune.importers.foreign_files import demos

BRIDGE = mapping.load("bridge_lerobot")
OURS = replace(
    BRIDGE,
    images={"image": "observation.images.image"},
    translation=Numbers("action", (0, 1, 2)),
    rotation=mapping.Displacement(Numbers("action", (3, 4, 5)), "rotation_vector"),
    gripper=Opening("action", 6, 0.0, 1.0),
    ee_position=Numbers("observation.state", (0, 1, 2)),
    ee_rotation=mapping.Orientation(Numbers("observation.state", (3, 4, 5, 6)), "quat_xyzw"),
    gripper_opening=Opening("observation.state", 7, 0.0, 1.0),
    joints=Numbers("observation.state", (8, 9, 10, 11, 12, 13)),
    drop_first=0,
)
"""Our own dataset, read as if it were somebody else's."""


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_a_dataset_is_imported_from_either_layout(tmp_path, version):
    """Numbers and pictures of its features, the sentence of its task, times from the frames."""
    (original,) = demos(1, num_steps=8)
    folder = written(tmp_path / "in", [original]).folder
    if version == "v2.1":
        export_v21(folder, tmp_path / "old")
        folder = tmp_path / "old"
    source = MappedEpisodes(LeRobotEpisodes(folder), OURS)
    episode = source.read(0)
    assert f"lerobot {version}" == source.origin["format"]
    for name in ("actions", "ee_position_m", "ee_quat_xyzw", "gripper_opening", "joint_positions_rad"):
        np.testing.assert_array_equal(getattr(original, name), getattr(episode, name))
    np.testing.assert_array_equal(original.images["image"], episode.images["image"])
    np.testing.assert_allclose(0.2 * np.arange(8), episode.stamps_s, atol=1e-6)
    assert original.instruction == episode.instruction


def test_another_order_of_the_quaternion_is_a_doubt(tmp_path):
    """A leading w is declared, and w is last: the arm would not turn as it was told."""
    folder = written(tmp_path / "in", demos(4)).folder
    require_settled(MappedEpisodes(LeRobotEpisodes(folder), OURS))
    wrong = replace(OURS, ee_rotation=replace(OURS.ee_rotation, form="quat_wxyz"))
    with pytest.raises(ImportDataError, match=r"rotation_form.*ee_rotation\.form: quat_xyzw"):
        require_settled(MappedEpisodes(LeRobotEpisodes(folder), wrong))


def test_another_rate_than_the_contracts_is_a_doubt(tmp_path):
    """The dataset's fps say 5, the contract 10 Hz."""
    folder = written(tmp_path / "in", demos(1, num_steps=8)).folder
    fast = replace(OURS, contract=replace(OURS.contract, control_rate_hz=10.0))
    with pytest.raises(ImportDataError, match="irregular_rate: the source says 5 Hz"):
        require_settled(MappedEpisodes(LeRobotEpisodes(folder), fast))


def test_pictures_that_nobody_asked_for_are_not_decoded(tmp_path):
    """A feature whose files are damaged does not matter to a reading without it, numbers alone included."""
    (original,) = demos(1, num_steps=8)
    both = {"image": original.images["image"], "wrist": original.images["image"]}
    folder = tmp_path / "in"
    with EpisodeWriter(folder, contract=CONTRACT, source={}, pictures="video") as writer:
        writer.append(replace(original, images=both))
    for path in (folder / "videos" / "observation.images.wrist").rglob("*.mp4"):
        path.write_bytes(b"torn")
    source = LeRobotEpisodes(folder)
    assert ["observation.images.image"] == list(
        source.read(0, features=["action", "observation.images.image"]).pictures
    )
    assert {} == source.read(0, features=["action"]).pictures
    with pytest.raises(ImportDataError, match=r"wrist.*cannot be used"):
        source.read(0, features=["observation.images.wrist"])


def test_features_that_are_not_there_are_named(tmp_path):
    """With those that are."""
    folder = written(tmp_path / "in", demos(1, num_steps=4)).folder
    with pytest.raises(ImportDataError, match=r"observation\.state.*got \['state'\]"):
        LeRobotEpisodes(folder).read(0, features=["state"])


def test_another_folder_is_no_dataset(tmp_path):
    """It has no description."""
    with pytest.raises(ImportDataError, match="info"):
        LeRobotEpisodes(tmp_path)
