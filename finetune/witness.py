"""What a run really trains: counted part by part, reached by gradients, and the rest the same to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import get_args

import torch
from torch import Tensor

from magma_ros.errors import TrainingError
from magma_ros.finetune.parts import Part, is_lora, part_of, trainable
from magma_ros.model.network import MagmaNetwork

_WORD_BYTES = 8
_PIECE_WORDS = 2**21


def require_gradients(network: MagmaNetwork) -> None:
    """Refuse to go on when a backward pass over pictures and text left something trainable without a gradient.

    Raises:
        TrainingError: names the parameters; their training would silently do nothing (reference traps T9 and T14).
    """
    missed = [name for name, parameter in trainable(network).items() if parameter.grad is None]
    if missed:
        raise TrainingError(f"expected a gradient for everything that is trained, got none for {_some(missed)}")


@dataclass(frozen=True, slots=True)
class PartCount:
    """How many numbers of a part are trained.

    Attributes:
        part: Its name.
        whole: Numbers of the checkpoint that are trained.
        lora: Numbers of its LoRAs.
        frozen: Numbers of the checkpoint that stay.
    """

    part: Part
    whole: int
    lora: int
    frozen: int


def count_parts(network: MagmaNetwork) -> list[PartCount]:
    """What of each part is trained, read from the network itself."""
    counts: dict[Part, list[int]] = {part: [0, 0, 0] for part in get_args(Part)}
    for name, parameter in network.named_parameters():
        column = 1 if is_lora(name) else 0 if parameter.requires_grad else 2
        packed = 2 if parameter.dtype == torch.uint8 else 1  # nf4: two numbers in a byte
        counts[part_of(name)][column] += packed * parameter.numel()
    return [PartCount(part, *columns) for part, columns in counts.items()]


def describe_parts(network: MagmaNetwork) -> str:
    """A table of what is trained, part by part, and its share of the whole."""
    rows = count_parts(network)
    lines = [f"{'part':<15}{'trained':>16}{'of it LoRA':>14}{'frozen':>16}"]
    lines += [f"{row.part:<15}{row.whole + row.lora:>16,}{row.lora:>14,}{row.frozen:>16,}" for row in rows]
    trained, frozen = sum(row.whole + row.lora for row in rows), sum(row.frozen for row in rows)
    lora = sum(row.lora for row in rows)
    share = f"  {100.0 * trained / (trained + frozen):.2f} % trained"
    return "\n".join([*lines, f"{'all':<15}{trained:>16,}{lora:>14,}{frozen:>16,}{share}"])


class FrozenWitness:
    """Remembers every tensor that must not change, as a digest of its bytes."""

    def __init__(self, network: MagmaNetwork) -> None:
        """Take the digests now, after `prepare` and before the first step."""
        self._digests = {name: _digest(tensor) for name, tensor in _frozen(network)}

    def verify(self, network: MagmaNetwork) -> int:
        """Compare, and give how many tensors were.

        Raises:
            TrainingError: names those that moved, are gone or are new.
        """
        now = {name: _digest(tensor) for name, tensor in _frozen(network)}
        moved = sorted(name for name in self._digests | now if self._digests.get(name) != now.get(name))
        if moved:
            raise TrainingError(f"expected frozen tensors to stay as they were, but changed: {_some(moved)}")
        return len(now)


def _frozen(network: MagmaNetwork) -> Iterator[tuple[str, Tensor]]:
    yield from ((name, p) for name, p in network.named_parameters() if not p.requires_grad)
    yield from network.named_buffers()


def _digest(tensor: Tensor) -> tuple[int, ...]:
    """Sums of the tensor's 64-bit words, each times an odd key of its place, modulo 2**64: one change always shows.

    Worked out where the tensor lies, as memory can be read, which a cryptographic hash of a large network is not.
    """
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor  # of a sharded tensor: what lies here
    keys = _keys(local.device)
    words = torch.zeros_like(keys)
    sums = []
    for piece in local.detach().contiguous().reshape(-1).view(torch.uint8).split(_PIECE_WORDS * _WORD_BYTES):
        words.zero_().view(torch.uint8)[: len(piece)].copy_(piece)
        sums.append(int((words * keys).sum()))
    return tuple(sums)


@cache
def _keys(device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    ends = torch.iinfo(torch.int64)
    return torch.randint(ends.min, ends.max, (_PIECE_WORDS,), generator=generator).bitwise_or(1).to(device)


def _some(names: list[str], most: int = 16) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
