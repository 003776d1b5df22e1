"""A LoRA comes out of training as an adapter, and that is the network that was trained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from magma_ros import checkpoint, checkpoint_files
from magma_ros.adapter_files import describe_base
from magma_ros.checkpoint import load_model, load_pipeline, load_policy
from magma_ros.cli import main
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import CheckpointError
from magma_ros.finetune import lora
from magma_ros.finetune.parts import Parts, prepare, trainable
from magma_ros.inspection.facts import inspect
from magma_ros.model.adapter import MagmaModel
from magma_ros.types import Observation
from tests.finetune.small_steps import action_samples, take_steps
from tests.model.random_checkpoints import write_random_checkpoint

LORA = Parts(method="lora", lora_rank=4, lora_alpha=16)
MIXED = Parts(
    method="lora", lora_rank=2, lora_targets=("q_proj", "vision_tower.stages.3"), whole=("projector", "lm_head")
)


def trained(base: Path, parts: Parts) -> MagmaModel:
    """The network of `base` after a few steps."""
    torch.manual_seed(0)
    model = load_model(base)
    model.network.train()
    prepare(model.network, parts)
    take_steps(model, action_samples(model), count=3)
    model.network.eval()
    return model


def save(folder: Path, model: MagmaModel, base: Path, parts: Parts, state: dict[str, Tensor] | None = None) -> None:
    """The adapter's checkpoint of `model`, with other values in place of its own where there are any."""
    checkpoint.copy_architecture(base, folder)
    described, pipeline = describe_base(base), load_pipeline(base)
    lora.save_adapter(
        folder, model.network, parts, base=described, pipeline=pipeline, training={"steps": 3}, state=state
    )


def saved(folder: Path, base: Path, parts: Parts) -> MagmaModel:
    """As `trained`, with the adapter's checkpoint written into `folder`."""
    model = trained(base, parts)
    save(folder, model, base, parts)
    return model


def scores(model: MagmaModel) -> Any:
    """Scores of each action id for three invented pictures."""
    return model.action_scores([sample.model_input for sample in action_samples(model, count=3)])


def test_a_new_lora_changes_no_bit(tmp_path: Path) -> None:
    """Before the first step the opened adapter's weights are the base's, bit for bit, a negative zero among them."""
    source, base = write_random_checkpoint(tmp_path / "source"), tmp_path / "base"
    network = load_model(source).network
    with torch.no_grad():
        network.get_parameter("projector.proj.0.weight").view(-1)[0] = -0.0
    checkpoint.copy_architecture(source, base)
    checkpoint.save_checkpoint(base, network=network, pipeline=load_pipeline(source), training={}, dtype="float32")
    model = load_model(base)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    prepare(model.network, LORA)
    save(tmp_path / "adapter", model, base, LORA)
    opened = load_model(tmp_path / "adapter").network.state_dict()
    assert np.signbit(opened["projector.proj.0.weight"].view(-1)[0].numpy())
    assert before.keys() == opened.keys()
    assert [] == [n for n in before if before[n].numpy().tobytes() != opened[n].numpy().tobytes()]


def test_an_adapters_weights_are_those_that_peft_merges(tmp_path: Path) -> None:
    """The library's own merge of each layer gives the same matrices."""
    base = write_random_checkpoint(tmp_path / "base")
    model = saved(tmp_path / "adapter", base, LORA)
    opened = load_model(tmp_path / "adapter").network.state_dict()
    for name in [name.partition(".lora_A.")[0] for name in trainable(model.network) if ".lora_A." in name]:
        layer: Any = model.network.get_submodule(name)
        layer.merge()
        torch.testing.assert_close(layer.base_layer.weight.detach(), opened[f"{name}.weight"])


def test_other_values_can_be_put_in_their_place(tmp_path: Path) -> None:
    """Averaged numbers are saved in place of the network's own, without touching it."""
    base = write_random_checkpoint(tmp_path / "base")
    model = trained(base, MIXED)
    zeros = {name: torch.zeros_like(value) for name, value in trainable(model.network).items() if ".lora_B." in name}
    head = {"language_model.lm_head.weight": torch.full((586, 32), 0.5)}
    expected = scores(model)
    save(tmp_path / "averaged", model, base, MIXED, {**model.network.state_dict(), **zeros, **head})
    save(tmp_path / "own", model, base, MIXED)
    averaged, own, before = (load_model(tmp_path / name).network.state_dict() for name in ("averaged", "own", "base"))
    name = "language_model.model.layers.0.self_attn.q_proj.weight"
    assert torch.equal(before[name], averaged[name])
    assert torch.equal(head["language_model.lm_head.weight"], averaged["language_model.lm_head.weight"])
    assert not torch.equal(before[name], own[name])
    np.testing.assert_array_equal(expected, scores(model))


