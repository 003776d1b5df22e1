import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from magma_ros import arms
from magma_ros.contract import CameraSpec
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import CheckpointError, ContractError, InvalidInputError, PolicyError
from magma_ros.load_options import LoadOptions
from magma_ros.policies import open_policy
from magma_ros.ros import interface
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.policy_setup import build, load_options
from magma_ros.sim.suites import BRIDGE_LIMITS
from magma_ros.types import ActionChunk, Observation
from tests import examples
from tests.examples import make_proprio

CONFIG = Path(__file__).resolve().parents[2] / "config" / "params.yaml"


def contract(*cameras):
    return replace(examples.CONTRACT, max_translation_m=0.05, cameras=tuple(CameraSpec(name, 8, 8) for name in cameras))


class StillPolicy:
    def __init__(self, *cameras, fails=False):
        self.contract, self.num_asked, self._fails, self.is_closed = contract(*cameras), 0, fails, False

    def infer(self, observation):
        self.num_asked += 1
        if self._fails:
            raise PolicyError("told to fail")
        return ActionChunk(np.zeros((1, 7)), "base_link", observation.stamp_s, np.empty((0, 7), np.int64))

    def reset(self):
        pass

    def close(self):
        self.is_closed = True


def build_with(parameters, policy=None, *, load=None, arm=None):
    arm = arm or arms.load("sim")
    return build(parameters, arm=arm, measured=MeasuredState(arm), load=load or (lambda *_: policy))


@pytest.fixture
def parameters(tmp_path):
    return {row.name: row.default for row in interface.POLICY_PARAMETERS} | {"checkpoint": str(tmp_path)}


def test_the_policy_is_warm_when_the_node_is_configured(parameters, tmp_path):
    """Building opens the named checkpoint with the asked options, and asks the policy once."""
    policy, asked = StillPolicy("image"), []
    made = build_with(parameters | {"dtype": "bfloat16"}, load=lambda *wanted: asked.append(wanted) or policy)
    assert asked == [(str(tmp_path), LoadOptions(dtype="bfloat16"), 5.0)]
    assert (made.policy, made.checkpoint, policy.num_asked) == (policy, tmp_path.name, 1)


def test_a_checkpoint_must_be_named(parameters):
    """Without a name nothing is loaded."""
    with pytest.raises(CheckpointError, match="checkpoint"):
        build_with(parameters | {"checkpoint": ""}, load=lambda *_: pytest.fail("loaded"))


@pytest.mark.parametrize("name", ["/nowhere/at/all", "."])
def test_what_is_no_checkpoint_is_refused(parameters, name, tmp_path, monkeypatch):
    """A folder that is not there, and one that holds no checkpoint, are refused by the real loader."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError):
        build_with(parameters | {"checkpoint": name}, load=open_policy)


def test_every_option_of_loading_is_a_parameter(parameters):
    """Each field of LoadOptions is read from the parameter of its name; the defaults are the same."""
    assert LoadOptions() == load_options(parameters)
    others = LoadOptions("cuda:1", "bfloat16", "int8", "bridge_widowx", True, 0.7, 3)  # noqa: FBT003
    assert others == load_options(parameters | dataclasses.asdict(others))


def test_a_policy_for_a_camera_that_the_arm_has_not_is_refused(parameters):
    """A checkpoint that wants a wrist camera is named with its cameras and the arm's."""
    with pytest.raises(ContractError, match="wrist"):
        build_with(parameters, load=lambda *_: StillPolicy("image", "wrist"))


def test_a_policy_that_does_not_answer_is_refused(parameters):
    """A failing first inference fails the configuration."""
    with pytest.raises(PolicyError, match="told to fail"):
        build_with(parameters, load=lambda *_: StillPolicy("image", fails=True))


def test_an_instruction_that_cannot_be_used_is_refused_at_once(parameters):
    """The parameter `instruction` is checked before the checkpoint is loaded."""
    with pytest.raises(InvalidInputError, match="instruction"):
        build_with(parameters | {"instruction": "two\nlines"}, load=lambda *_: pytest.fail("loaded"))


