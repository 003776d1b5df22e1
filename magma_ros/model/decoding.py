"""Constrained greedy decoding: exactly seven tokens, among which only action ids compete."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from magma_ros.errors import PolicyError
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import ModelBatch

NUM_ACTION_TOKENS = 7
"""Action tokens per action: translation, rotation, gripper."""

NUM_ACTION_BINS = 256
"""Tokens at the end of the base vocabulary that stand for bins."""


@torch.inference_mode()
def decode_actions(network: MagmaNetwork, batch: ModelBatch) -> NDArray[np.int64]:
    """Token ids of one action per row of `batch`, shape (B, 7); each is the likeliest action id after those before.

    Raises:
        PolicyError: the network's scores are not finite.
    """
    llama = network.language_model
    first = network.config.base_vocab_size - NUM_ACTION_BINS
    head = llama.lm_head.weight[first : network.config.base_vocab_size]
    cache = DynamicCache(config=network.config.text)
    hidden = network(batch, cache=cache)
    mask = batch.attention_mask
    chosen: list[Tensor] = []
    while True:
        scores = hidden[:, -1] @ head.T
        if not bool(torch.isfinite(scores).all()):
            raise PolicyError("the network's scores for the action tokens are not finite")
        chosen.append(first + scores.argmax(dim=-1))
        if len(chosen) == NUM_ACTION_TOKENS:
            return np.asarray(torch.stack(chosen, dim=1).cpu().numpy(), dtype=np.int64)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        hidden = llama.model(
            input_ids=chosen[-1][:, None],
            attention_mask=mask,
            position_ids=mask.sum(dim=1, keepdim=True) - 1,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
