"""No policy acts whose network ignores what it is shown, or whose statistics or golden output do not fit."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from magma_ros import embodiments
from magma_ros.activation import MIN_CHANGE, activate, examine
from magma_ros.checkpoint import load_activated, load_model, load_policy, save_checkpoint
from magma_ros.contract import CameraSpec
from magma_ros.errors import ActivationError, CheckpointError
from magma_ros.golden import Golden, Question, ask
from magma_ros.load_options import LoadOptions
from magma_ros.model.adapter import MagmaModel
from magma_ros.normalization import NormStats
from magma_ros.pipeline import Pipeline
from magma_ros.policies import open_policy
from magma_ros.types import ActionPrediction, ModelInput
from tests.model.random_checkpoints import random_model

TINY = Path(__file__).parents[1] / "checkpoints" / "magma-tiny"
FLOAT32 = {"dtype": "float32", "quantization": "none", "device": "cpu"}
HALF = {**FLOAT32, "dtype": "bfloat16"}

_GOOGLE_ROBOT = embodiments.load("google_robot").norm_stats
GOOGLE_ROBOT = {"q01": _GOOGLE_ROBOT.q01, "q99": _GOOGLE_ROBOT.q99}
"""Statistics of a robot that moves four times as far in a step as Bridge's WidowX."""


@dataclass(frozen=True)
class Real:
    """A checkpoint's pipeline and model."""

    pipeline: Pipeline
    model: MagmaModel
    golden: Golden


@pytest.fixture(scope="module")
def tiny() -> Real:
    pipeline, model = Pipeline.load(TINY), load_model(TINY)
    return Real(pipeline, model, ask(pipeline, model, dtype="float32"))


@pytest.fixture(scope="module")
def nano(tmp_path_factory) -> Real:
    return make_nano(tmp_path_factory.mktemp("nano"))


@pytest.fixture(params=["nano", "tiny"])
def real(request) -> Real:
    return request.getfixturevalue(request.param)


def make_nano(folder: Path, *, seed: int = 0) -> Real:
    """A random nano checkpoint."""
    model = random_model(folder, seed=seed)
    pipeline = Pipeline.load(folder)
    return Real(pipeline, model, ask(pipeline, model, dtype="float32"))


class Adapter:
    """A real model behind a fault in what it is shown."""

    def __init__(self, model: MagmaModel, fault: Callable[[ModelInput], ModelInput]) -> None:
        self._model, self._fault = model, fault
        self.num_calls = 0

    def generate_actions(self, inputs, *, draft=None) -> ActionPrediction:
        self.num_calls += 1
        return self._model.generate_actions([self._fault(one) for one in inputs], draft=draft)

    def action_scores(self, inputs):
        self.num_calls += 1
        return self._model.action_scores([self._fault(one) for one in inputs])


class Stuck(Adapter):
    """A model that gives its first answer for ever, as one with a stale cache does."""

    def __init__(self, model: MagmaModel) -> None:
        self._seen: list[ModelInput] = []
        super().__init__(model, lambda one: (self._seen.append(one), self._seen[0])[1])


class Generating(Adapter):
    """A model whose fault shows only when it generates."""

    def action_scores(self, inputs):
        return self._model.action_scores(inputs)


def blind(one: ModelInput) -> ModelInput:
    return ModelInput(tuple(np.zeros_like(image) for image in one.images), one.prompt)


def deaf(one: ModelInput) -> ModelInput:
    return ModelInput(one.images, re.sub(r"take to .*\?", "take to move?", one.prompt))


def altered(model: MagmaModel, alter: Callable[[torch.nn.Module], object]) -> MagmaModel:
    """The model with its weights altered in place by `alter`."""
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        alter(network)
    return MagmaModel(network, model.processor)


def with_stats(pipeline: Pipeline, **changes) -> Pipeline:
    stats = replace(pipeline.config.norm_stats, **changes)
    return Pipeline(replace(pipeline.config, norm_stats=stats))


def scaled(stats: NormStats, factor: float) -> dict[str, np.ndarray]:
    """The arm's columns in another unit."""
    factors = np.array([factor] * 6 + [1.0])
    names = ("q01", "q99", "mean", "std", "minimum", "maximum")
    return {name: getattr(stats, name) * factors for name in names}


