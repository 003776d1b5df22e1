"""Normalized numbers as token ids and back; whatever is not exactly an action raises.

The last `num_bins` ids of the base vocabulary stand for bins of [-1, 1]. `num_bins` edges enclose `num_bins - 1`
intervals, so the two lowest ids both mean the uppermost interval (the rule of OpenVLA and Magma).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from magma_ros.errors import ActionDecodeError, InvalidInputError
from magma_ros.types import ACTION_DIM, FloatArray


@dataclass(frozen=True, slots=True)
class ActionTokenizer:
    """Bins over the end of a vocabulary.

    Attributes:
        base_vocab_size: Ids of the text vocabulary without added tokens (128000 for Llama 3).
        num_bins: Ids that are used for bins.
    """

    base_vocab_size: int
    num_bins: int = 256

    def __post_init__(self) -> None:
        if not 2 <= self.num_bins <= self.base_vocab_size:
            raise InvalidInputError(f"expected 2 <= num_bins <= base_vocab_size, got {self}")

    @property
    def first_id(self) -> int:
        """Lowest id that is an action token."""
        return self.base_vocab_size - self.num_bins

    @property
    def last_id(self) -> int:
        """Highest id that is an action token."""
        return self.base_vocab_size - 1

    def encode(self, normalized: ArrayLike) -> NDArray[np.int64]:
        """Token ids of `normalized`, shape (7,) or (n, 7); numbers beyond [-1, 1] get the outermost bin.

        Raises:
            InvalidInputError: another shape, or a value that is not finite.
        """
        numbers = np.asarray(normalized, dtype=np.float64)
        if numbers.ndim not in (1, 2) or numbers.shape[-1] != ACTION_DIM:
            raise InvalidInputError(f"expected shape (7,) or (n, 7), got {numbers.shape}")
        if not np.isfinite(numbers).all():
            raise InvalidInputError(f"expected finite numbers, got {numbers.tolist()}")
        bins = np.digitize(np.clip(numbers, -1.0, 1.0), _edges(self.num_bins))
        return np.asarray(self.base_vocab_size - bins, dtype=np.int64)

    def decode(self, ids: ArrayLike) -> FloatArray:
        """Centres of the bins that `ids` name, in (-1, 1), same shape: (7,) or (n, 7).

        Raises:
            ActionDecodeError: not exactly seven integers in a row, or an id that is not an action token.
        """
        tokens = np.asarray(ids)
        if tokens.dtype.kind not in "iu":
            raise ActionDecodeError(f"expected integer token ids, got {tokens.dtype}")
        if tokens.ndim not in (1, 2) or tokens.shape[-1] != ACTION_DIM or len(tokens) == 0:
            raise ActionDecodeError(f"expected exactly {ACTION_DIM} token ids for an action, got shape {tokens.shape}")
        if (tokens < self.first_id).any() or (tokens > self.last_id).any():
            raise ActionDecodeError(f"expected ids from {self.first_id} to {self.last_id}, got {tokens.tolist()}")
        return self.centres()[tokens.astype(np.int64) - self.first_id]

    def centres(self) -> FloatArray:
        """The normalized number that each action id means, from `first_id` up, shape (num_bins,); they descend."""
        return _centres(self.num_bins)


@lru_cache
def _edges(num_bins: int) -> FloatArray:
    edges = np.linspace(-1.0, 1.0, num_bins)
    edges.setflags(write=False)
    return edges


@lru_cache
def _centres(num_bins: int) -> FloatArray:
    edges = _edges(num_bins)
    centres = ((edges[:-1] + edges[1:]) / 2.0)[::-1]
    both_lowest = np.concatenate([centres[:1], centres])
    both_lowest.setflags(write=False)
    return both_lowest
