import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from magma_ros.contract import CameraSpec
from magma_ros.errors import CheckpointError, ContractError, InvalidInputError, PolicyError
from magma_ros.load_options import LoadOptions
from magma_ros.policies import open_policy
from magma_ros.ros import interface
from magma_ros.ros.policy_setup import build, load_options, safety_limits
from magma_ros.sim.suites import BRIDGE_LIMITS
from magma_ros.types import ActionChunk
from tests import examples

CONFIG = Path(__file__).resolve().parents[2] / "config" / "sim_wx250s.yaml"


def contract(*cameras):
    return replace(examples.CONTRACT, max_translation_m=0.05, cameras=tuple(CameraSpec(name, 8, 8) for name in cameras))


class StillPolicy:
    def __init__(self, *cameras, fails=False):
        self.contract, self.num_asked, self._fails = contract(*cameras), 0, fails

    def infer(self, observation):
        self.num_asked += 1
        if self._fails:
            raise PolicyError("told to fail")
        return ActionChunk(np.zeros((1, 7)), "base_link", observation.stamp_s, np.empty((0, 7), np.int64))

    def reset(self):
        pass

    def close(self):
        pass


@pytest.fixture
def parameters(tmp_path):
    return {row.name: row.default for row in interface.POLICY_PARAMETERS} | {"checkpoint": str(tmp_path)}


def test_the_policy_is_warm_when_the_node_is_configured(parameters, tmp_path):
    """Building opens the named checkpoint with the asked options, and asks the policy once."""
    policy, asked = StillPolicy("image"), []
    made = build(parameters | {"dtype": "bfloat16"}, load=lambda *wanted: asked.append(wanted) or policy)
    assert asked == [(str(tmp_path), LoadOptions(dtype="bfloat16"), 5.0)]
    assert (made.policy, made.checkpoint, policy.num_asked) == (policy, tmp_path.name, 1)


def test_a_checkpoint_must_be_named(parameters):
    """Without a name nothing is loaded."""
    with pytest.raises(CheckpointError, match="checkpoint"):
        build(parameters | {"checkpoint": ""}, load=lambda *_: pytest.fail("loaded"))


@pytest.mark.parametrize("name", ["/nowhere/at/all", "."])
def test_what_is_no_checkpoint_is_refused(parameters, name, tmp_path, monkeypatch):
    """A folder that is not there, and one that holds no checkpoint, are refused by the real loader."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError):
        build(parameters | {"checkpoint": name}, load=open_policy)


def test_every_option_of_loading_is_a_parameter(parameters):
    """Each field of LoadOptions is read from the parameter of its name; the defaults are the same."""
    assert LoadOptions() == load_options(parameters)
    others = LoadOptions("cuda:1", "bfloat16", "int8", "bridge_widowx", True, 0.7, 3)  # noqa: FBT003
    assert others == load_options(parameters | dataclasses.asdict(others))


def test_a_policy_for_two_cameras_is_refused(parameters):
    """This node feeds one picture; a checkpoint that wants two is named with its cameras."""
    with pytest.raises(ContractError, match="wrist"):
        build(parameters, load=lambda *_: StillPolicy("image", "wrist"))


def test_a_policy_that_does_not_answer_is_refused(parameters):
    """A failing first inference fails the configuration."""
    with pytest.raises(PolicyError, match="told to fail"):
        build(parameters, load=lambda *_: StillPolicy("image", fails=True))


def test_an_instruction_that_cannot_be_used_is_refused_at_once(parameters):
    """The parameter `instruction` is checked before the checkpoint is loaded."""
    with pytest.raises(InvalidInputError, match="instruction"):
        build(parameters | {"instruction": "two\nlines"}, load=lambda *_: pytest.fail("loaded"))


def test_limits_left_at_zero_are_those_of_the_contract(parameters):
    """Zero takes the contract's bounds, and there is no box unless one is set."""
    limits = safety_limits(parameters, contract("image"))
    assert (limits.max_translation_step_m, limits.max_rotation_step_rad) == (0.05, 0.5)
    assert (limits.max_step_change_m, limits.workspace_min_m) == (0.1, None)


@pytest.mark.parametrize("corners", [((0.0, 0.0, 0.0), None), ((0.0, 0.0), (1.0, 1.0))])
def test_half_a_workspace_is_refused(parameters, corners):
    """One corner, and a corner of two numbers, are refused."""
    box = dict(zip(("workspace_min_m", "workspace_max_m"), corners, strict=True))
    with pytest.raises(ContractError, match="workspace"):
        safety_limits(parameters | box, contract("image"))


def test_the_simulated_arm_s_file_gives_the_limits_of_the_evaluation(parameters):
    """config/sim_wx250s.yaml and the simulator's evaluation limit the arm alike."""
    own = yaml.safe_load(CONFIG.read_text())["/**/policy_node"]["ros__parameters"]
    own = {name: tuple(value) if isinstance(value, list) else value for name, value in own.items()}
    assert safety_limits(parameters | own, contract("image")) == BRIDGE_LIMITS


def test_the_simulated_arm_s_file_sets_only_parameters_that_exist():
    """Every key of the file is a row of the interface table."""
    rows = {"policy_node": interface.POLICY_PARAMETERS, "arm_node": interface.ARM_PARAMETERS}
    for node, content in yaml.safe_load(CONFIG.read_text()).items():
        names = {row.name for row in rows[node.rpartition("/")[2]]}
        assert set(content["ros__parameters"]) <= names, json.dumps(content)