def failed(pipeline: Pipeline, model, *, golden: Golden | None = None, runtime=FLOAT32) -> list[str]:
    """Names of the checks that failed; the refusal names each of them with its numbers."""
    names = [check.name for check in examine(pipeline, model, golden=golden, runtime=runtime).failed]
    if names:
        with pytest.raises(ActivationError) as refusal:
            activate(pipeline, model, golden=golden, runtime=runtime)
        assert all(f"- {name}: " in str(refusal.value) for name in names)
    return names


def test_a_checkpoint_that_is_as_it_was_saved_acts(real: Real) -> None:
    """Every check passes in six calls of the model; pictures and instruction matter by more than rounding."""
    counted = Adapter(real.model, lambda one: one)
    report = activate(real.pipeline, counted, golden=real.golden, runtime=FLOAT32)
    assert {"passed"} == {check.outcome for check in report.checks}
    assert 6 == report.num_calls == counted.num_calls
    assert 0 < report.elapsed_s < 60
    values = {check.name: check.value for check in report.checks}
    assert 0 == values["repeatable"]
    assert min(values["image_matters"], values["instruction_matters"]) > 5 * MIN_CHANGE
    assert report.to_dict() == json.loads(json.dumps(report.to_dict(), allow_nan=False))


def test_magma_tiny_looks_and_listens(tiny: Real) -> None:
    """A trained network's scores change by a large part of their spread."""
    report = activate(tiny.pipeline, tiny.model, golden=None, runtime=FLOAT32)
    values = {check.name: check.value for check in report.checks}
    assert values["image_matters"] > 0.3
    assert values["instruction_matters"] > 0.3


def test_ignored_pictures_are_refused(real: Real) -> None:
    """An adapter that shows the network black for every picture."""
    assert ["image_matters"] == failed(real.pipeline, Adapter(real.model, blind))


def test_an_ignored_instruction_is_refused(real: Real) -> None:
    """An adapter that asks the same whatever it was told."""
    assert ["instruction_matters"] == failed(real.pipeline, Adapter(real.model, deaf))


def test_flat_scores_are_refused(real: Real) -> None:
    """An output head whose action rows are empty; what follows from the scores is then not measured, nor claimed."""
    flat = altered(real.model, lambda network: network.language_model.lm_head.weight.zero_())
    assert ["scores_not_flat"] == failed(real.pipeline, flat)
    with pytest.raises(ActivationError, match="not measured because of that: repeatable, image_matters, instruction_"):
        activate(real.pipeline, flat, golden=None, runtime=FLOAT32)


def test_constant_scores_are_refused(real: Real) -> None:
    """A model that gives one answer for ever follows neither pictures nor instruction."""
    names = failed(real.pipeline, Stuck(real.model))
    assert {"image_matters", "instruction_matters"} <= set(names)


def test_scores_that_are_not_numbers_are_refused(real: Real) -> None:
    """One weight that is not a number spoils every question, and the action too."""
    broken = altered(real.model, lambda network: network.projector.proj[0].weight[0].fill_(float("nan")))
    assert ["scores_finite", "answer_decodes"] == failed(real.pipeline, broken)
    with pytest.raises(ActivationError, match="black: 256 of 256 scores are not finite"):
        activate(real.pipeline, broken, golden=None, runtime=FLOAT32)


def test_scores_that_are_not_numbers_for_one_picture_are_refused(nano: Real) -> None:
    """The refusal says for which; the others are still compared."""

    class WhiteBlind(Adapter):
        def action_scores(self, inputs):
            scores = super().action_scores(inputs)
            return np.where(inputs[0].images[0].min() == 255, np.nan, scores)

    with pytest.raises(ActivationError, match=r"scores_finite: .*\(white: 256 of 256") as refusal:
        activate(nano.pipeline, WhiteBlind(nano.model, lambda one: one), golden=None, runtime=FLOAT32)
    assert "not measured because of that: image_matters" in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        (
            GOOGLE_ROBOT,
            ["statistics_translation_m", "statistics_rotation_rad"],
        ),
        ({"q01": [-20.0] * 3 + [-0.1] * 3 + [0.0]}, ["statistics_translation_m"]),
        ({"q01": [-0.02] * 3 + [-4 * np.pi] * 3 + [0.0]}, ["statistics_rotation_rad"]),
        ({"q01": [0.0] * 7, "q99": [0.0] * 6 + [1.0]}, ["statistics_motion"]),
        ({"q01": [-1e-7] * 6 + [0.0], "q99": [1e-7] * 6 + [1.0]}, ["statistics_motion"]),
        ({"q01": [-0.02] * 6 + [-1.0]}, ["statistics_gripper"]),
        ({"mask": [True] * 7}, ["statistics_mask"]),
        ({"mask": [False] + [True] * 5 + [False]}, ["statistics_mask", "statistics_translation_m"]),
    ],
    ids=[
        "google robot",
        "millimetres",
        "whole turns",
        "constant",
        "tiny",
        "gripper -1 to 1",
        "gripper",
        "metres as they are",
    ],
)
def test_statistics_of_another_robot_or_unit_are_refused(nano: Real, changes, names) -> None:
    """What the outermost tokens decode to must be a step that the contract allows, and one that moves the arm."""
    assert names == failed(with_stats(nano.pipeline, **changes), nano.model)


