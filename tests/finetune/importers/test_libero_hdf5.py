from dataclasses import replace

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers import mapping
from magma_ros.finetune.importers.conventions import require_settled
from magma_ros.finetune.importers.importing import import_episodes
from magma_ros.finetune.importers.libero_hdf5 import LiberoHdf5
from magma_ros.finetune.importers.mapped import MappedEpisodes
from magma_ros.sim.libero.convention import libero_contract
from tests.finetune.importers.foreign_files import BASE_IN_WORLD_M, INSTRUCTION, demos, libero_rows, write_libero
from tests.sim.libero.osc import from_osc

LIBERO = mapping.load("libero_hdf5")


def opened(path, **changes):
    return MappedEpisodes(LiberoHdf5([path], upside_down=True), replace(LIBERO, **changes))


def test_a_demonstration_is_imported_with_the_action_that_answers_each_picture(tmp_path):
    """Row j's picture is answered by row j+1's action: LIBERO records pictures after the action."""
    (original,) = demos(1)
    import_episodes(opened(write_libero(tmp_path / "a.hdf5", [original])), tmp_path / "out")
    dataset = EpisodeDataset(tmp_path / "out")
    episode = dataset.read(0)
    steps = slice(1, len(original) - 1)
    np.testing.assert_allclose(original.actions[steps], episode.actions, atol=1e-15)
    np.testing.assert_allclose(original.ee_position_m[steps], episode.ee_position_m, atol=1e-15)
    np.testing.assert_allclose(original.gripper_opening[steps], episode.gripper_opening, atol=1e-15)
    np.testing.assert_array_equal(original.joint_positions_rad[steps], episode.joint_positions_rad)
    turns = Rotation.from_quat(original.ee_quat_xyzw[steps]).inv() * Rotation.from_quat(episode.ee_quat_xyzw)
    assert turns.magnitude().max() < 1e-12
    np.testing.assert_array_equal(original.images["image"][steps], episode.images["agentview"])
    np.testing.assert_array_equal(np.arange(len(episode)) / 20.0, episode.stamps_s)
    assert INSTRUCTION == episode.instruction
    assert episode.success
    assert "libero_hdf5" == dataset.source["format"]


def test_the_mapping_says_what_the_simulator_says(tmp_path):
    """Contract and numbers are those of our LIBERO environment, so that both kinds of episodes can be mixed."""
    (original,) = demos(1)
    episode = opened(write_libero(tmp_path / "a.hdf5", [original])).read(0)
    assert libero_contract() == LIBERO.contract
    theirs = np.array([from_osc(row).to_array() for row in libero_rows(original)["actions"][1:]])
    np.testing.assert_array_equal(theirs, episode.actions)


def test_demonstrations_are_read_in_the_order_of_their_numbers(tmp_path):
    """Ten comes after nine."""
    originals = demos(11, num_steps=6)
    source = opened(write_libero(tmp_path / "a.hdf5", originals))
    assert 11 == len(source)
    np.testing.assert_array_equal(originals[10].images["image"][1:5], source.read(10).images["agentview"])


def swapped_gripper(rows):
    rows["actions"][:, 6] *= -1
    return rows


def swapped_measured_gripper(rows):
    rows["obs/gripper_states"] = 0.04 - rows["obs/gripper_states"]
    return rows


def degrees(rows):
    rows["actions"][:, 3:6] = np.degrees(rows["actions"][:, 3:6])
    return rows


def degrees_of_joints(rows):
    return rows | {"obs/joint_states": np.degrees(rows["obs/joint_states"])}


def metres(rows):
    """Actions in metres where LIBERO's unit is 5 cm."""
    rows["actions"][:, :3] *= 0.05
    return rows


def weak_unit(rows):
    """A fifth of LIBERO's unit: an arm that makes five times what it is told."""
    rows["actions"][:, :3] *= 0.2
    return rows


def euler_angles(rows):
    return rows | {"obs/ee_ori": Rotation.from_rotvec(rows["obs/ee_ori"]).as_euler("xyz")}


def late_pictures(rows):
    earlier = np.maximum(np.arange(len(rows["actions"])) - 8, 0)
    return rows | {name: rows[name][earlier] for name in ("obs/agentview_rgb", "obs/eye_in_hand_rgb")}


def percent(rows):
    rows["obs/gripper_states"] *= 100
    return rows


