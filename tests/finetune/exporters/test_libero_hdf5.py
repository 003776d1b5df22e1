import json
import tempfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.spatial.transform import Rotation

from magma_ros.errors import EpisodeError, ImportDataError
from magma_ros.finetune.exporters.libero_hdf5 import export_hdf5, libero_actions
from magma_ros.finetune.importers.exported_hdf5 import ExportedHdf5
from magma_ros.finetune.importers.importing import import_episodes
from magma_ros.sim.libero.convention import FRAME, to_osc
from magma_ros.types import Action
from tests.examples import CONTRACT, make_episode
from tests.finetune.exporters.round_trips import assert_same, episodes, written


@settings(max_examples=8, deadline=None)
@given(episodes(num_joints=7))
def test_an_episode_comes_back_to_the_bit(original):
    """Numbers, pictures, times, words and marks; through HDF5 in LIBERO's layout."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = written(Path(folder) / "in", [original])
        export_hdf5(dataset, Path(folder) / "out")
        source = ExportedHdf5([Path(folder) / "out"])
        assert CONTRACT == source.contract
        assert {"env": "invented"} == dict(source.origin)
        assert_same(original, source.read(0))


def test_each_instruction_has_a_file_and_the_order_comes_back(tmp_path):
    """As LIBERO has a file a task; two instructions of like spelling have two."""
    sentences = ["put it down", "Put it down!", "put it down", "lift it"]
    originals = [make_episode(seed=seed, instruction=text) for seed, text in enumerate(sentences)]
    report = export_hdf5(written(tmp_path / "in", originals), tmp_path / "out")
    assert 3 == len(report.files) == len(list((tmp_path / "out").iterdir()))
    assert tmp_path / "out" / "put_it_down_demo.hdf5" == report.files[0]
    source = ExportedHdf5(list(report.files))
    assert sentences == [source.read(index).instruction for index in range(len(source))]


def test_no_two_instructions_share_a_file(tmp_path):
    """Neither those that differ in a space alone, nor one that ends as another's number does."""
    sentences = ["pick up", "pick_up", "Stack block", "stack block 2", "stack_block"]
    originals = [make_episode(seed=seed, instruction=text) for seed, text in enumerate(sentences)]
    report = export_hdf5(written(tmp_path / "in", originals), tmp_path / "out")
    names = ["pick_up", "pick_up_1", "stack_block_2", "stack_block_2_3", "stack_block"]
    assert [f"{name}_demo.hdf5" for name in names] == [path.name for path in report.files]
    source = ExportedHdf5(list(report.files))
    assert sentences == [source.read(index).instruction for index in range(len(source))]


def test_an_export_is_a_dataset_again(tmp_path):
    """Imported, its episodes, contract and source are those of the dataset that was exported."""
    original = make_episode()
    dataset = written(tmp_path / "in", [original])
    export_hdf5(dataset, tmp_path / "out")
    source = ExportedHdf5([tmp_path / "out"])
    import_episodes(source, tmp_path / "again", accept=["irregular_rate"])
    again = type(dataset)(tmp_path / "again")
    assert_same(original, again.read(0))
    assert (dataset.contract, dict(dataset.source)) == (again.contract, dict(again.source))


def test_the_numbers_for_others_are_liberos(tmp_path):
    """Names, shapes and units as LIBERO's script writes them, which robomimic reads."""
    actions = np.array([[0.01, 0, 0, 0, 0.1, 0, 1.0], [0.0, -0.02, 0, 0, 0, 0, 0.0]])
    contract = replace(CONTRACT, cameras=(replace(CONTRACT.cameras[0], name="image", rotate_180=True),))
    original = make_episode(2, actions=actions)
    dataset = written(tmp_path / "in", [original])
    dataset.contract = contract
    (path,) = export_hdf5(dataset, tmp_path / "out").files
    with h5py.File(path) as file:
        data = file["data"]
        demo = data["demo_0"]
        assert "put carrot on plate" == json.loads(data.attrs["problem_info"])["language_instruction"]
        assert ("opengl", 1, 2) == (data.attrs["macros_image_convention"], data.attrs["num_demos"], data.attrs["total"])
        assert 2 == demo.attrs["num_samples"]
        np.testing.assert_allclose(
            [[0.2, 0, 0, 0, 0.2, 0, -1], [0, -0.4, 0, 0, 0, 0, 1]], demo["actions"][()], atol=1e-12
        )
        np.testing.assert_array_equal([[0, 1], [0, 1]], [demo["dones"][()], demo["rewards"][()]])
        np.testing.assert_allclose(0.04 * original.gripper_opening, demo["obs/gripper_states"][:, 0])
        turns = Rotation.from_quat(original.ee_quat_xyzw).as_rotvec()
        np.testing.assert_array_equal(np.hstack([original.ee_position_m, turns]), demo["obs/ee_states"][()])
        assert (2, 9) == demo["robot_states"].shape
        np.testing.assert_array_equal(original.images["image"], demo["obs/image_rgb"][()])


def test_inside_its_box_the_numbers_are_those_of_our_libero_environment():
    """What `to_osc` gives the simulator."""
    draw = np.random.default_rng(0)
    actions = np.hstack(
        [draw.uniform(-0.05, 0.05, (20, 3)), draw.uniform(-0.5, 0.5, (20, 3)), draw.uniform(0, 1, (20, 1))]
    )
    expected = [to_osc(Action.from_array(row, frame=FRAME)) for row in actions]
    np.testing.assert_array_equal(expected, libero_actions(actions))


def test_steps_that_liberos_controller_would_cut_are_counted(tmp_path):
    """An action of 6 cm is more than its box."""
    actions = np.zeros((3, 7))
    actions[1, 0] = 0.055
    assert 1 == export_hdf5(written(tmp_path / "in", [make_episode(3, actions=actions)]), tmp_path / "out").num_beyond


def test_actions_that_were_edited_are_not_imported_as_ours(tmp_path):
    """LIBERO's numbers and ours would say different things."""
    (path,) = export_hdf5(written(tmp_path / "in", [make_episode()]), tmp_path / "out").files
    with h5py.File(path, "r+") as file:
        file["data/demo_0/actions"][0, 0] += 0.1
    with pytest.raises(ImportDataError, match="changed after the export"):
        ExportedHdf5([path]).read(0)


def test_nothing_is_written_over(tmp_path):
    """A folder with files of an earlier export is refused."""
    dataset = written(tmp_path / "in", [make_episode()])
    export_hdf5(dataset, tmp_path / "out")
    with pytest.raises(EpisodeError, match="expected no HDF5 files"):
        export_hdf5(dataset, tmp_path / "out")


def test_a_file_of_another_is_no_export(tmp_path):
    """It lacks our attribute."""
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_group("data").create_group("demo_0")
    with pytest.raises(ImportDataError, match="'magma_ros'"):
        ExportedHdf5([tmp_path / "a.hdf5"])