@pytest.mark.parametrize(("factor", "name"), [(1000.0, "statistics_translation_m"), (0.001, "statistics_motion")])
def test_magma_tinys_statistics_in_another_unit_are_refused(tiny: Real, factor, name) -> None:
    """The shipped statistics times or over a thousand."""
    assert name in failed(with_stats(tiny.pipeline, **scaled(tiny.pipeline.config.norm_stats, factor)), tiny.model)


def test_a_rotation_that_never_happens_is_no_fault(nano: Real) -> None:
    """Data of an arm that only pushes has constant columns."""
    stats = nano.pipeline.config.norm_stats
    planar = np.array([1, 1, 0, 0, 0, 0, 1])
    assert [] == failed(with_stats(nano.pipeline, q01=stats.q01 * planar, q99=stats.q99 * planar), nano.model)


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize(("field", "difference"), [("tokens", 1), ("expected", 2e-3)])
def test_a_golden_output_that_differs_is_refused(nano: Real, column, field, difference) -> None:
    """One token or one value is enough in float32."""
    values = np.array(getattr(nano.golden, field))
    values[column] += difference
    assert ["golden"] == failed(nano.pipeline, nano.model, golden=replace(nano.golden, **{field: values}))


def test_other_weights_do_not_give_the_golden_output(tiny: Real) -> None:
    """One layer scale of the vision tower that was not loaded is noticed, also in half precision."""

    def forget(network) -> None:
        next(
            value for name, value in network.named_parameters() if "layer_scale" in name and "stages.2" in name
        ).zero_()

    forgetful = altered(tiny.model, forget)
    assert ["golden"] == failed(tiny.pipeline, forgetful, golden=tiny.golden)
    assert ["golden"] == failed(tiny.pipeline, forgetful, golden=tiny.golden, runtime=HALF)


def test_half_precision_gives_the_golden_output_within_its_tolerance(tiny: Real) -> None:
    """The shipped network in bfloat16 acts, and would not within float32's tolerance."""
    half = load_model(TINY, dtype="bfloat16")
    assert [] == failed(tiny.pipeline, half, golden=tiny.golden, runtime=HALF)
    assert ["golden"] == failed(tiny.pipeline, half, golden=tiny.golden)


def test_a_golden_output_of_other_pictures_is_refused(nano: Real) -> None:
    """Its pictures must be those of the contract."""
    other = replace(nano.golden, pictures_px={"image": (32, 32)})
    assert ["golden"] == failed(nano.pipeline, nano.model, golden=other)


def test_the_golden_question_is_the_one_that_is_asked(tiny: Real) -> None:
    """Its own instruction and seed, also when that is the instruction that is otherwise asked instead."""
    own = ask(tiny.pipeline, tiny.model, dtype="float32", question=Question("open the drawer", seed=9))
    assert [] == failed(tiny.pipeline, tiny.model, golden=own)
    for other in (Question("open the drawer", seed=8), Question("close the drawer", seed=9)):
        assert ["golden"] == failed(tiny.pipeline, tiny.model, golden=replace(own, question=other))


def test_a_fault_that_shows_only_when_generating_is_refused(tiny: Real) -> None:
    """Scores that follow the picture do not help when the action comes from another one."""
    expected = ["answer_is_likeliest", "answer_is_of_the_picture"]
    assert expected == failed(tiny.pipeline, Generating(tiny.model, blind))


