"""Less memory for more time: blocks forget what they computed and compute it again on the way back.

Chen et al. 2016 (arXiv 1604.06174). The non-reentrant kind, which follows the gradient to the weights: the reentrant
one gives a block none when no gradient reaches its input, as behind a frozen stem (reference trap T14).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.models.convnext.modeling_convnext import ConvNextLayer
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from magma_ros.model.network import MagmaNetwork

BLOCKS = (ConvNextLayer, LlamaDecoderLayer)
"""What the tower and the Llama are made of; each is computed again, or gathered from several devices, by itself."""


def enable_gradient_checkpointing(network: MagmaNetwork) -> None:
    """Recompute each block of the tower and of the Llama in the backward pass, in training only (trap T19).

    Call it after `prepare`, once; names and numbers of the network stay as they are.
    """
    draws = any(isinstance(module, nn.Dropout) and module.p > 0 for module in network.modules())
    for module in network.modules():
        if isinstance(module, BLOCKS):
            setattr(module, "forward", _recomputed(module, preserve_rng_state=draws))  # noqa: B010 - of one module alone


def _recomputed(block: nn.Module, *, preserve_rng_state: bool) -> Callable[..., Tensor]:
    plain: Callable[..., Tensor] = block.forward

    @wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> Tensor:
        if not (block.training and torch.is_grad_enabled()):
            return plain(*args, **kwargs)
        result: Tensor = checkpoint(plain, *args, use_reentrant=False, preserve_rng_state=preserve_rng_state, **kwargs)
        return result

    return forward
