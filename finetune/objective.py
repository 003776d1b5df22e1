"""The training loss: the next token over answers, given the true tokens before; the mean over all trained tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from magma_ros.action_tokens import ActionTokenizer
from magma_ros.finetune.batches import END, TEXT, TrainingBatch
from magma_ros.model.decoding import NUM_ACTION_BINS, NUM_ACTION_TOKENS
from magma_ros.model.network import MagmaNetwork

_GRIPPER = NUM_ACTION_TOKENS - 1


class StepFigures(NamedTuple):
    """What one batch showed; those of several batches add up by their numbers.

    A tuple, since wrappers for several devices look for tensors in tuples alone.

    Attributes:
        loss: Mean cost of a trained token [nats], with gradient.
        num_tokens: Trained tokens.
        num_actions: Samples that are actions; the others are conversations.
        motion_error_bins: Mean distance of the likeliest bin from the true one over the six motion axes [bins]; NaN
            without an action.
        gripper_accuracy: Share of actions whose likeliest gripper id is the true one; NaN without an action.
        num_text_tokens: Trained tokens of conversations.
        text_loss: Their mean cost [nats]; NaN without one.
    """

    loss: Tensor
    num_tokens: int
    num_actions: int
    motion_error_bins: float
    gripper_accuracy: float
    num_text_tokens: int
    text_loss: float


class Objective(nn.Module):
    """A network with its loss; one forward pass is a whole batch, as wrappers for several devices need it."""

    wanted: Tensor

    def __init__(self, network: MagmaNetwork, *, bin_sigma: float, shares_head: bool = False) -> None:
        """Train `network`.

        Args:
            network: Its parameters receive the gradient.
            bin_sigma: Width of the target over neighbouring bins of the motion axes [bins]; 0 trains on the one true
                bin. Bins are ordered, so a near miss should cost less than a far one.
            shares_head: Compute what all rows begin with once; not where layers are gathered or computed again.
        """
        super().__init__()
        self._shares_head = shares_head
        self.network = network
        self._first_id = ActionTokenizer(network.config.base_vocab_size, NUM_ACTION_BINS).first_id
        device = network.embeddings.device
        # A network without memory gets a place later; this table keeps its contents.
        self.register_buffer(
            "wanted", _wanted(bin_sigma).to("cpu" if device.type == "meta" else device), persistent=False
        )

    def forward(self, batch: TrainingBatch) -> StepFigures:
        """Loss and figures of `batch`, which is moved to the network's device and precision."""
        like = self.network.embeddings
        batch = batch.to(like.device, like.dtype)
        unseen = None if len(batch.inputs.pixels) else self._nothing_seen()
        logits, labels, columns = self._logits(batch), batch.labels, batch.columns
        costs = self._costs(logits, labels, columns)
        loss = costs.mean() if unseen is None else costs.mean() + unseen
        with torch.no_grad():
            bins = logits[:, self._first_id : self._first_id + NUM_ACTION_BINS].argmax(dim=-1)
            misses = (bins - (labels - self._first_id)).abs().float()
            is_text = columns == TEXT
            return StepFigures(
                loss,
                num_tokens=len(labels),
                num_actions=int((columns == END).sum()),
                motion_error_bins=float(misses[(columns >= 0) & (columns < _GRIPPER)].mean()),
                gripper_accuracy=float((misses[columns == _GRIPPER] == 0).float().mean()),
                num_text_tokens=int(is_text.sum()),
                text_loss=float(costs[is_text].mean()),
            )

    def _logits(self, batch: TrainingBatch) -> Tensor:
        """Scores at the trained places alone, (n, V): the table is the widest matrix of a small network."""
        states = self.network.states_behind_head if self._shares_head else self.network
        hidden = states(batch.inputs).flatten(0, 1)[batch.places]
        logits: Tensor = self.network.language_model.lm_head(hidden)
        return logits.float()

    def _costs(self, logits: Tensor, labels: Tensor, columns: Tensor) -> Tensor:
        """Cross-entropy of each token with what is wanted there, (n,)."""
        scores = logits.gather(1, labels[:, None])[:, 0]
        actions = logits[:, self._first_id : self._first_id + NUM_ACTION_BINS]
        wanted = self.wanted.to(labels.device)[(labels - self._first_id).clamp(0, NUM_ACTION_BINS - 1)]
        is_motion = (columns >= 0) & (columns < _GRIPPER)
        return logits.logsumexp(dim=-1) - torch.where(is_motion, (wanted * actions).sum(dim=-1), scores)

    def _nothing_seen(self) -> Tensor:
        """0, with a gradient of 0 for tower and projector, which a batch without a picture would leave out.

        Devices that share a batch wait for the gradient of every parameter from each of them, and those that share the
        parameters for each other's passes, in their order: the tower's comes first.
        """
        side = self.network.config.tower.stride
        blank = torch.zeros(
            1, 3, side, side, device=self.network.embeddings.device, dtype=self.network.embeddings.dtype
        )
        return 0.0 * self.network.image_features(blank, torch.ones(1, 2, dtype=torch.int64)).float().sum()


def _wanted(sigma: float) -> Tensor:
    """Wanted probability of each bin (column) for each true one (row), (256, 256): a discrete normal around it."""
    bins = torch.arange(NUM_ACTION_BINS)
    if sigma == 0:
        return torch.eye(NUM_ACTION_BINS)
    return torch.softmax(-0.5 * ((bins - bins[:, None]) / sigma) ** 2, dim=-1)