@pytest.mark.parametrize(
    ("plant", "code", "settled_by"),
    [
        (swapped_gripper, "gripper_inverted", "action.gripper"),
        (swapped_measured_gripper, "gripper_inverted", "gripper_opening"),
        (percent, "gripper_out_of_range", "gripper_opening"),
        (degrees, "units_suspect", "radians"),
        (degrees_of_joints, "units_suspect", "radians"),
        (metres, "units_suspect", "metres"),
        (weak_unit, "units_suspect", "metres"),
        (euler_angles, "rotation_form", r"ee_rotation\.form: rpy"),
        (late_pictures, "camera_lag", "--camera-lag-rows"),
    ],
)
def test_a_planted_mistake_is_a_doubt_that_names_what_settles_it(tmp_path, plant, code, settled_by):
    """Nothing is written while one is in doubt; accepted by its code, it is imported as declared."""
    source = opened(write_libero(tmp_path / "a.hdf5", demos(5), plant=plant))
    with pytest.raises(ImportDataError, match=rf"{code}.*{settled_by}") as refusal:
        import_episodes(source, tmp_path / "out")
    assert 1 == str(refusal.value).count("settled by")
    assert not (tmp_path / "out").exists()
    require_settled(source, accept=[code])


def test_the_option_settles_a_late_camera(tmp_path):
    """With the rows declared, the same file is in no doubt."""
    require_settled(opened(write_libero(tmp_path / "a.hdf5", demos(5), plant=late_pictures), camera_lag_rows=8))


def test_an_action_that_is_answered_with_what_was_just_done_is_a_doubt(tmp_path):
    """Read row by row, as many tools do it, the arm moves before each of its actions."""
    with pytest.raises(ImportDataError, match=r"action_state_offset.*precedes.*--action-rows-late"):
        require_settled(opened(write_libero(tmp_path / "a.hdf5", demos(5)), action_rows_late=0))


def test_clean_demonstrations_are_in_no_doubt(tmp_path):
    """As LIBERO has them, under the mapping that comes with the project."""
    require_settled(opened(write_libero(tmp_path / "a.hdf5", demos(5))))


def test_another_control_rate_is_a_doubt(tmp_path):
    """The environment in the file says 10 Hz, the contract 20."""
    with pytest.raises(ImportDataError, match=r"irregular_rate.*10 Hz.*control_rate_hz"):
        require_settled(opened(write_libero(tmp_path / "a.hdf5", demos(2), control_freq=10)))


@pytest.mark.parametrize("convention", ["opencv", ""])
def test_pictures_that_may_stand_otherwise_are_refused(tmp_path, convention):
    """The file says that they are upright, or says nothing; the contract turns them."""
    path = write_libero(tmp_path / "a.hdf5", demos(1), convention=convention)
    with pytest.raises(ImportDataError, match=r"picture orientation.*rotate_180"):
        opened(path)


def test_a_base_that_is_not_known_is_refused(tmp_path):
    """Positions can't be put into the robot's frame without the model, and a turned base is not expected."""
    for number, model in enumerate(["", "<mujoco/>", "<broken", '<a><body name="robot0_base" quat="0 0 0 1"/></a>']):
        path = write_libero(tmp_path / f"{number}.hdf5", demos(1), model=model)
        with pytest.raises(ImportDataError, match="model_file"):
            opened(path).read(0)


def test_a_model_with_entities_is_refused(tmp_path):
    """Before anything is expanded."""
    bomb = '<!DOCTYPE a [<!ENTITY b "boom">]><a>&b;</a>'
    with pytest.raises(ImportDataError, match="DOCTYPE"):
        opened(write_libero(tmp_path / "a.hdf5", demos(1), model=bomb)).read(0)


def test_a_missing_dataset_names_those_there_are(tmp_path):
    """The mapping speaks of one that the file lacks."""
    path = write_libero(tmp_path / "a.hdf5", demos(1), plant=lambda rows: {"actions": rows["actions"]})
    with pytest.raises(ImportDataError, match=r"expected one of \['actions'\]"):
        opened(path).read(0)


def test_a_damaged_file_is_refused(tmp_path):
    """Cut in half, or of another layout."""
    path = write_libero(tmp_path / "a.hdf5", demos(1))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ImportDataError, match="expected an HDF5 file"):
        opened(path)
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file.create_group("episodes")
    with pytest.raises(ImportDataError, match=r"group 'data'.*episodes"):
        opened(tmp_path / "b.hdf5")


def test_the_base_is_taken_from_the_model(tmp_path):
    """Positions are from the robot's base, whose place in the world is in each demonstration."""
    (original,) = demos(1)
    foreign = LiberoHdf5([write_libero(tmp_path / "a.hdf5", [original])], upside_down=True)
    found = foreign.read(0, features=["base/ee_pos", "obs/ee_pos"])
    np.testing.assert_allclose(
        BASE_IN_WORLD_M, (found.number("obs/ee_pos") - found.number("base/ee_pos"))[0], atol=1e-15
    )
