"""The one path from observations to model inputs and from tokens to actions."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import (
    ActionDecodeError,
    CheckpointError,
    ContractError,
    InvalidInputError,
    NormalizationError,
)
from magma_ros.normalization import NormStats
from magma_ros.pipeline import MANIFEST_NAME, STATISTICS_NAME, Pipeline, PipelineConfig
from tests.examples import (
    CONTRACT,
    make_action,
    make_config,
    make_observation,
    make_pipeline,
    make_stats,
    write_pipeline,
)

GOLDEN_FINGERPRINT = "7648a08cd85578eebd9b4fd8ee5c66fcbb568cd401f32cb6fae1cb3245269d65"
OTHER_CONTRACT_VALUES = {
    "embodiment": "other_arm",
    "frame": "tool0",
    "rotation_form": "rotation_vector",
    "gripper_polarity": "open_is_zero",
    "reference": "measured",
    "control_rate_hz": 10.0,
    "max_translation_m": 0.07,
    "max_rotation_rad": 0.6,
    "cameras": (CameraSpec("wrist", 32, 48),),
}
OTHER_CAMERA_VALUES = {"name": "wrist", "height_px": 33, "width_px": 49, "rotate_180": True, "resampling": "lanczos3"}
OTHER_STATS_VALUES = {
    "q01": [-0.5] * 7,
    "q99": [2.0] * 7,
    "mean": [0.1] * 7,
    "std": [0.5] * 7,
    "minimum": [-0.6] * 7,
    "maximum": [3.0] * 7,
    "mask": [True] * 7,
}
OTHER_CONFIG_VALUES = {
    "contract": dataclasses.replace(CONTRACT, frame="tool0"),
    "norm_stats": make_stats(q01=[-0.5] * 7),
    "base_vocab_size": 8192,
    "use_image_start_end": False,
    "lowercase_instruction": True,
    "action_horizon": 4,
}
small = st.floats(-0.029, 0.029)
turns = st.floats(-0.1, 0.1)


def test_model_input_has_resized_pictures_in_contract_order() -> None:
    """Cameras come in the contract's order and size, whatever the observation's order and extra cameras."""
    contract = dataclasses.replace(CONTRACT, cameras=(CameraSpec("b", 10, 12), CameraSpec("a", 6, 6, rotate_180=True)))
    first, second = np.full((20, 24, 3), 10, np.uint8), np.arange(108, dtype=np.uint8).reshape(6, 6, 3)
    observation = make_observation(images={"a": second, "unused": first, "b": first})
    shown = make_pipeline(contract=contract).encode(observation)
    assert [image.shape for image in shown.images] == [(10, 12, 3), (6, 6, 3)]
    np.testing.assert_array_equal(second[::-1, ::-1], shown.images[1])
    assert shown.prompt.count("<image>") == 2


def test_lower_case_is_an_option() -> None:
    """The instruction is lowered only when the checkpoint was trained so."""
    observation = make_observation(instruction="Put CARROT on plate")
    assert "to Put CARROT on plate?" in make_pipeline().encode(observation).prompt
    assert "to put carrot on plate?" in make_pipeline(lowercase_instruction=True).encode(observation).prompt


def test_missing_camera_names_the_available_ones() -> None:
    """An observation without the contract's camera raises."""
    observation = make_observation(images={"wrist": np.zeros((4, 4, 3), np.uint8)})
    with pytest.raises(InvalidInputError, match=r"'image'.*wrist"):
        make_pipeline().encode(observation)


@pytest.mark.parametrize("instruction", ["", "  ", "x" * 1000, "<|eot_id|>"])
def test_unusable_instructions_are_refused(instruction: str) -> None:
    """No prompt is made from nothing, from a flood or from special tokens."""
    with pytest.raises(InvalidInputError):
        make_pipeline().encode(make_observation(instruction=instruction))


@pytest.mark.parametrize("rotation_form", ["rpy", "rotation_vector"])
@pytest.mark.parametrize("gripper_polarity", ["open_is_one", "open_is_zero"])
@given(row=st.tuples(small, small, small, turns, turns, turns, st.sampled_from([0.0, 1.0])))
def test_decode_undoes_encode_target(rotation_form: str, gripper_polarity: str, row: tuple[float, ...]) -> None:
    """An action survives the tokens to within a bin, in every convention; the gripper to within 1/255."""
    contract = dataclasses.replace(CONTRACT, rotation_form=rotation_form, gripper_polarity=gripper_polarity)
    pipeline = make_pipeline(contract=contract)
    chunk = pipeline.decode(pipeline.encode_target(make_action(*row)), stamp_s=3.5)
    error = np.abs(chunk.actions[0] - row)
    assert error[:3].max() <= 0.03 / 255 + 1e-9
    assert error[3:6].max() <= 0.2 / 255 * 1.2
    assert error[6] <= 1 / 255 + 1e-9
    assert (chunk.frame, chunk.stamp_s) == ("base_link", 3.5)


