"""Checkpointing changes memory and time, never a gradient; upstream's kind loses them behind a frozen stem."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from magma_ros.errors import TrainingError
from magma_ros.finetune.gradient_checkpointing import enable_gradient_checkpointing
from magma_ros.finetune.parts import Parts, prepare, trainable
from magma_ros.finetune.rehearsal import LiveBytes
from magma_ros.finetune.witness import require_gradients
from magma_ros.model.adapter import MagmaModel
from tests.finetune.small_steps import action_samples, backward, small_model


def prepared(folder: Path, parts: Parts, *, frozen_stem: bool = False) -> MagmaModel:
    """The same network each time, with LoRA that is no longer zero."""
    torch.manual_seed(0)
    model = small_model(folder)
    prepare(model.network, parts)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.network.vision_tower.stem.requires_grad_(not frozen_stem and parts.method == "full")
    return model


def gradients(model: MagmaModel) -> dict[str, Tensor]:
    """Every gradient after one backward pass that begins with the same random state."""
    torch.manual_seed(7)
    backward(model, action_samples(model))
    require_gradients(model.network)
    return {name: p.grad.clone() for name, p in trainable(model.network).items() if p.grad is not None}


@pytest.mark.parametrize(
    ("parts", "stem"),
    [
        (Parts(), "trained"),
        (Parts(), "frozen"),
        (Parts(method="lora"), "frozen"),
        (Parts(method="lora", lora_targets=("vision_tower",), lora_dropout=0.3), "frozen"),
        (Parts(frozen=("vision_tower",)), "frozen"),
    ],
)
def test_gradients_are_those_without_checkpointing(parts: Parts, stem: str, tmp_path: Path) -> None:
    """To the bit, for full training and LoRA, with a trained or a frozen stem, with dropout too."""
    plain = gradients(prepared(tmp_path / "a", parts, frozen_stem=stem == "frozen"))
    model = prepared(tmp_path / "b", parts, frozen_stem=stem == "frozen")
    enable_gradient_checkpointing(model.network)
    again = gradients(model)
    assert plain.keys() == again.keys()
    assert [] == [name for name in plain if not torch.equal(plain[name], again[name])]


def test_upstreams_kind_would_be_found_out(tmp_path: Path) -> None:
    """Reentrant checkpointing gives the stages behind a frozen stem no gradient (T14), and that is an error by name."""
    model = prepared(tmp_path, Parts(), frozen_stem=True)
    for stage in model.network.vision_tower.stages:
        plain = stage.forward
        stage.forward = lambda x, plain=plain: checkpoint(plain, x, use_reentrant=True)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        backward(model, action_samples(model))
    with pytest.raises(TrainingError, match=r"got none for vision_tower\.stages"):
        require_gradients(model.network)


def test_less_is_kept_in_training_and_nothing_is_done_twice_in_serving(tmp_path: Path) -> None:
    """The peak of a pass falls; blocks run twice in training and once in evaluation (T19)."""
    model = prepared(tmp_path, Parts())
    samples = action_samples(model, count=8)
    with LiveBytes(model.network.parameters()) as plain:
        backward(model, samples)
    enable_gradient_checkpointing(model.network)
    model.network.zero_grad()
    with LiveBytes(model.network.parameters()) as light:
        backward(model, samples)
    assert light.peak < 0.8 * plain.peak
    calls = {"norm": 0}
    tower, llama = model.network.vision_tower.stages[2].layers[0], model.network.language_model.model.layers[0]
    for norm in (tower.layernorm, llama.input_layernorm):
        norm.register_forward_hook(lambda *_: calls.update(norm=calls["norm"] + 1))
    backward(model, samples)
    assert 4 == calls["norm"]
    model.network.eval()
    backward(model, samples)
    assert 6 == calls["norm"]
