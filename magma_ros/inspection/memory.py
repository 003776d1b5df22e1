"""The memory plan: what a network takes in each form that it can be loaded in, and where that fits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from magma_ros.model.cache import whole_steps
from magma_ros.model.decoding import NUM_ACTION_TOKENS
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.quantization import INT4_GROUP

_FORMS: Mapping[str, tuple[int, float | None, float]] = {
    "float32": (4, None, 0.0),
    "bfloat16": (2, None, 0.0),
    "float32 + int8": (4, 1.0, 4.0),
    "bfloat16 + int8": (2, 1.0, 2.0),
    "bfloat16 + int4": (2, 0.5 + 4 / INT4_GROUP, 0.0),
    "float32 + nf4": (4, 0.5 + 1 / 64, 0.0),
    "bfloat16 + nf4": (2, 0.5 + 1 / 64, 0.0),
}
"""Form → bytes of a number that stays whole, of a quantised weight with its group's scales, and per quantised row."""

_USABLE = 0.9
"""Part of a device's memory that one network may be planned to take."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What one form of a network takes, without the passing results of a run.

    Attributes:
        form: dtype and quantization.
        weights_bytes: All parameters.
        cache_bytes: Keys and values for one prompt and its answer.
        fits: Device → whether it has room; a device that has no kernel for the form is not in it.
    """

    form: str
    weights_bytes: int
    cache_bytes: int
    fits: Mapping[str, bool]

    @property
    def total_bytes(self) -> int:
        """Weights and cache."""
        return self.weights_bytes + self.cache_bytes


def plan_memory(network: MagmaNetwork, *, num_prompt_tokens: int, devices: Mapping[str, int]) -> list[MemoryNeed]:
    """Every form of `network` (on any device, also without memory) for prompts of `num_prompt_tokens`.

    Args:
        network: Not quantised.
        num_prompt_tokens: Pictures written out in full.
        devices: Name → bytes of memory, see `find_devices`.
    """
    layers = [m for m in network.language_model.model.layers.modules() if isinstance(m, nn.Linear)]
    num_quantised = sum(layer.weight.numel() for layer in layers)
    num_rows = sum(layer.out_features for layer in layers)
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    text = network.config.text
    num_slots = whole_steps(num_prompt_tokens + NUM_ACTION_TOKENS)
    num_heads = text.num_key_value_heads or text.num_attention_heads
    width = text.head_dim or text.hidden_size // text.num_attention_heads
    numbers_per_slot = 2 * text.num_hidden_layers * num_heads * width
    needs = []
    for form, (whole, quantised, row) in _FORMS.items():
        num_whole = num_parameters if quantised is None else num_parameters - num_quantised
        weights = num_whole * whole + (0 if quantised is None else round(num_quantised * quantised + num_rows * row))
        cache = num_slots * numbers_per_slot * whole
        fits = {
            name: weights + cache <= _USABLE * size
            for name, size in devices.items()
            if _has_kernels(form, name, layers)
        }
        needs.append(MemoryNeed(form, weights, cache, fits))
    return needs


def find_devices() -> dict[str, int]:
    """Name → bytes of memory of the processor and of each CUDA device of this machine."""
    devices = {"cpu": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")}
    for index in range(torch.cuda.device_count()):
        devices[f"cuda:{index}"] = torch.cuda.get_device_properties(index).total_memory
    return devices


def _has_kernels(form: str, device: str, layers: list[nn.Linear]) -> bool:
    if form.endswith("nf4"):
        return device.startswith("cuda")
    if form.endswith("int4"):
        return all(layer.in_features % INT4_GROUP == layer.out_features % INT4_GROUP == 0 for layer in layers)
    return True
