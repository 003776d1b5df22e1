"""The training loss: the next token over the seven action ids and the end of the turn, given the true ones before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from magma_ros.finetune.dataset import Sample
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.decoding import NUM_ACTION_BINS, NUM_ACTION_TOKENS

_GRIPPER = NUM_ACTION_TOKENS - 1


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What one batch showed.

    Attributes:
        loss: Mean cross-entropy per trained token, with gradient.
        motion_error_bins: Mean distance of the likeliest bin from the true one over the six motion axes [bins].
        gripper_accuracy: Share of frames whose likeliest gripper id is the true one.
    """

    loss: Tensor
    motion_error_bins: float
    gripper_accuracy: float


def action_loss(model: MagmaModel, samples: Sequence[Sample], *, bin_sigma: float) -> StepFigures:
    """Loss and figures of one batch.

    Args:
        model: Its network's parameters receive the gradient.
        samples: The batch.
        bin_sigma: Width of the target over neighbouring bins of the motion axes [bins]; 0 trains on the one true bin.
            Bins are ordered, so a near miss should cost less than a far one.
    """
    network = model.network
    device = network.language_model.lm_head.weight.device
    targets = torch.from_numpy(np.stack([sample.target for sample in samples])).to(device)
    batch = model.processor([sample.model_input for sample in samples]).to(device, torch.float32)
    hidden = network(batch.followed_by(targets))[:, -NUM_ACTION_TOKENS - 1 :]
    logits = network.language_model.lm_head(hidden).float()
    first = network.config.base_vocab_size - NUM_ACTION_BINS
    end_of_turn = torch.full_like(targets[:, :1], model.processor.end_of_turn_id)
    wanted = _target_distribution(targets - first, bin_sigma)
    log_probabilities = functional.log_softmax(logits, dim=-1)
    actions = log_probabilities[:, :NUM_ACTION_TOKENS, first : first + NUM_ACTION_BINS]
    action_cost = -(wanted * actions).sum(dim=-1)
    end_cost = -log_probabilities[:, NUM_ACTION_TOKENS].gather(1, end_of_turn)
    loss = torch.cat([action_cost, end_cost], dim=1).mean()
    with torch.no_grad():
        misses = (actions.argmax(dim=-1) - (targets - first)).abs()
    return StepFigures(
        loss,
        float(misses[:, :_GRIPPER].float().mean()),
        float((misses[:, _GRIPPER] == 0).float().mean()),
    )


def _target_distribution(bins: Tensor, sigma: float) -> Tensor:
    """Wanted probability of each bin, (B, 7, 256): a discrete normal around the true one, sharp for the gripper."""
    sharp = functional.one_hot(bins, NUM_ACTION_BINS).float()
    if sigma == 0:
        return sharp
    distance = torch.arange(NUM_ACTION_BINS, device=bins.device) - bins[..., None]
    blurred = torch.softmax(-0.5 * (distance / sigma) ** 2, dim=-1)
    return torch.cat([blurred[:, :_GRIPPER], sharp[:, _GRIPPER:]], dim=1)
