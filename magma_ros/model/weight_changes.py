"""What a training changed of a weight, kept apart from it: a product of two thin matrices, or the weight as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """A LoRA: scale · up · down is added (Hu et al. 2021, section 4.1).

    Attributes:
        down: Shape (rank, in).
        up: Shape (out, rank).
        scale: lora_alpha / rank.
    """

    down: Tensor
    up: Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it changes."""
        return (self.up.shape[0], self.down.shape[1])

    def apply(self, weight: Tensor) -> Tensor:
        """The changed weight in float32 on the device of `weight`; `weight` itself when nothing is added."""
        up = self.up.to(weight.device).float()
        if not up.any():
            return weight
        return weight.float().add(up @ self.down.to(weight.device).float(), alpha=self.scale)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """Another weight in the place of the checkpoint's."""

    value: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it replaces."""
        return tuple(self.value.shape)

    def apply(self, weight: Tensor) -> Tensor:
        """The new weight in float32 on the device of `weight`."""
        return self.value.to(weight.device).float()


WeightChange = LowRank | Whole
