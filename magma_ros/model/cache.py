"""Keys and values that tokens see: in slots, allocated once and written in place, or of a head that rows share."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from transformers import LlamaConfig

_SLOT_STEP = 64
"""Numbers of slots are multiples of this, so that prompts of nearly one length share an allocation and a graph."""


def whole_steps(num_slots: int) -> int:
    """Slots that are allocated where `num_slots` are needed."""
    return -(-num_slots // _SLOT_STEP) * _SLOT_STEP


class KeyValueCache:
    """One tensor of keys and one of values per layer, shape (B, heads, slots, head width)."""

    def __init__(self, config: LlamaConfig, *, batch_size: int, num_slots: int, like: Tensor) -> None:
        """Allocate slots for `batch_size` rows on the device and in the dtype of `like`."""
        self.num_slots = whole_steps(num_slots)
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        num_heads = config.num_key_value_heads or config.num_attention_heads
        shape = (batch_size, num_heads, self.num_slots, width)
        self.keys = [like.new_zeros(shape) for _ in range(config.num_hidden_layers)]
        self.values = [like.new_zeros(shape) for _ in range(config.num_hidden_layers)]

    def fits(self, *, batch_size: int, num_slots: int, like: Tensor) -> bool:
        """Whether this allocation serves such a batch."""
        first = self.keys[0]
        is_alike = (first.dtype, first.device) == (like.dtype, like.device)
        return batch_size == len(first) and num_slots <= self.num_slots and is_alike

    def at(self, slots: Tensor) -> CacheWriter:
        """A writer that puts each layer's new keys and values into `slots`, shape (n,)."""
        return CacheWriter(self, slots)


class LayerCache(Protocol):
    """What a Llama layer of `transformers` asks of a cache."""

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Take the keys and values of one layer, (B, heads, n, width), and give all that its queries may see."""
        ...


class SharedHead:
    """Keeps what it gets first, of one row, and puts it in front of what every row brings afterwards, with gradient."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """As `LayerCache`."""
        if layer not in self._kept:
            self._kept[layer] = keys, values
            return keys, values
        head_keys, head_values = (tensor.expand(len(keys), -1, -1, -1) for tensor in self._kept[layer])
        return torch.cat([head_keys, keys], dim=2), torch.cat([head_values, values], dim=2)


class CacheWriter:
    """Puts new keys and values into slots, and gives back all slots."""

    def __init__(self, cache: KeyValueCache, slots: Tensor) -> None:
        self._cache = cache
        self._slots = slots

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Write the keys and values of one layer, (B, heads, n, width), and give that layer's slots."""
        self._cache.keys[layer].index_copy_(2, self._slots, keys)
        self._cache.values[layer].index_copy_(2, self._slots, values)
        return self._cache.keys[layer], self._cache.values[layer]
