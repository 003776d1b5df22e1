import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers import mapping
from magma_ros.finetune.importers.conventions import require_settled
from magma_ros.finetune.importers.importing import import_episodes
from magma_ros.finetune.importers.mapped import MappedEpisodes, Unusable
from magma_ros.finetune.importers.rlds import RldsEpisodes
from magma_ros.geometry import relative_ee_delta
from tests.finetune.importers.foreign_files import FEATURES, INSTRUCTION, bridge_steps, demos, write_rlds
from tests.finetune.quality.moving_pictures import late_camera

BRIDGE = mapping.load("bridge_rlds")


def foreign(folder):
    return RldsEpisodes(folder, instruction="language_instruction")


def test_an_episode_of_the_bridge_dataset_is_imported(tmp_path):
    """Without its first step, the displacement from pose to pose, the gripper as commanded, pictures to the pixel."""
    first, second = demos(2, num_steps=20)
    source = MappedEpisodes(foreign(write_rlds(tmp_path, [[bridge_steps(first)], [bridge_steps(second)]])), BRIDGE)
    assert 2 == len(source)
    episode = source.read(1)
    steps = slice(1, len(second) - 1)
    places, quats = second.ee_position_m, second.ee_quat_xyzw
    moved, turned = relative_ee_delta(places[:-1], quats[:-1], places[1:], quats[1:])
    np.testing.assert_allclose(moved[1:], episode.actions[:, :3], atol=1e-7)
    np.testing.assert_allclose(turned[1:], episode.actions[:, 3:6], atol=1e-5)
    np.testing.assert_array_equal(second.actions[steps, 6], episode.actions[:, 6])
    np.testing.assert_allclose(second.gripper_opening[steps], episode.gripper_opening, atol=1e-7)
    np.testing.assert_array_equal(second.images["image"][steps], episode.images["image"])
    assert INSTRUCTION == episode.instruction
    assert 1 == episode.seed
    assert {"format": "rlds", "split": "train", "name": "toy", "version": "1.0.0"}.items() <= source.origin.items()


def test_clean_episodes_are_in_no_doubt(tmp_path):
    """As BridgeData has them."""
    require_settled(MappedEpisodes(foreign(write_rlds(tmp_path, [[bridge_steps(demo) for demo in demos(5)]])), BRIDGE))


def test_angles_in_degrees_are_refused_where_no_arm_turns_so_far(tmp_path):
    """An orientation of 170 is one in degrees."""
    (demo,) = demos(1)
    steps = bridge_steps(demo)
    state = steps["steps/observation/state"].reshape(-1, 7)
    state[:, 3:6] = np.degrees(state[:, 3:6])
    source = MappedEpisodes(foreign(write_rlds(tmp_path, [[steps]])), BRIDGE)
    with pytest.raises(ImportDataError, match=r"ee_rotation.*degrees.*radians: 0\.0174533"):
        source.read(0)


def test_a_late_camera_is_in_doubt_and_settled_by_its_rows(tmp_path):
    """Pictures of two rows before, as parts of BridgeData have them."""
    source = foreign(write_rlds(tmp_path, [[bridge_steps(late_camera(demo)) for demo in demos(5)]]))
    with pytest.raises(ImportDataError, match=r"camera_lag.*camera_lag_rows"):
        require_settled(MappedEpisodes(source, BRIDGE))
    require_settled(MappedEpisodes(source, replace(BRIDGE, camera_lag_rows=2)))


def test_an_episode_without_an_instruction_is_left_out_only_when_told(tmp_path):
    """Refused with the options that help; left out and counted with one of them, named with the other."""
    named, nameless = (bridge_steps(demo) for demo in demos(2, num_steps=20))
    nameless["steps/language_instruction"] = [b""] * 20
    source = MappedEpisodes(foreign(write_rlds(tmp_path / "in", [[named, nameless]])), BRIDGE)
    assert Unusable("it has no instruction") == source.read(1)
    with pytest.raises(ImportDataError, match=r"episode 1.*--instruction.*--skip-unusable"):
        import_episodes(source, tmp_path / "out")
    report = import_episodes(source, tmp_path / "again", skip_unusable=True)
    assert (1, {"it has no instruction": 1}) == (report.num_episodes, dict(report.unusable))
    told = MappedEpisodes(foreign(tmp_path / "in"), BRIDGE, instruction="tidy up")
    assert "tidy up" == told.read(1).instruction


