"""A recipe: everything that decides what a training run makes, in one YAML file that a person writes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from magma_ros.errors import RecipeError
from magma_ros.finetune.augmentation import Augmentation
from magma_ros.finetune.parts import Parts
from magma_ros.finetune.plain_values import build, override
from magma_ros.model.tiny import TinySize
from magma_ros.pipeline import MAX_ACTION_HORIZON
from magma_ros.yaml_files import read_mapping

RECIPES = Path(__file__).parent / "recipes"
"""The recipes that come with this project, `<name>.yaml` each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataItem:
    """One source of the mixture: either `episodes` or `conversations`.

    Attributes:
        episodes: Folder of recorded episodes.
        conversations: File of LLaVA-style records, JSON or JSON lines.
        pictures: Folder that the records name their pictures in.
        weight: Of the source, against the others' weights; None is its number of samples.
        limit: Take only the first so many episodes or records; None takes all.
        only_interventions: Of episodes, take only the steps from which on a person or expert acted in the policy's
            place, for as many actions as an answer has.
    """

    episodes: Path | None = None
    conversations: Path | None = None
    pictures: Path | None = None
    weight: float | None = None
    limit: int | None = None
    only_interventions: bool = False

    def __post_init__(self) -> None:
        if (self.episodes is None) == (self.conversations is None):
            raise RecipeError("data: expected either episodes or conversations in each item, got both or neither")
        _require("data: weight", self.weight is None or 0 < self.weight < math.inf, "more than 0", self.weight)
        misplaced = self.only_interventions if self.episodes is None else self.pictures is not None
        if misplaced:
            raise RecipeError("data: pictures belong to conversations, only_interventions to episodes")
        _require("data: limit", self.limit is None or self.limit > 0, "more than 0", self.limit)

    @property
    def path(self) -> Path:
        """The folder or file that it reads."""
        path = self.episodes or self.conversations
        assert path is not None
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The learning rate over the run: a linear rise to its peak, then a fall or none.

    Attributes:
        shape: How it goes on after the rise.
        warmup_steps: Length of the rise.
        floor: Where a cosine ends, as a share of the peak.
    """

    shape: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 0
    floor: float = 0.02

    def __post_init__(self) -> None:
        _require("schedule: warmup_steps", self.warmup_steps >= 0, "0 or more", self.warmup_steps)
        _require("schedule: floor", 0 <= self.floor <= 1, "0 to 1", self.floor)

    def share_at(self, step: int, steps: int) -> float:
        """The learning rate of `step`, counted from 0, of a run of `steps`, as a share of the peak."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.shape == "constant":
            return 1.0
        progress = min(1.0, (step - self.warmup_steps) / max(1, steps - self.warmup_steps))
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training run. The numbers are those of the whole run, whatever it is spread over.

    Attributes:
        data: What is learnt from.
        output: Run folder: `checkpoint/` is the result, `log.jsonl` and `tensorboard/` are the curves.
        steps: Optimiser steps.
        start_from: Checkpoint (folder, name or hub id) that the weights come from.
        tiny: Size of a new magma-tiny to begin with instead; its tokenizer is learnt from the data's words.
        embodiment: What the actions mean, if `start_from` does not say or, of a new magma-tiny, no episodes do; see
            `embodiments.load`. Goes with `norm_stats: keep`.
        norm_stats: `fit` statistics to the episodes, or `keep` those of `start_from` or `embodiment`.
        cameras: Recorded cameras that the result sees, in this order; None sees all. Goes with `norm_stats: fit`.
        action_horizon: Actions of each answer, one control period apart; None keeps that of `start_from`, and is 1 for
            a new magma-tiny.
        held_out_share: Of each source's episodes, kept from training to judge it by.
        judged_by: Further folders of episodes that judge it and never train.
        batch_size: Samples per step, over all devices and accumulated parts.
        accumulate: Parts that a device works through one after the other; more need less memory.
        learning_rate: Its peak.
        schedule: Its course.
        weight_decay: On matrices alone.
        optimizer: `muon` for the matrices inside the network, AdamW for everything else; `adamw` for all.
        max_gradient_norm: A longer gradient is shortened to it.
        bin_sigma: Width of the target over neighbouring action bins [bins].
        ema_decay: Of the averaged weights, which are then the result; 0 keeps no average.
        precision: Of the arithmetic; trained weights are single precision in any case.
        gradient_checkpointing: Compute activations again instead of keeping them: less memory, a third more time.
        seed: New weights, order of the data, augmentation, dropout, choice of what is held out.
        parts: What is trained, and how.
        augmentation: What happens to pictures.
        log_every, save_every: Steps between lines of the curve, and between states to go on from.
        evaluate_every: Steps between losses on held-out frames; 0 never.
        num_held_out_frames: Frames in such a loss, at most.
        checkpoint_every: Steps between checkpoints; 0 writes one at the end.
        num_judged_episodes: Held-out episodes of each source that the result is asked about, frame by frame; 0 none.
        save_as: Of a LoRA, one checkpoint that needs nothing else, or the changes alone, which need the start.
        trackers: Who else gets the curve.
        parallel: How several devices share the work: each with a whole copy, or each with a part of the weights.
        loader_threads: Threads that prepare the coming batches; 0 prepares each when it is needed, None is 0 where the
            network works on the CPU, whose cores it wants whole, and 1 elsewhere.
        picture_memory_gib: Recorded pictures that a process keeps in memory, over all data items [GiB]. Where it is too
            little, episodes are read again in each pass, which mixes as many at a time as fit.
    """

    data: tuple[DataItem, ...]
    output: Path
    steps: int
    start_from: str | None = None
    tiny: TinySize | None = None
    embodiment: str | None = None
    norm_stats: Literal["fit", "keep"] = "fit"
    cameras: tuple[str, ...] | None = None
    action_horizon: int | None = None
    held_out_share: float = 0.05
    judged_by: tuple[Path, ...] = ()
    batch_size: int = 64
    accumulate: int = 1
    learning_rate: float = 1e-3
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay: float = 0.02
    optimizer: Literal["adamw", "muon"] = "adamw"
    max_gradient_norm: float = 1.0
    bin_sigma: float = 2.0
    ema_decay: float = 0.998
    precision: Literal["fp32", "bf16"] = "bf16"
    gradient_checkpointing: bool = False
    seed: int = 0
    parts: Parts = field(default_factory=Parts)
    augmentation: Augmentation = field(default_factory=Augmentation)
    log_every: int = 20
    save_every: int = 200
    evaluate_every: int = 0
    num_held_out_frames: int = 256
    checkpoint_every: int = 0
    num_judged_episodes: int = 20
    save_as: Literal["merged", "adapter"] = "merged"
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)
    parallel: Literal["ddp", "fsdp"] = "ddp"
    loader_threads: int | None = None
    picture_memory_gib: float = 4.0

    @property
    def base_dtype(self) -> Literal["float32", "bfloat16"]:
        """Number type of what a LoRA leaves as it is; what is trained is always in single precision."""
        return "bfloat16" if self.precision == "bf16" and self.parts.method != "full" else "float32"

    def __post_init__(self) -> None:
        if (self.start_from is None) == (self.tiny is None):
            raise RecipeError("expected either start_from or tiny, got both or neither")
        if self.tiny is not None and (self.norm_stats == "keep") != (self.embodiment is not None):
            raise RecipeError(
                "a new magma-tiny has statistics to keep from an embodiment alone: expected norm_stats: keep together "
                "with embodiment, or norm_stats: fit without"
            )
        means = self.embodiment is None or self.norm_stats == "keep"
        _require("embodiment", means, "norm_stats: keep with it, which else says what actions mean", self.embodiment)
        _require("data", len(self.data) > 0, "at least one item", self.data)
        for name in ("steps", "batch_size", "accumulate", "log_every", "save_every"):
            _require(name, getattr(self, name) > 0, "more than 0", getattr(self, name))
        for name in (
            "evaluate_every",
            "checkpoint_every",
            "num_held_out_frames",
            "num_judged_episodes",
            "weight_decay",
            "bin_sigma",
            "seed",
        ):
            _require(name, getattr(self, name) >= 0, "0 or more", getattr(self, name))
        threads = self.loader_threads
        _require("loader_threads", threads is None or threads >= 0, "0 or more", threads)
        horizon = self.action_horizon
        _require(
            "action_horizon",
            horizon is None or 1 <= horizon <= MAX_ACTION_HORIZON,
            f"1 to {MAX_ACTION_HORIZON}",
            horizon,
        )
        fits = self.cameras is None or (len(self.cameras) > 0 and self.norm_stats == "fit")
        _require("cameras", fits, "at least one name, and norm_stats: fit", self.cameras)
        for name in ("learning_rate", "max_gradient_norm", "picture_memory_gib"):
            _require(name, 0 < getattr(self, name) < math.inf, "a positive number", getattr(self, name))
        if self.parts.method != "full" and self.tiny is not None:
            raise RecipeError("parts.method: a LoRA changes a checkpoint: expected start_from, got a new magma-tiny")
        if self.parts.method == "qlora" and self.parallel == "fsdp":
            raise RecipeError(
                "parallel: fsdp cannot share out the 4-bit weights of qlora; expected ddp, or the method lora"
            )
        if self.optimizer == "muon" and (self.parts.method != "full" or self.parallel == "fsdp"):
            raise RecipeError("optimizer: muon takes whole matrices: expected parts.method full and parallel ddp")
        for name in ("ema_decay", "held_out_share"):
            _require(name, 0 <= getattr(self, name) < 1, "0 to less than 1", getattr(self, name))


def read_recipe(source: str | Path, *, assignments: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file, or of one of the `available` names, with single values set anew.

    Args:
        source: The file, or the name.
        assignments: `key=value` each, see `plain_values.override`.

    Raises:
        RecipeError: there is no such file or name, a key is unknown or missing, or a value cannot be used.
        MagmaRosError: parts or augmentation that contradict themselves.
    """
    path = find_recipe(source)
    document: dict[str, Any] = read_mapping(path, error=RecipeError)
    for assignment in assignments:
        override(document, assignment)
    return build(Recipe, document, where=str(path))


def find_recipe(source: str | Path) -> Path:
    """The file of a recipe.

    Raises:
        RecipeError: it is neither a file nor one of the `available` names.
    """
    for path in (Path(source), RECIPES / f"{source}.yaml"):
        if path.is_file():
            return path
    raise RecipeError(f"recipe {str(source)!r}: expected a YAML file or one of {available()}")


def available() -> list[str]:
    """Names of the recipes that come with this project."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def _require(name: str, holds: bool, expected: str, got: Any) -> None:  # noqa: FBT001 - a condition in place
    if not holds:
        raise RecipeError(f"{name}: expected {expected}, got {got!r}")
