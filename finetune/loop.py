"""The optimiser's steps: loss, gradient, averaged weights; what happens in one depends on its number alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from magma_ros.errors import TrainingError
from magma_ros.finetune.batches import TrainingBatch
from magma_ros.finetune.devices import Devices, held, number, whole
from magma_ros.finetune.gradient_checkpointing import enable_gradient_checkpointing
from magma_ros.finetune.objective import Objective, StepFigures
from magma_ros.finetune.optimizer import Optimizer
from magma_ros.finetune.parts import trainable
from magma_ros.finetune.recipe import Recipe
from magma_ros.finetune.run_state import SavedState
from magma_ros.finetune.witness import require_gradients
from magma_ros.model.network import MagmaNetwork


class Tally:
    """Figures of several batches, added up by what they are means of."""

    def __init__(self) -> None:
        self._sums = [0.0] * 7

    def add(self, figures: StepFigures) -> None:
        """Count the figures of one batch."""
        loss, tokens, actions = float(figures.loss.detach()), figures.num_tokens, figures.num_actions
        new = [loss * tokens, float(tokens), 0.0, 0.0, float(actions), 0.0, float(figures.num_text_tokens)]
        if actions:
            new[2:4] = [figures.motion_error_bins * actions, figures.gripper_accuracy * actions]
        if figures.num_text_tokens:
            new[5] = figures.text_loss * figures.num_text_tokens
        self._sums = [one + other for one, other in zip(self._sums, new, strict=True)]

    def figures(self, devices: Devices) -> dict[str, float]:
        """The means over all processes; what no batch had is left out."""
        cost, tokens, motion, gripper, actions, text_cost, text_tokens = devices.sum(self._sums)
        found = {"loss": cost / tokens}
        if actions:
            found |= {"motion_error_bins": motion / actions, "gripper_accuracy": gripper / actions}
        if text_tokens:
            found["text_loss"] = text_cost / text_tokens
        return found


class Run:
    """A network in training, with its optimiser and its averaged weights.

    Attributes:
        network: The network, as `parts.prepare` left it.
        trained: Name → each parameter that changes.
        gradient_norm: Length of the last step's gradient before it was shortened.
        step: Optimiser steps that were done.
    """

    def __init__(self, recipe: Recipe, network: MagmaNetwork, devices: Devices) -> None:
        """Spread the network over the devices; from here on it is theirs."""
        self._recipe, self._devices = recipe, devices
        self._autocasts = recipe.precision == "bf16"
        # On a CPU the plain attention has the faster backward pass.
        network.language_model.set_attn_implementation("eager" if devices.device.type == "cpu" else "sdpa")
        if recipe.gradient_checkpointing:
            enable_gradient_checkpointing(network)
        self.network = network.train()
        self._objective = devices.spread(
            Objective(
                network,
                bin_sigma=recipe.bin_sigma,
                shares_head=not (recipe.gradient_checkpointing or devices.shards),
            ),
            network,
            compute_dtype=torch.bfloat16 if self._autocasts else None,
        )
        self.trained = trainable(network)
        self._optimizer = Optimizer(self.trained, recipe)
        averages = recipe.ema_decay > 0
        self._average = {name: held(value).clone() for name, value in self.trained.items()} if averages else {}
        self._saw_gradients = False
        self.gradient_norm = 0.0
        self.step = 0

    def advance(self, parts: Sequence[TrainingBatch]) -> Tally:
        """One optimiser step on this process's share of the batch, in accumulated parts.

        Gives this process's figures.

        Raises:
            TrainingError: the gradient is not finite, or does not reach everything that is trained. Nothing changed.
        """
        torch.manual_seed(_seed_of(self._recipe.seed, self.step, self._devices.rank))  # of a LoRA's dropout
        (num_tokens,) = self._devices.sum([float(sum(part.num_tokens for part in parts))])
        tally = Tally()
        for index, part in enumerate(parts):
            with self._devices.exchanging(self._objective, wanted=index == len(parts) - 1):
                figures = self._figures(part)
                share = self._devices.count * part.num_tokens / num_tokens  # copies and parts average over processes
                (figures.loss * share).backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            tally.add(figures)
        if not self._saw_gradients:
            require_gradients(self.network)
            self._saw_gradients = True
        self.gradient_norm = self._clip()
        self._optimizer.advance(learning_rate=self.learning_rate)
        self._update_average()
        self.step += 1
        return tally

    @property
    def learning_rate(self) -> float:
        """Of the coming step."""
        return self._recipe.learning_rate * self._recipe.schedule.share_at(self.step, self._recipe.steps)

    def held_out(self, batches: Iterable[TrainingBatch]) -> dict[str, float]:
        """Figures of the averaged weights; every process has equally many batches."""
        tally = Tally()
        self.network.eval()
        with self._averaged(), torch.no_grad():
            for batch in batches:
                tally.add(self._figures(batch))
        self.network.train()
        return tally.figures(self._devices)

    def result(self) -> dict[str, Tensor]:
        """Every averaged trained tensor as a whole, on the CPU; empty on all processes but the first."""
        gathered = {}
        for name, value in self.trained.items():
            tensor = whole(value, self._average.get(name, held(value)))
            if self._devices.is_first:
                gathered[name] = tensor.cpu()
        return gathered

    def tensors(self) -> dict[str, Tensor]:
        """What this process has to keep in order to go on."""
        averages = {f"average/{name}": value for name, value in self._average.items()}
        weights = {f"weight/{name}": held(parameter) for name, parameter in self.trained.items()}
        return averages | weights | self._optimizer.tensors()

    def restore(self, saved: SavedState) -> None:
        """Go on from `saved`.

        Raises:
            TrainingError: it is the state of another network.
        """
        self.step = saved.step
        for name, parameter in self.trained.items():
            held(parameter).copy_(saved.read(f"weight/{name}"))
            if name in self._average:
                self._average[name].copy_(saved.read(f"average/{name}"))
        self._optimizer.restore(saved.read, step=saved.step)

    def _figures(self, batch: TrainingBatch) -> StepFigures:
        with torch.autocast(self._devices.device.type, dtype=torch.bfloat16, enabled=self._autocasts):
            figures: StepFigures = self._objective(batch)
        return figures

    def _clip(self) -> float:
        norm = nn.utils.clip_grad_norm_(self.trained.values(), self._recipe.max_gradient_norm)
        length = number(norm)
        if not math.isfinite(length):
            raise TrainingError(
                f"step {self.step + 1}: the gradient is not finite ({length}); a lower learning_rate or precision fp32 "
                "may help. The last state in the run folder is from before"
            )
        return length

    def _update_average(self) -> None:
        decay = min(self._recipe.ema_decay, (self.step + 1) / (self.step + 10))
        for name, value in self._average.items():
            value.lerp_(held(self.trained[name]), 1.0 - decay)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Within it the network has its averaged weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, value in self._average.items():
            current = held(self.trained[name])
            kept = current.clone()
            current.copy_(value)
            value.copy_(kept)


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