def test_the_features_of_a_step_are_those_of_the_file(tmp_path):
    """Nested names with slashes; what is compressed in a way that we don't read is not among them."""
    features = foreign(write_rlds(tmp_path, [[bridge_steps(demos(1, num_steps=4)[0])]])).features
    assert {"observation/image_0", "observation/state", "action", "language_instruction", "is_first"} == set(features)
    assert (7,) == features["observation/state"].shape


def test_a_lost_or_short_shard_is_found(tmp_path):
    """Shards and episodes are counted against dataset_info.json."""
    episodes = [bridge_steps(demo) for demo in demos(2, num_steps=4)]
    with pytest.raises(ImportDataError, match=r"expected 2 episodes as dataset_info.json says, found 1"):
        foreign(write_rlds(tmp_path / "short", [episodes[:1]], lengths=["2"]))
    with pytest.raises(ImportDataError, match=r"expected 2 shards of 'train', found 1"):
        foreign(write_rlds(tmp_path / "lost", [episodes], lengths=["2", "2"]))


def test_another_split_or_feature_names_those_there_are(tmp_path):
    """Both are said with what is available."""
    folder = write_rlds(tmp_path, [[bridge_steps(demos(1, num_steps=4)[0])]])
    with pytest.raises(ImportDataError, match=r"expected one of \['train'\], got 'val'"):
        RldsEpisodes(folder, instruction="language_instruction", split="val")
    with pytest.raises(ImportDataError, match=r"observation/image_0.*got 'observation/image'"):
        foreign(folder).read(0, features=["observation/image"])
    with pytest.raises(ImportDataError, match="'action' is none"):
        RldsEpisodes(folder, instruction="action")


def test_numbers_that_fill_no_row_are_refused(tmp_path):
    """A value is missing at the end of the list."""
    steps = bridge_steps(demos(1, num_steps=4)[0])
    steps["steps/action"] = steps["steps/action"][:-1]
    with pytest.raises(ImportDataError, match="action: expected a multiple of 7 numbers, got 27"):
        foreign(write_rlds(tmp_path, [[steps]])).read(0, features=["action"])


def test_a_damaged_picture_is_refused(tmp_path):
    """With the name of its feature."""
    steps = bridge_steps(demos(1, num_steps=4)[0])
    steps["steps/observation/image_0"][2] = steps["steps/observation/image_0"][2][:50]
    with pytest.raises(ImportDataError, match="observation/image_0: PNG"):
        foreign(write_rlds(tmp_path, [[steps]])).read(0, features=["observation/image_0"])


def test_other_json_is_no_rlds_dataset(tmp_path):
    """Features without steps."""
    folder = write_rlds(tmp_path, [[bridge_steps(demos(1, num_steps=4)[0])]])
    flat = FEATURES["featuresDict"]["features"]["episode_metadata"]
    (folder / "features.json").write_text(json.dumps(flat))
    with pytest.raises(ImportDataError, match="nested steps"):
        foreign(folder)


def test_turns_are_read_in_the_declared_form(tmp_path):
    """Roll, pitch and yaw about fixed axes, not a rotation vector."""
    (demo,) = demos(1, num_steps=10)
    episode = MappedEpisodes(foreign(write_rlds(tmp_path, [[bridge_steps(demo)]])), BRIDGE).read(0)
    apart = Rotation.from_quat(demo.ee_quat_xyzw[1:9]).inv() * Rotation.from_quat(episode.ee_quat_xyzw)
    assert apart.magnitude().max() < 1e-5
