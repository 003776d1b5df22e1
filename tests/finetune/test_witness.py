"""What was to stay stayed to the bit, what was to be trained was reached, and the table says which is which."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from magma_ros.errors import TrainingError
from magma_ros.finetune.parts import Part, Parts, part_of, prepare, trainable
from magma_ros.finetune.witness import FrozenWitness, count_parts, describe_parts, require_gradients
from tests.finetune.small_steps import action_samples, backward, small_model, take_steps


@pytest.mark.parametrize(
    "parts",
    [
        Parts(frozen=("vision_tower", "embeddings")),
        Parts(method="lora", whole=("projector",), frozen=("vision_tower",)),
        Parts(method="lora", lora_dropout=0.1),
    ],
)
def test_frozen_tensors_are_the_same_bits_after_training(parts: Parts, tmp_path: Path) -> None:
    """Steps with weight decay move every trained tensor and not one bit of the others."""
    model = small_model(tmp_path)
    prepare(model.network, parts)
    witness = FrozenWitness(model.network)
    before = {name: parameter.detach().clone() for name, parameter in model.network.named_parameters()}
    take_steps(model, action_samples(model), count=3)
    trained = set(trainable(model.network))
    moved = {name for name, p in model.network.named_parameters() if not torch.equal(before[name], p)}
    assert trained == moved
    assert len(before) - len(trained) <= witness.verify(model.network)


def test_the_smallest_change_is_named(tmp_path: Path) -> None:
    """One number of a frozen tensor that moves to its neighbour is found, and so is a changed buffer."""
    network = small_model(tmp_path).network
    prepare(network, Parts(frozen=("projector",)))
    witness = FrozenWitness(network)
    with torch.no_grad():
        bias = network.get_parameter("projector.proj.0.bias")
        bias[3] = torch.nextafter(bias[3], torch.tensor(9.0))
        network.language_model.model.rotary_emb.inv_freq.mul_(1.5)
    with pytest.raises(TrainingError, match=r"rotary_emb\.inv_freq, projector\.proj\.0\.bias$"):
        witness.verify(network)


def test_something_frozen_that_became_trainable_is_named(tmp_path: Path) -> None:
    """Upstream's scripts undo what was chosen after choosing it (T9); here that is an error."""
    network = small_model(tmp_path).network
    prepare(network, Parts(frozen=("lm_head",)))
    witness = FrozenWitness(network)
    network.language_model.lm_head.requires_grad_(requires_grad=True)
    with pytest.raises(TrainingError, match=r"language_model\.lm_head\.weight"):
        witness.verify(network)


def test_trained_tensors_without_a_gradient_are_named(tmp_path: Path) -> None:
    """A whole backward pass reaches everything; one that stops before the tower is refused with its names."""
    model = small_model(tmp_path)
    samples = action_samples(model)
    prepare(model.network, Parts(method="lora"))
    backward(model, samples)
    require_gradients(model.network)
    for parameter in trainable(model.network).values():
        parameter.grad = None
    model.network.projector.register_forward_pre_hook(lambda _, features: (features[0].detach(),))
    backward(model, samples)
    with pytest.raises(TrainingError, match=r"got none for vision_tower\.stages\.0.* and \d+ more"):
        require_gradients(model.network)


def test_the_table_counts_what_is_there(tmp_path: Path) -> None:
    """Trained, LoRA and frozen numbers of each part are those of the network, and the shares add up."""
    network = small_model(tmp_path).network
    sizes = {part: sum(p.numel() for n, p in network.named_parameters() if part_of(n) == part) for part in _parts()}
    prepare(network, Parts(method="lora", lora_rank=4, lora_targets=("q_proj",), whole=("projector",)))
    counts = {row.part: row for row in count_parts(network)}
    assert sizes == {part: row.whole + row.frozen for part, row in counts.items()}
    assert (sizes["projector"], 0) == (counts["projector"].whole, counts["projector"].lora)
    assert 2 * 4 * (32 + 32) == counts["language_model"].lora
    table = describe_parts(network)
    assert "512" in next(line for line in table.splitlines() if line.startswith("language_model"))
    trained, frozen = sizes["projector"] + 512, sum(sizes.values()) - sizes["projector"]
    assert f"{100 * trained / (trained + frozen):.2f} % trained" in table


def _parts() -> tuple[Part, ...]:
    return ("vision_tower", "projector", "language_model", "embeddings", "lm_head")