def test_an_action_that_is_not_the_likeliest_is_refused(tiny: Real) -> None:
    """A model that draws at random, or turns the order of the bins, does not choose what its scores say."""

    class Contrary(Adapter):
        def generate_actions(self, inputs, *, draft=None):
            answer = super().generate_actions(inputs, draft=draft)
            return replace(answer, tokens=767 + 512 - answer.tokens)

    assert ["answer_is_likeliest"] == failed(tiny.pipeline, Contrary(tiny.model, lambda one: one))


def test_an_answer_that_is_not_an_action_is_refused(nano: Real) -> None:
    """Token ids outside the bins do not decode."""

    class Talking(Adapter):
        def generate_actions(self, inputs, *, draft=None):
            answer = super().generate_actions(inputs, draft=draft)
            return replace(answer, tokens=np.zeros((1, 7), np.int64))

    names = failed(nano.pipeline, Talking(nano.model, lambda one: one), golden=nano.golden)
    assert ["answer_decodes"] == names


def test_a_model_that_keeps_something_is_refused(nano: Real) -> None:
    """The same question at the beginning and at the end gets the same answer."""

    class Drifting(Adapter):
        def action_scores(self, inputs):
            return super().action_scores(inputs) + np.sin(np.arange(256) * self.num_calls)

    assert "repeatable" in failed(nano.pipeline, Drifting(nano.model, lambda one: one))


def test_every_camera_matters(nano: Real) -> None:
    """With two cameras each is also asked about alone, and the one that is ignored is named."""
    cameras = (CameraSpec("image", 64, 64), CameraSpec("wrist", 32, 48))
    contract = replace(nano.pipeline.contract, cameras=cameras)
    pipeline = Pipeline(replace(nano.pipeline.config, contract=contract))
    golden = ask(pipeline, nano.model, dtype="float32")
    report = activate(pipeline, nano.model, golden=golden, runtime=FLOAT32)
    assert 8 == report.num_calls
    one_eyed = Adapter(nano.model, lambda one: ModelInput((one.images[0], np.zeros_like(one.images[1])), one.prompt))
    assert ["camera_matters:wrist"] == failed(pipeline, one_eyed)


def test_all_faults_are_named_at_once(tiny: Real) -> None:
    """A blind and deaf adapter with another robot's statistics and so another answer: five names in one refusal."""
    both = Adapter(tiny.model, lambda one: deaf(blind(one)))
    pipeline = with_stats(tiny.pipeline, **GOOGLE_ROBOT)
    expected = ["image_matters", "instruction_matters", "statistics_translation_m", "statistics_rotation_rad", "golden"]
    assert expected == failed(pipeline, both, golden=tiny.golden)
    with pytest.raises(CheckpointError, match="may not act, 5 of 14 checks failed"):
        activate(pipeline, both, golden=tiny.golden, runtime=FLOAT32)


def test_the_report_warns_of_other_versions_and_of_no_golden_output(nano: Real) -> None:
    """Neither is a refusal; what it ran with is in the report."""
    runtime = {**FLOAT32, "torch": "2.13.0", "numpy": "2.4.6"}
    made_with = {"torch": "2.6.0", "numpy": "2.4.6", "scipy": "1.17"}
    report = activate(nano.pipeline, nano.model, golden=None, runtime=runtime, made_with=made_with)
    assert runtime == dict(report.runtime)
    assert any("torch: made with 2.6.0, running with 2.13.0" in warning for warning in report.warnings)
    assert any(warning.startswith("golden: none is recorded") for warning in report.warnings)
    assert not any("numpy" in warning or "scipy" in warning for warning in report.warnings)


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_random_networks_act(tmp_path: Path, seed: int, dtype: torch.dtype) -> None:
    """Nothing in the gate needs a trained network."""
    made = make_nano(tmp_path, seed=seed)
    model = MagmaModel(copy.deepcopy(made.model.network).to(dtype), made.model.processor)
    runtime = {**FLOAT32, "dtype": str(dtype).removeprefix("torch.")}
    assert [] == failed(made.pipeline, model, golden=made.golden, runtime=runtime)


def save_blind(folder: Path) -> Path:
    """A whole checkpoint, with right hashes and golden output, whose projector lets nothing of a picture through."""
    model = random_model(folder)
    for layer in (model.network.projector.proj[0], model.network.projector.proj[2]):
        torch.nn.init.zeros_(layer.weight)
    save_checkpoint(folder, network=model.network, pipeline=Pipeline.load(folder), training={}, dtype="float32")
    return folder


