"""Recipes of runs that take a second: the smallest network on invented episodes, in single precision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from magma_ros.finetune.batches import TrainingBatch
from magma_ros.finetune.loop import Run, Tally
from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import DataItem, Recipe, Schedule
from magma_ros.finetune.train import finetune
from tests.model.random_checkpoints import NANO


class PowerCutError(Exception):
    """Ends a run in the middle of a step."""


def short_recipe(episodes: Path, output: Path, **changes: Any) -> Recipe:
    """Six steps of a new nano network, a state after the third, every step in the curve."""
    usual: dict[str, Any] = {
        "data": (DataItem(episodes=episodes),),
        "output": output,
        "steps": 6,
        "tiny": NANO,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "schedule": Schedule(warmup_steps=2),
        "precision": "fp32",
        "held_out_share": 0.0,
        "log_every": 1,
        "save_every": 3,
        "num_judged_episodes": 0,
        "trackers": (),
    }
    return Recipe(**usual | changes)


def finetune_until_a_power_cut(recipe: Recipe, *, after_steps: int) -> None:
    """Start the run, which ends in the step after `after_steps`."""
    advance = Run.advance

    def advance_until_the_cut(run: Run, batches: Sequence[TrainingBatch]) -> Tally:
        if run.step == after_steps:
            raise PowerCutError
        return advance(run, batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "advance", advance_until_the_cut)
        with pytest.raises(PowerCutError):
            finetune(recipe)


def write_recipe(recipe: Recipe, path: Path) -> Path:
    """The recipe as the YAML file that a person could have written."""
    path.write_text(yaml.safe_dump(to_plain(recipe)), encoding="utf-8")
    return path


def curve(recipe: Recipe) -> list[dict[str, float]]:
    """The lines of its log."""
    return [json.loads(line) for line in (recipe.output / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def losses(recipe: Recipe) -> list[float]:
    """The loss of each step, to the bit."""
    return [line["loss"] for line in curve(recipe)]