def test_polarity_decides_the_grippers_token() -> None:
    """An open gripper is the number 1 in one convention and 0 in the other."""
    action = make_action(0, 0, 0, 0, 0, 0, 1.0)
    reverse = make_pipeline(contract=dataclasses.replace(CONTRACT, gripper_polarity="open_is_zero"))
    assert make_pipeline().encode_target(action)[6] == 4096 - 256
    assert reverse.encode_target(action)[6] == 4096 - 128


def test_gripper_below_zero_is_closed() -> None:
    """The lower half of the bins has no meaning for a gripper of 0 … 1 and means closed."""
    tokens = make_pipeline().encode_target(make_action())
    tokens = np.where(np.arange(7) == 6, 4095, tokens)
    assert make_pipeline().decode(tokens, stamp_s=0.0).actions[0, 6] == 0.0


def test_several_actions_are_decoded_in_order() -> None:
    """A chunk has a row for each row of tokens and keeps them."""
    pipeline = make_pipeline()
    tokens = np.stack([pipeline.encode_target(make_action(x)) for x in (-0.02, 0.0, 0.02)])
    chunk = pipeline.decode(tokens, stamp_s=0.0)
    np.testing.assert_allclose([-0.02, 0.0, 0.02], chunk.actions[:, 0], atol=2e-4)
    np.testing.assert_array_equal(tokens, chunk.tokens)


@pytest.mark.parametrize("tokens", [[4000] * 6, [4000] * 8, [4000] * 6 + [4096], [3839] + [4000] * 6, [], [[]]])
def test_anything_but_actions_is_refused(tokens: list[int]) -> None:
    """Six or eight tokens, or one just outside on either side, raise."""
    with pytest.raises(ActionDecodeError):
        make_pipeline().decode(tokens, stamp_s=0.0)


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (make_action(frame="tool0"), ContractError),
        (make_action(0.05, 0.05), ContractError),
        (make_action(0, 0, 0, 0.6), ContractError),
        (make_action(np.nan), InvalidInputError),
        (make_action(0, 0, 0, np.inf), InvalidInputError),
        (make_action(0, 0, 0, 0, 0, 0, 1.2), InvalidInputError),
        (make_action(0, 0, 0, 0, 0, 0, np.nan), InvalidInputError),
    ],
)
def test_dishonest_targets_are_refused(action: object, error: type[Exception]) -> None:
    """Another frame, a step beyond the contract or a value that is no number cannot be trained on."""
    with pytest.raises(error):
        make_pipeline().encode_target(action)


def test_explain_names_every_stage() -> None:
    """Each value between an observation and an action can be looked at."""
    pipeline, observation = make_pipeline(), make_observation()
    stages = pipeline.explain(observation, pipeline.encode_target(make_action(0.01)))
    assert stages["prompt"] == pipeline.encode(observation).prompt
    assert stages["observed_shapes"] == {"image": (64, 96, 3)}
    assert stages["pictures"]["image"].shape == (32, 48, 3)
    assert stages["fingerprint"] == pipeline.fingerprint()
    assert stages["actions"][0, 0] == pytest.approx(0.01, abs=1e-3)
    assert "actions" not in pipeline.explain(observation)


def test_every_field_has_another_value_in_the_fingerprint_tests() -> None:
    """A new knob has to be added to the tables of this file."""
    for kind, table in (
        (ActionContract, OTHER_CONTRACT_VALUES),
        (CameraSpec, OTHER_CAMERA_VALUES),
        (NormStats, OTHER_STATS_VALUES),
        (PipelineConfig, OTHER_CONFIG_VALUES),
    ):
        assert {field.name for field in dataclasses.fields(kind)} == set(table)


@pytest.mark.parametrize("name", OTHER_CONFIG_VALUES)
def test_fingerprint_covers_the_configuration(name: str) -> None:
    """Every field of the configuration changes the fingerprint."""
    assert make_pipeline(**{name: OTHER_CONFIG_VALUES[name]}).fingerprint() != make_pipeline().fingerprint()


@pytest.mark.parametrize("name", OTHER_CONTRACT_VALUES)
def test_fingerprint_covers_the_contract(name: str) -> None:
    """Every field of the contract changes the fingerprint."""
    contract = dataclasses.replace(CONTRACT, **{name: OTHER_CONTRACT_VALUES[name]})
    assert make_pipeline(contract=contract).fingerprint() != make_pipeline().fingerprint()


@pytest.mark.parametrize("name", OTHER_CAMERA_VALUES)
def test_fingerprint_covers_each_camera(name: str) -> None:
    """Every field of a camera changes the fingerprint."""
    camera = dataclasses.replace(CONTRACT.cameras[0], **{name: OTHER_CAMERA_VALUES[name]})
    contract = dataclasses.replace(CONTRACT, cameras=(camera,))
    assert make_pipeline(contract=contract).fingerprint() != make_pipeline().fingerprint()


@pytest.mark.parametrize("name", OTHER_STATS_VALUES)
def test_fingerprint_covers_the_statistics(name: str) -> None:
    """Every column statistic changes the fingerprint."""
    stats = make_stats(**{name: OTHER_STATS_VALUES[name]})
    assert make_pipeline(norm_stats=stats).fingerprint() != make_pipeline().fingerprint()