def test_the_arm_s_file_and_the_evaluation_limit_alike(parameters):
    """With the simulated arm the controller has the limits of its evaluation, and the entropies asked for."""
    made = build_with(parameters | {"entropy_slow_nats": 1.0}, StillPolicy("image"))
    expected = replace(BRIDGE_LIMITS, entropy_slow_nats=1.0, entropy_hold_nats=4.4)
    assert expected == made.controller.limits
    assert (0.6, 0.6) == (made.camera_timeout_s, made.max_observation_age_s)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [((0.0, 0.0), (2.0, 2.5)), ((0.0, 2.25), (2.0, 2.25)), ((4.5, 5.0), (4.5, 5.0))],
)
def test_a_checkpoint_says_how_unsure_it_may_be(parameters, asked, expected):
    """Its own bounds count, unless a parameter names another."""
    policy = StillPolicy("image")
    policy.entropy_bounds = EntropyBounds(2.0, 2.5)
    wanted = dict(zip(("entropy_slow_nats", "entropy_hold_nats"), asked, strict=True))
    limits = build_with(parameters | wanted, policy).controller.limits
    assert expected == (limits.entropy_slow_nats, limits.entropy_hold_nats)


def test_bounds_out_of_order_are_refused(parameters):
    """Slowing above what holds makes no sense: the node is not configured."""
    policy = StillPolicy("image")
    policy.entropy_bounds = EntropyBounds(2.0, 2.5)
    with pytest.raises(ContractError, match="slow <= hold"):
        build_with(parameters | {"entropy_slow_nats": 3.0}, policy)


def test_the_rate_may_be_asked_for(parameters):
    """The contract that is published carries the rate that pictures are acted on at."""
    assert build_with(parameters, StillPolicy("image")).contract.control_rate_hz == 5.0
    made = build_with(parameters | {"control_rate_hz": 20.0}, StillPolicy("image"))
    assert (20.0, 0.05) == (made.contract.control_rate_hz, made.pacer.period_s)


def test_an_arm_in_another_frame_is_refused(parameters):
    """Displacements in one frame and limits in another do not go together."""
    with pytest.raises(ContractError, match="fr3_link0"):
        build_with(parameters, StillPolicy("image"), arm=arms.load("fr3"))


def test_a_chunk_is_executed_at_the_rate_that_was_asked_for(parameters):
    """Asked for half the contract's rate, each of a chunk's four actions is due once, twice as far apart."""

    class Counting(StillPolicy):
        def infer(self, observation):
            self.num_asked += 1
            rows = np.zeros((4, 7))
            rows[:, 0] = 0.001 * np.arange(4)
            return ActionChunk(rows, "base_link", observation.stamp_s, np.empty((0, 7), np.int64))

    made = build_with(parameters | {"control_rate_hz": 2.5, "execution_horizon": 4}, Counting("image"))
    seen = Observation(
        {"image": np.zeros((8, 8, 3), np.uint8)}, "go", 0.0, make_proprio(list(arms.load("sim").home.ee_position_m))
    )
    done = [made.controller.tick(replace(seen, stamp_s=now_s), now_s) for now_s in (0.0, 0.4, 0.8, 1.2)]
    assert [0.0, 0.001, 0.002, 0.003] == [float(safe.action.translation_m[0]) for safe in done]
    assert 2 == made.policy.num_asked  # one of them to warm up


@pytest.mark.parametrize(
    ("changes", "policy"), [({}, StillPolicy("wrist")), ({"entropy_slow_nats": 5.0}, StillPolicy("image"))]
)
def test_a_policy_that_cannot_be_used_is_closed(parameters, changes, policy):
    """What was opened for a configuration that fails does not stay open."""
    with pytest.raises(ContractError):
        build_with(parameters | changes, policy)
    assert policy.is_closed


def test_the_file_of_further_parameters_holds_the_defaults():
    """config/params.yaml names only parameters that exist, with the values that they have without it."""
    for node, content in yaml.safe_load(CONFIG.read_text()).items():
        assert node == "/**/policy_node"
        defaults = {row.name: row.default for row in interface.POLICY_PARAMETERS}
        given = content["ros__parameters"]
        assert given == {name: defaults[name] for name in given}


class Talker(StillPolicy):
    """Says what it is told to, or wants to act."""

    talks, predicts_traces = True, False

    def __init__(self, *names, error=None):
        super().__init__(*names)
        self.asked, self._error = [], error

    def talk(self, question):
        self.asked.append(question)
        if self._error is not None:
            raise self._error
        yield "Well"
        raise AssertionError("one word is enough to warm up")


@pytest.mark.parametrize("error", [None, PolicyError("the model wants to act, not to talk")])
def test_a_policy_that_talks_says_one_word_before_it_is_needed(parameters, error):
    """So the first piece of a real answer is not the slow one; a checkpoint that only wants to act acts anyway."""
    policy = Talker("image", error=error)
    assert policy is build_with(parameters, policy).policy
    (question,) = policy.asked
    assert 1 == question.max_new_tokens