def edit_manifest(folder: Path, edit: Callable[[dict], object]) -> None:
    path = folder / "magma_ros.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def test_magma_tiny_gives_its_golden_output() -> None:
    """The shipped checkpoint has one and passes every check, without a warning but of other library versions."""
    _, report = load_activated(TINY)
    assert {"passed"} == {check.outcome for check in report.checks}
    assert "golden" in [check.name for check in report.checks]
    assert [] == [warning for warning in report.warnings if "made with" not in warning]


@pytest.mark.parametrize(
    "load",
    [
        load_policy,
        lambda folder: open_policy(folder, LoadOptions()),
    ],
    ids=["checkpoint", "node and simulator"],
)
def test_nobody_gets_a_policy_past_the_gate(tmp_path: Path, load) -> None:
    """Simulator and node load a checkpoint the way everyone does, and are refused one that is blind."""
    with pytest.raises(ActivationError, match=r"image_matters: .* got 0; the picture does not reach the network"):
        load(save_blind(tmp_path))


def test_saving_records_the_golden_output(tmp_path: Path) -> None:
    """It is what the stored weights answer, and loading reproduces it to the bit on the same machine."""
    made = make_nano(tmp_path)
    manifest = json.loads((tmp_path / "magma_ros.json").read_text())
    assert made.golden.to_dict() == manifest["golden"]
    _, report = load_activated(tmp_path)
    assert 0.0 == next(check.value for check in report.checks if check.name == "golden")


def test_saving_again_records_the_new_golden_output(tmp_path: Path) -> None:
    """A checkpoint written over another one keeps nothing of the other's answer."""
    model = make_nano(tmp_path, seed=1).model
    old = Golden.from_dict(json.loads((tmp_path / "magma_ros.json").read_text())["golden"])
    new = altered(model, lambda network: network.language_model.model.norm.weight.neg_())
    save_checkpoint(tmp_path, network=new.network, pipeline=Pipeline.load(tmp_path), training={}, dtype="float32")
    load_policy(tmp_path)
    assert old.to_dict() != json.loads((tmp_path / "magma_ros.json").read_text())["golden"]


def test_a_manifest_with_another_golden_output_is_refused(tmp_path: Path) -> None:
    """A changed token is a refusal, a malformed entry too, and a missing one is a warning in the log."""
    make_nano(tmp_path)
    edit_manifest(tmp_path, lambda manifest: manifest["golden"]["tokens"].reverse())
    with pytest.raises(ActivationError, match="golden tokens"):
        load_policy(tmp_path)
    edit_manifest(tmp_path, lambda manifest: manifest["golden"].pop("tokens"))
    with pytest.raises(CheckpointError, match="golden output: expected the fields"):
        load_policy(tmp_path)


def test_a_checkpoint_without_a_golden_output_acts_with_a_warning(tmp_path: Path, caplog) -> None:
    """As published checkpoints have none."""
    make_nano(tmp_path)
    edit_manifest(tmp_path, lambda manifest: manifest.pop("golden"))
    load_policy(tmp_path)
    assert "golden: none is recorded" in caplog.text


def test_the_report_says_what_the_policy_runs_with(tmp_path: Path) -> None:
    """Precision, device, quantisation and the versions of everything that computes; another version is a warning."""
    make_nano(tmp_path)
    edit_manifest(tmp_path, lambda manifest: manifest["versions"].update(torch="2.6.0"))
    _, report = load_activated(tmp_path, LoadOptions(dtype="bfloat16", quantization="int8"))
    installed = version("torch")
    expected = {"device": "cpu", "dtype": "bfloat16", "quantization": "int8", "torch": installed}
    assert expected.items() <= dict(report.runtime).items()
    assert {"python", "transformers", "tokenizers", "safetensors", "numpy"} <= set(report.runtime)
    assert f"torch: made with 2.6.0, running with {installed}" in report.warnings


@pytest.mark.parametrize("name", embodiments.available())
def test_embodiments_that_we_ship_fit_their_contracts(nano: Real, name: str) -> None:
    """Upstream's statistics pass against the contract that we give them."""
    known = embodiments.load(name)
    config = replace(nano.pipeline.config, contract=known.contract, norm_stats=known.norm_stats)
    assert [] == failed(Pipeline(config), nano.model)