def test_fingerprint_is_the_same_in_every_process() -> None:
    """The fingerprint is a constant of the configuration: a change here breaks every checkpoint that exists."""
    program = "from tests.examples import make_pipeline; print(make_pipeline().fingerprint())"
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == GOLDEN_FINGERPRINT
    assert make_pipeline().fingerprint() == GOLDEN_FINGERPRINT


def test_config_json_round_trip_is_exact() -> None:
    """A configuration that went through JSON is the same, and gives the same fingerprint."""
    config = make_config(norm_stats=make_stats(q01=[-1 / 3] * 7))
    back = PipelineConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert config == back
    assert Pipeline(config).fingerprint() == Pipeline(back).fingerprint()


def test_config_with_unknown_fields_is_refused() -> None:
    """A knob that this version does not know is not ignored."""
    with pytest.raises(ContractError, match="image_mean"):
        PipelineConfig.from_dict({**make_config().to_dict(), "image_mean": 0.5})


def test_a_longer_answer_is_another_pipeline(tmp_path: Path) -> None:
    """Its horizon is saved, and in the fingerprint; a manifest from before there was a choice says one action."""
    longer, usual = make_pipeline(action_horizon=4), make_pipeline()
    write_pipeline(tmp_path, longer)
    assert 4 == Pipeline.load(tmp_path).action_horizon
    assert longer.fingerprint() != usual.fingerprint()
    write_pipeline(tmp_path, usual)
    manifest = json.loads((tmp_path / MANIFEST_NAME).read_text())
    del manifest["action_horizon"]
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(manifest))
    assert usual.config == Pipeline.load(tmp_path).config


@pytest.mark.parametrize("action_horizon", [0, -1, 65, 2.0, True])
def test_a_horizon_that_is_none_is_refused(action_horizon: object) -> None:
    """From 1 to 64, and whole."""
    with pytest.raises(ContractError, match="action_horizon: expected 1 to 64"):
        make_pipeline(action_horizon=action_horizon)


def test_folder_round_trip_keeps_the_pipeline_and_other_manifest_keys(tmp_path: Path) -> None:
    """What is saved is loaded again; what others wrote into the manifest stays."""
    (tmp_path / MANIFEST_NAME).write_text('{"files": {"a": "b"}}')
    pipeline = make_pipeline(lowercase_instruction=True)
    write_pipeline(tmp_path, pipeline)
    assert pipeline.config == Pipeline.load(tmp_path).config
    assert json.loads((tmp_path / MANIFEST_NAME).read_text())["files"] == {"a": "b"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", {"mm_use_image_start_end": False}),
        ("config.json", {"tokenizer_vocab_size": 4097}),
        ("config.json", {"tokenizer_vocab_size": "4096"}),
        ("config.json", {"mm_use_image_start_end": "false"}),
        ("config.json", {"mm_use_image_start_end": None}),
        (MANIFEST_NAME, {"lowercase_instruction": True}),
        (MANIFEST_NAME, {"action_horizon": 4}),
        (MANIFEST_NAME, {"action_horizon": "1"}),
        (MANIFEST_NAME, {"fingerprint": "0" * 64}),
        (MANIFEST_NAME, {"fingerprint": None}),
        (MANIFEST_NAME, {"format": 2}),
        (MANIFEST_NAME, {"contract": CONTRACT.to_dict() | {"max_translation_m": 1.0}}),
    ],
)
def test_altered_folder_is_refused(tmp_path: Path, name: str, change: dict[str, object]) -> None:
    """A knob that was changed, emptied or mistyped after training raises."""
    write_pipeline(tmp_path, make_pipeline())
    document = json.loads((tmp_path / name).read_text()) | change
    (tmp_path / name).write_text(json.dumps(document))
    with pytest.raises(CheckpointError):
        Pipeline.load(tmp_path)


def test_altered_statistics_are_refused(tmp_path: Path) -> None:
    """Statistics of the right shape but with other numbers raise."""
    write_pipeline(tmp_path, make_pipeline())
    document = json.loads((tmp_path / STATISTICS_NAME).read_text())
    document["toy_arm"]["action"]["q99"][0] += 1e-9
    (tmp_path / STATISTICS_NAME).write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="fingerprint"):
        Pipeline.load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", MANIFEST_NAME, STATISTICS_NAME])
@pytest.mark.parametrize("text", [None, "", "[]", "\x00"])
def test_incomplete_folder_is_refused(tmp_path: Path, name: str, text: str | None) -> None:
    """A file that is missing or holds no JSON object raises."""
    write_pipeline(tmp_path, make_pipeline())
    (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    with pytest.raises((CheckpointError, NormalizationError)):
        Pipeline.load(tmp_path)


def test_statistics_of_another_embodiment_are_refused(tmp_path: Path) -> None:
    """A contract for another arm finds no statistics, and the error names those there are."""
    write_pipeline(tmp_path, make_pipeline())
    document = json.loads((tmp_path / MANIFEST_NAME).read_text())
    document["contract"]["embodiment"] = "other_arm"
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(document))
    with pytest.raises(NormalizationError, match="toy_arm"):
        Pipeline.load(tmp_path)
