"""Small networks and training steps, for tests of what a step changes and needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from magma_ros.finetune.batches import collate
from magma_ros.finetune.mixture import Sample
from magma_ros.finetune.objective import Objective, StepFigures
from magma_ros.finetune.parts import trainable
from magma_ros.model.adapter import MagmaModel
from magma_ros.prompts import robot_action_prompt
from magma_ros.types import ModelInput
from tests.model.random_checkpoints import random_model


def small_model(folder: Path, *, seed: int = 0) -> MagmaModel:
    """A random nano network in training mode, with the processor of the checkpoint that is written into `folder`."""
    model = random_model(folder, seed=seed)
    model.network.train()
    return model


def action_samples(model: MagmaModel, *, count: int = 2) -> list[Sample]:
    """Invented pictures of one crop, each with an invented action."""
    generator = np.random.default_rng(5)
    side, first = model.processor.image_config.base_img_size, model.network.config.base_vocab_size - 256
    prompt = robot_action_prompt("put carrot on plate", use_image_start_end=True)
    end = model.processor.end_of_turn_id
    return [
        Sample(
            ModelInput((generator.integers(0, 256, (side, side, 3), dtype=np.uint8),), prompt),
            np.array([*(first + generator.integers(0, 256, 7)), end]),
            is_action=True,
        )
        for _ in range(count)
    ]


def batch_loss(model: MagmaModel, samples: Sequence[Sample], *, bin_sigma: float) -> StepFigures:
    """Loss and figures of one batch."""
    figures: StepFigures = Objective(model.network, bin_sigma=bin_sigma)(collate(model.processor, samples))
    return figures


def backward(model: MagmaModel, samples: Sequence[Sample], *, bf16: bool = False) -> float:
    """One forward and backward pass; gives the loss."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        loss = batch_loss(model, samples, bin_sigma=0.0).loss
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def take_steps(model: MagmaModel, samples: Sequence[Sample], *, count: int = 3) -> list[float]:
    """A few AdamW steps with weight decay over everything trainable; gives the losses."""
    optimizer = torch.optim.AdamW(trainable(model.network).values(), lr=3e-3, weight_decay=0.1)
    losses = []
    for _ in range(count):
        losses.append(backward(model, samples))
        optimizer.step()
        optimizer.zero_grad()
    return losses