@pytest.mark.parametrize("parts", [LORA, MIXED])
def test_an_adapter_acts_without_peft(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where peft is not installed its folder opens like any checkpoint, and scores as what was trained."""
    base = write_random_checkpoint(tmp_path / "base")
    model = saved(tmp_path / "adapter", base, parts)
    expected = scores(model)
    assert np.abs(scores(load_model(base)) - expected).max() > 1e-2
    monkeypatch.setitem(sys.modules, "peft", None)
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    np.testing.assert_allclose(scores(load_model(tmp_path / "adapter")), expected, atol=1e-5)
    policy = load_policy(tmp_path / "adapter")
    picture = action_samples(model)[0].model_input.images[0]
    chunk = policy.infer(Observation({"image": picture}, "put carrot on plate", stamp_s=0.0))
    assert (1, 7) == chunk.tokens.shape


def test_an_adapter_is_quantised_after_it_is_worked_in(tmp_path: Path) -> None:
    """int8 weights of an adapter's folder are those of its merged checkpoint."""
    base = write_random_checkpoint(tmp_path / "base")
    saved(tmp_path / "adapter", base, LORA)
    lora.merge_adapter(tmp_path / "adapter", tmp_path / "merged", dtype="float32")
    attached, merged = (
        load_model(tmp_path / n, quantization="int8").network.state_dict() for n in ("adapter", "merged")
    )
    assert attached.keys() == merged.keys()
    assert [] == [name for name in merged if not torch.equal(merged[name], attached[name])]


def test_merging_needs_neither_part_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`magma-ros merge` writes a checkpoint that scores as the adapter did when both others are gone."""
    base = write_random_checkpoint(tmp_path / "base")
    model = saved(tmp_path / "adapter", base, MIXED)
    checkpoint.record_entropy_bounds(tmp_path / "adapter", EntropyBounds(3.0, 3.5))
    fingerprint = load_pipeline(tmp_path / "adapter").fingerprint()
    names = [str(tmp_path / "adapter"), "--output", str(tmp_path / "merged"), "--dtype", "float32"]
    assert 0 == main(["merge", *names])
    for name in ("base", "adapter"):
        (tmp_path / name).rename(tmp_path / f"{name}-elsewhere")
    np.testing.assert_allclose(scores(load_model(tmp_path / "merged")), scores(model), atol=1e-5)
    policy = load_policy(tmp_path / "merged")
    assert (fingerprint, EntropyBounds(3.0, 3.5)) == (policy.fingerprint, policy.entropy_bounds)
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert 3 == json.loads((tmp_path / "merged" / "magma_ros.json").read_text())["training"]["steps"]
    assert 2 == main(["merge", str(tmp_path / "merged"), "--output", str(tmp_path / "twice")])
    assert "expected an adapter's folder" in capsys.readouterr().err


def test_a_folder_is_not_merged_over(tmp_path: Path) -> None:
    """An output that exists is refused and stays as it was."""
    base = write_random_checkpoint(tmp_path / "base")
    saved(tmp_path / "adapter", base, LORA)
    with pytest.raises(CheckpointError, match="does not exist yet"):
        lora.merge_adapter(tmp_path / "adapter", base)
    checkpoint_files.verify_files(base)


def test_peft_reads_the_files(tmp_path: Path) -> None:
    """PEFT opens the folder as an adapter of modules with the release's names, with the same numbers and scale."""
    from peft import PeftModel  # noqa: PLC0415 - seconds, for this test alone

    base = write_random_checkpoint(tmp_path / "base")
    model = saved(tmp_path / "adapter", base, LORA)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    weights = load_file(base / "model.safetensors")
    tree = torch.nn.Module()
    for name in config["target_modules"]:
        parent = tree
        *path, leaf = name.split(".")
        for word in path:
            if word not in dict(parent.named_children()):
                parent.add_module(word, torch.nn.Module())
            parent = parent.get_submodule(word)
        out_features, in_features = weights[f"{name}.weight"].shape
        parent.add_module(leaf, torch.nn.Linear(in_features, out_features, bias=False))
    opened: Any = PeftModel.from_pretrained(tree, str(tmp_path / "adapter"))
    ours = lora.trained_changes(model.network)
    for name in config["target_modules"]:
        layer = opened.base_model.model.get_submodule(name)
        expected: Any = ours[f"{name}.weight"]
        torch.testing.assert_close(expected.scale * expected.up @ expected.down, layer.get_delta_weight("default"))
    assert len(ours) == len(config["target_modules"])


def test_an_adapter_is_inspected_with_its_base(tmp_path: Path) -> None:
    """It is healthy, says whose weights these are, and has the base's number of parameters."""
    base = write_random_checkpoint(tmp_path / "base")
    saved(tmp_path / "adapter", base, LORA)
    found = inspect(tmp_path / "adapter", verify=True)
    assert [] == found.faults
    assert inspect(base).parameters == found.parameters
    assert f"an adapter, which changes 26 weights of {base.resolve()}" in found.notes[0]
