import copy

import numpy as np
import pytest
import yaml

from magma_ros.errors import ContractError, ImportDataError
from magma_ros.finetune.importers import mapping
from magma_ros.finetune.importers.foreign import ForeignEpisode
from magma_ros.finetune.importers.mapping import Numbers, Opening, Orientation

GOOD = {
    "contract": "bridge_widowx",
    "images": {"image": "picture"},
    "action": {
        "from": "commanded",
        "translation": {"feature": "action", "columns": [0, 1, 2], "metres": 0.001},
        "rotation": {"feature": "action", "columns": [3, 4, 5], "form": "rpy", "radians": 1.0},
        "gripper": {"feature": "action", "column": 6, "closed": 0.0, "open": 100.0},
    },
    "ee_position": {"feature": "state", "columns": [0, 1, 2], "metres": 1.0},
    "ee_rotation": {"feature": "state", "columns": [6, 3, 4, 5], "form": "quat_wxyz"},
    "gripper_opening": {"feature": "state", "column": 7, "closed": 1.0, "open": 0.0},
    "success": True,
}


def loaded(folder, document):
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(document))
    return mapping.load(path)


def changed(**parts):
    document = copy.deepcopy(GOOD)
    for name, value in parts.items():
        *path, last = name.split("__")
        part = document
        for key in path:
            part = part[key]
        part[last] = value
    return document


@pytest.mark.parametrize("name", mapping.available())
def test_every_mapping_of_ours_can_be_used(name):
    """It fits the schema, and has a feature for each camera of its contract."""
    found = mapping.load(name)
    assert {camera.name for camera in found.contract.cameras} <= set(found.images)


def test_there_are_mappings_for_libero_and_bridge():
    """In each of the formats that they are spread in."""
    assert ["bridge_lerobot", "bridge_rlds", "libero_hdf5", "libero_lerobot", "libero_rlds"] == mapping.available()


def test_units_and_order_are_those_of_the_file(tmp_path):
    """Millimetres become metres, a quaternion with w first becomes xyzw, an inverted gripper 0 closed to 1 open."""
    found = loaded(tmp_path, GOOD)
    state = np.array([[0.1, 0.2, 0.3, 0.0, 0.6, 0.0, 0.8, 0.25]])
    action = np.array([[10.0, 0.0, -20.0, 0.0, 0.0, 0.0, 75.0]])
    episode = ForeignEpisode({"state": state, "action": action}, {}, "", 0)
    np.testing.assert_allclose([[0.01, 0.0, -0.02]], found.translation.of(episode))
    np.testing.assert_array_equal([[0.0, 0.6, 0.0, 0.8]], found.ee_rotation.of(episode))
    assert [0.75] == found.gripper.of(episode).tolist()
    assert [0.75] == found.gripper_opening.of(episode).tolist()
    assert {"state", "action", "picture"} == found.features


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (changed(action__translation__metre=1.0), "action.translation.metre: expected no such key"),
        (changed(success="yes"), "success: expected a value of type boolean"),
        (
            changed(action__rotation__form="euler"),
            r"action.rotation.form: expected one of \['rpy', 'rotation_vector'\]",
        ),
        (changed(action__from="measured"), "neither from 'measured'"),
        (changed(ee_rotation__columns=[3, 4, 5]), "4 columns for a quaternion"),
        (changed(gripper_opening__open=1.0), "gripper_opening: expected different numbers"),
        (changed(images={"wrist": "picture"}), r"\['image'\] have none"),
        ({key: value for key, value in GOOD.items() if key != "ee_position"}, "ee_position: expected, but missing"),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path, document, match):
    """With its key and what was expected."""
    with pytest.raises(ImportDataError, match=match):
        loaded(tmp_path, document)


def test_an_unknown_contract_or_mapping_names_those_there_are(tmp_path):
    """Both are said with what is available."""
    with pytest.raises(ContractError, match="bridge_widowx"):
        loaded(tmp_path, changed(contract="bridge"))
    with pytest.raises(ImportDataError, match="libero_hdf5"):
        mapping.load("libero")


def test_columns_that_are_not_there_are_refused():
    """The feature is narrower than the mapping says."""
    episode = ForeignEpisode({"state": np.zeros((3, 4))}, {}, "", 0)
    with pytest.raises(ImportDataError, match="it has 4 columns"):
        Numbers("state", (2, 3, 4)).of(episode)
    with pytest.raises(ImportDataError, match=r"expected one of \['state'\], got 'gripper'"):
        Opening("gripper", 0, 0.0, 1.0).of(episode)


def test_numbers_that_are_no_orientation_are_refused():
    """Euler angles in the columns of a quaternion."""
    episode = ForeignEpisode({"state": np.array([[3.0, 0.1, 0.2, 0.0]])}, {}, "", 0)
    with pytest.raises(ImportDataError, match="unit norm"):
        Orientation(Numbers("state", (0, 1, 2, 3)), "quat_xyzw").of(episode)
