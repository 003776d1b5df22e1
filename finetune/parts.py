"""Which numbers of the network a run changes: chosen by part and checked.

A part is a set of weights, by the keys of the checkpoint (reference, section 1.9):

| part | keys |
|---|---|
| `vision_tower` | `vision_tower.clip_vision_model.trunk.…` |
| `projector` | `multi_modal_projector.…`, the row separator among them |
| `language_model` | `language_model.model.layers.…` and `language_model.model.norm.weight` |
| `embeddings` | `language_model.model.embed_tokens.weight` |
| `lm_head` | `language_model.lm_head.weight` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from magma_ros.errors import TrainingError
from magma_ros.model.network import MagmaNetwork

Method = Literal["full", "lora", "qlora"]
Part = Literal["vision_tower", "projector", "language_model", "embeddings", "lm_head"]

_PREFIXES: Mapping[str, Part] = {
    "vision_tower.": "vision_tower",
    "projector.": "projector",
    "language_model.model.layers.": "language_model",
    "language_model.model.norm.": "language_model",
    "language_model.model.embed_tokens.": "embeddings",
    "language_model.lm_head.": "lm_head",
}
"""Beginning of a name in `MagmaNetwork` → its part."""

_ADAPTED: tuple[Part, ...] = ("vision_tower", "projector", "language_model")
"""Parts whose linear layers get a LoRA unless targets are named; the output head gets one only by name."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is trained, and how.

    Attributes:
        method: `full` changes every number of the parts that are not frozen. `lora` adds a pair of thin matrices to
            linear layers and changes nothing else, `qlora` does so over a base that is stored in nf4 (CUDA only).
        frozen: Parts that stay as they are, to the bit, and get no LoRA.
        whole: With LoRA: parts of which every number is trained all the same, such as the projector.
        lora_rank: Width of the thin matrices.
        lora_alpha: Their product counts lora_alpha / lora_rank times.
        lora_dropout: Share of a LoRA's input that is dropped in training.
        lora_targets: Layers that get a LoRA: whole words of their names in the network, such as `q_proj`, `self_attn`,
            `projector`, `vision_tower.stages.3`. By default every linear layer of the tower, the projector and the
            language model's blocks.
    """

    method: Method = "full"
    frozen: tuple[Part, ...] = ()
    whole: tuple[Part, ...] = ()
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise TrainingError(f"parts.method: expected one of {get_args(Method)}, got {self.method!r}")
        for field, names in (("frozen", self.frozen), ("whole", self.whole)):
            if unknown := sorted(set(names) - set(get_args(Part))):
                raise TrainingError(f"parts.{field}: expected parts among {get_args(Part)}, got {unknown}")
        if both := sorted(set(self.frozen) & set(self.whole)):
            raise TrainingError(f"parts: expected each part frozen or whole, got both for {both}")
        if self.method == "full" and (self.whole or self.lora_targets is not None):
            raise TrainingError("parts: whole and lora_targets belong to the methods lora and qlora, got method full")
        if self.method == "full" and len(set(self.frozen)) == len(get_args(Part)):
            raise TrainingError("parts.frozen: expected at least one part that is trained, got all of them")
        if self.method == "qlora" and "language_model" in self.whole:
            raise TrainingError("parts.whole: expected no quantised part, but qlora stores language_model in nf4")
        if self.lora_rank < 1 or self.lora_alpha <= 0 or not 0.0 <= self.lora_dropout < 1.0:
            raise TrainingError(
                "parts: expected lora_rank of at least 1, lora_alpha above 0 and lora_dropout from 0 to below 1, "
                f"got {self.lora_rank}, {self.lora_alpha}, {self.lora_dropout}"
            )

    def trained_whole(self, part: Part) -> bool:
        """Whether every number of `part` is trained."""
        return part in self.whole if self.method != "full" else part not in self.frozen


def part_of(name: str) -> Part:
    """The part that a parameter or layer of `MagmaNetwork` belongs to; a LoRA belongs to its layer's."""
    for prefix, part in _PREFIXES.items():
        if f"{name}.".startswith(prefix):
            return part
    raise AssertionError(f"no part has {name}")


def lora_layers(network: MagmaNetwork, parts: Parts) -> tuple[str, ...]:
    """Names of the linear layers that get a LoRA, in the network's order; none for the method `full`.

    Full names, because the endings of the projector's (`0`, `2`) also end the tower's (reference trap T10).

    Raises:
        TrainingError: a target that names no linear layer, or one in a part that is frozen or trained whole.
    """
    if parts.method == "full":
        return ()
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    closed = {*parts.frozen, *parts.whole}
    if parts.lora_targets is None:
        chosen = [name for name in linear if part_of(name) in _ADAPTED and part_of(name) not in closed]
        if not chosen and not parts.whole:
            raise TrainingError(f"parts: expected something to train, but {sorted(closed)} leave no layer for a LoRA")
        return tuple(chosen)
    for target in parts.lora_targets:
        hits = [name for name in linear if _names(target, name)]
        if not hits:
            words = sorted({name.rpartition(".")[2] for name in linear if not name.rpartition(".")[2].isdigit()})
            raise TrainingError(f"parts.lora_targets: {target!r} names no linear layer; there are {words} and parts")
        if shut := sorted({part_of(name) for name in hits} & closed):
            raise TrainingError(f"parts.lora_targets: {target!r} is in {shut}, which is frozen or trained whole")
    return tuple(name for name in linear if any(_names(target, name) for target in parts.lora_targets))


def prepare(network: MagmaNetwork, parts: Parts, *, device: torch.device | None = None) -> None:
    """Make exactly what `parts` asks for trainable, in place and on `device`: LoRA added, all else frozen.

    What is trained is held in float32 whatever the base is held in. A LoRA begins as nothing (one of its matrices is
    zero), the other is drawn from torch's generator.

    Raises:
        TrainingError: targets that do not fit.
        RecipeError: no peft, or for `qlora` no CUDA device or no bitsandbytes.
    """
    layers = lora_layers(network, parts)
    if parts.method != "full":
        from magma_ros.finetune import lora  # noqa: PLC0415 - full training needs no peft

        if parts.method == "qlora":
            lora.quantize_base(network, device or network.embeddings.device)
        network.requires_grad_(requires_grad=False)
        lora.inject(network, layers, parts)
    network.to(device)
    for name, parameter in network.named_parameters():
        wanted = is_lora(name) or parts.trained_whole(part_of(name))
        parameter.requires_grad_(wanted)
        if wanted:
            parameter.data = parameter.data.float()


def is_lora(name: str) -> bool:
    """Whether a parameter is one of a LoRA's two matrices."""
    return ".lora_A." in name or ".lora_B." in name


def trainable(network: MagmaNetwork) -> dict[str, nn.Parameter]:
    """Name → every parameter that the optimiser may change."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def _names(target: str, layer: str) -> bool:
    return f".{target}." in f".{layer}."
