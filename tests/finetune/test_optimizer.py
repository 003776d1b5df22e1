"""Who changes which tensor, and that a state which was kept is the state that goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from magma_ros.errors import RecipeError, TrainingError
from magma_ros.finetune.optimizer import Optimizer
from magma_ros.finetune.parts import Parts
from magma_ros.finetune.recipe import DataItem, Recipe
from magma_ros.model.tiny import TinySize

RECIPE = Recipe(data=(DataItem(episodes=Path("demos")),), output=Path("run"), steps=10, tiny=TinySize())
MUON = replace(RECIPE, optimizer="muon")
SHAPES = {
    "language_model.model.embed_tokens.weight": (8, 4),
    "language_model.lm_head.weight": (8, 4),
    "tower.dwconv.weight": (4, 1, 7, 7),
    "layer.weight": (4, 6),
    "layer.bias": (4,),
    "separator": (1, 1, 4),
}


def parameters() -> dict[str, nn.Parameter]:
    """One of each kind, with gradients."""
    generator = torch.Generator().manual_seed(0)
    made = {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}
    give_gradients(made, seed=1)
    return made


def give_gradients(trained: dict[str, nn.Parameter], *, seed: int) -> None:
    """Fresh ones, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in trained.values():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_muon_turns_inner_matrices_alone() -> None:
    """A step of Muon has singular values of one size; tables, kernels and vectors step as AdamW has them step."""
    plain, other = parameters(), parameters()
    before = {name: value.detach().clone() for name, value in plain.items()}
    for trained, recipe in ((plain, RECIPE), (other, MUON)):
        Optimizer(trained, replace(recipe, weight_decay=0.0)).advance(learning_rate=0.1)
    differing = {name for name in SHAPES if not torch.equal(plain[name], other[name])}
    assert {"layer.weight"} == differing
    sizes = torch.linalg.svdvals((other["layer.weight"] - before["layer.weight"]).detach())
    assert float(sizes.max() / sizes.min()) < 1.8  # Newton-Schulz in bfloat16 is not exact
    assert all(parameter.grad is None for parameter in other.values())


@pytest.mark.parametrize("recipe", [RECIPE, MUON], ids=["adamw", "muon"])
def test_only_matrices_decay(recipe: Recipe) -> None:
    """Without a gradient a matrix shrinks by rate times decay, a vector stays."""
    trained = parameters()
    before = {name: value.detach().clone() for name, value in trained.items()}
    for parameter in trained.values():
        parameter.grad = torch.zeros_like(parameter)
    Optimizer(trained, replace(recipe, weight_decay=0.5)).advance(learning_rate=0.1)
    for name, value in trained.items():
        share = 1.0 if name in ("layer.bias", "separator") else 0.95
        torch.testing.assert_close(before[name] * share, value.detach())


@pytest.mark.parametrize("recipe", [RECIPE, MUON], ids=["adamw", "muon"])
def test_a_kept_state_goes_on_to_the_bit(recipe: Recipe) -> None:
    """Kept after two steps and restored into a new optimiser: the third step is that of the old one."""
    trained = parameters()
    optimizer = Optimizer(trained, recipe)
    for seed in (1, 2):
        give_gradients(trained, seed=seed)
        optimizer.advance(learning_rate=0.1)
    kept = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    copies = {name: nn.Parameter(value.detach().clone()) for name, value in trained.items()}
    restored = Optimizer(copies, recipe)
    restored.restore(kept.__getitem__, step=2)
    for owner, owned in ((optimizer, trained), (restored, copies)):
        give_gradients(owned, seed=3)
        owner.advance(learning_rate=0.1)
    assert all(torch.equal(value, copies[name]) for name, value in trained.items())


@pytest.mark.parametrize("changes", [{"parallel": "fsdp"}, {"parts": Parts(method="lora"), "tiny": None}])
def test_muon_takes_whole_matrices(changes: dict[str, object]) -> None:
    """Neither rows of a matrix nor a LoRA's thin ones are turned; the recipe is refused."""
    start = {"start_from": "magma-tiny"} if "tiny" in changes else {}
    with pytest.raises(RecipeError, match="muon takes whole matrices"):
        replace(MUON, **changes, **start)


def test_an_old_pytorch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Muon is missing the run says which version has it."""
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(TrainingError, match=r"2\.9 or newer"):
        Optimizer(parameters(), MUON)
