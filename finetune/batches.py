"""Samples to the tensors of one training batch: ids, pictures, and what is trained where.

A batch is one pass of the network, whatever its samples are: devices that share the parameters must all make the same
passes. Rows are padded on the left to the longest one; `Mixture.batch` puts rows of like length beside each other.

**What is trained** is each answer's ids and the end of its turn; of actions seven ids each and `<|eot_id|>`. Upstream
also trains the line break after the assistant's header (id 271) of actions. Here it is part of the prompt: the decoder
never chooses it, and a network that has read the header knows it, so that it would only thin the mean by a ninth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.mixture import Sample
from magma_ros.model.decoding import NUM_ACTION_TOKENS
from magma_ros.model.processing import MagmaProcessor, ModelBatch

TEXT = -1
"""Stands in the columns for a token that is not of an action."""

END = NUM_ACTION_TOKENS
"""Stands in the columns for the end of turn behind actions."""


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Rows of ids, and the tokens that are trained in them.

    Attributes:
        inputs: Prompts and all but the last id of their answers, padded on the left, (B, L) ids.
        places: Where the network says a trained token, as indices into the B · L positions, shape (n,) int64.
        labels: The ids that it should say there, shape (n,) int64.
        columns: Which of an action's ids each is, 0 … 6, with 7 for the end of turn; or `TEXT`, shape (n,) int64.
    """

    inputs: ModelBatch
    places: Tensor
    labels: Tensor
    columns: Tensor

    @property
    def num_tokens(self) -> int:
        """Trained tokens, which the loss is the mean of."""
        return len(self.labels)

    def to(self, device: torch.device, dtype: torch.dtype) -> TrainingBatch:
        """The same batch on `device`, its pixels in `dtype`."""
        moved = (tensor.to(device) for tensor in (self.places, self.labels, self.columns))
        return TrainingBatch(self.inputs.to(device, dtype), *moved)


def collate(processor: MagmaProcessor, samples: Sequence[Sample]) -> TrainingBatch:
    """The batch of `samples`, on the CPU.

    Raises:
        InvalidInputError: no samples, one that trains nothing, actions that are not seven ids each and an end, or a
            prompt whose placeholders do not match its pictures.
    """
    inputs = processor(
        [sample.model_input for sample in samples], answers=[sample.answer[:-1].tolist() for sample in samples]
    )
    length = inputs.ids.shape[1]
    places, labels, columns = [], [], []
    for row, sample in enumerate(samples):
        count = len(sample.answer)
        is_whole = count > 1 and count % NUM_ACTION_TOKENS == 1 and sample.num_trained == count
        if sample.num_trained == 0 or (sample.is_action and not is_whole):
            raise InvalidInputError(
                f"sample: expected trained ids, of actions {NUM_ACTION_TOKENS} each and an end, got "
                f"{sample.num_trained} trained of {count}, is_action {sample.is_action}"
            )
        trained = np.arange(count) if sample.trained is None else np.flatnonzero(sample.trained)
        places.append((row + 1) * length - count + trained)
        labels.append(sample.answer[trained])
        columns.append(_columns(count) if sample.is_action else np.full(len(trained), TEXT))
    return TrainingBatch(inputs, _joined(places), _joined(labels), _joined(columns))


def _columns(count: int) -> NDArray[np.int64]:
    """Of an answer of whole actions and its end, `count` ids in all."""
    return np.append(np.arange(count - 1) % NUM_ACTION_TOKENS, END)


def _joined(parts: Sequence[NDArray[np.int64]]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64, copy=False))
