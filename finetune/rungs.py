"""The rungs that load the checkpoint: its gate, one frame on two ways, held-out episodes, one learnt by heart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from magma_ros import adapter_files
from magma_ros.checkpoint import load_activated
from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import ActivationError, PromotionError, RecipeError, TrainingError
from magma_ros.finetune import train_serve
from magma_ros.finetune.digests import digest
from magma_ros.finetune.ladder import Rung, RungName
from magma_ros.finetune.open_loop import open_loop_errors
from magma_ros.finetune.parts import Parts
from magma_ros.finetune.plain_values import build
from magma_ros.finetune.recipe import DataItem, Recipe, Schedule
from magma_ros.finetune.train import finetune
from magma_ros.json_files import read_object
from magma_ros.load_options import LoadOptions
from magma_ros.model.adapter import MagmaModel
from magma_ros.pipeline import MANIFEST_NAME, Pipeline
from magma_ros.policy import ModelPolicy
from magma_ros.wording import counted

NETWORK_RUNGS: tuple[RungName, ...] = ("overfit", "open_loop", "train_serve", "gate")
"""All that need the network."""

MIN_SKILL = 0.0
"""Least skill over repeating the mean on held-out episodes: the lower end of its 95 % interval lies above it."""

MIN_OVERFIT_SKILL = 0.9
"""Least skill over repeating the mean on the one episode that was learnt by heart."""

MIN_OVERFIT_GRIPPER = 0.95
"""Least share of right gripper goals on that episode."""

_OVERFIT_BATCH = 32
_OVERFIT_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class LadderOptions:
    """How a ladder is climbed.

    Attributes:
        min_success: Lower end that the 95 % interval of each simulated task's success rate has to reach.
        overfit_steps: Optimiser steps on one episode.
        max_held_out: Held-out episodes that are looked at, at most.
    """

    min_success: float = 0.5
    overfit_steps: int = 200
    max_held_out: int = 50

    def __post_init__(self) -> None:
        if not 0.0 < self.min_success < 1.0:
            raise PromotionError(f"min_success: expected more than 0 and less than 1, got {self.min_success}")
        for name in ("overfit_steps", "max_held_out"):
            if getattr(self, name) < 1:
                raise PromotionError(f"{name}: expected at least 1, got {getattr(self, name)}")


def try_network(
    folder: Path, data: Path, options: LadderOptions, load: LoadOptions, *, wanted: tuple[RungName, ...]
) -> Iterator[Rung]:
    """Those of the `wanted` rungs that need the network, each as soon as it was tried with episodes of `data`.

    Raises:
        MagmaRosError: checkpoint or episodes cannot be read; the rungs before were handed out.
    """
    try:
        policy, report = load_activated(folder, load)
    except ActivationError as error:
        yield Rung.judged("gate", holds=False, detail=str(error), figures={})
        for name in NETWORK_RUNGS:
            if name in wanted and name != "gate":
                yield Rung(name, "not_tried", "the activation gate refused the checkpoint", {})
        return
    if "gate" in wanted:
        passed = f"{len(report.checks)} checks passed" + "".join(f"; {warning}" for warning in report.warnings)
        yield Rung.judged("gate", holds=True, detail=passed, figures=report.to_dict())
    if not set(wanted) - {"gate"}:
        return
    training = read_object(folder / MANIFEST_NAME).get("training") or {}
    numbers, whence = unseen_episodes(training, data, most=options.max_held_out)
    if "train_serve" in wanted:
        number = numbers[0] if numbers else 0
        yield train_serve.compare(_model_of(policy), policy.pipeline, data, number=number)
    if "open_loop" in wanted:
        yield open_loop(policy, data, numbers, whence)
    if "overfit" in wanted:
        yield overfit(folder, data, training, options, load)


def unseen_episodes(training: Mapping[str, Any], data: Path, *, most: int) -> tuple[list[int], str]:
    """Numbers of the episodes in `data` that the checkpoint was not trained on, and in a sentence why that is known.

    Args:
        training: What the checkpoint's manifest says of its training.
        data: A folder of episodes.
        most: How many, at most; they are spread over the folder.
    """
    numbers = list(range(len(EpisodeDataset(data))))
    whence = "the checkpoint does not say that it was trained on these episodes"
    known = training.get("data", ())
    own = digest(data) if known else ""
    for item in known:
        same_place = "episodes" in item and Path(item["episodes"]).resolve() == data.resolve()
        if item.get("sha256") == own:
            numbers, whence = list(item["held_out"]), "held out of its training, as its manifest says"
            break
        if same_place:
            numbers, whence = (
                [],
                "its training was on this folder, which has changed since: which ones are new is not known",
            )
    step = -(-len(numbers) // most) or 1
    return numbers[::step], whence


def open_loop(policy: ModelPolicy, data: Path, numbers: list[int], whence: str) -> Rung:
    """Errors on episodes that training did not see, per axis and in physical units, against repeating the mean."""
    if not numbers:
        return Rung("open_loop", "not_tried", f"no held-out episodes in {data}: {whence}", {})
    report = open_loop_errors(policy, EpisodeDataset(data), numbers)
    skill = report.skill_over_mean
    detail = (
        f"skill over the mean {skill.value:.3f} [{skill.low:.3f}, {skill.high:.3f}], wanted above {MIN_SKILL}, "
        f"{counted(report.num_steps, 'step')} of {counted(report.num_episodes, 'episode')} ({whence})"
    )
    figures = {**report.to_dict(), "episodes": numbers, "folder": str(data)}
    return Rung.judged("open_loop", holds=skill.low > MIN_SKILL, detail=detail, figures=figures)


def overfit(folder: Path, data: Path, training: Mapping[str, Any], options: LadderOptions, load: LoadOptions) -> Rung:
    """Learn the first episode by heart, beginning with the checkpoint, and repeat it through the serving path.

    What cannot do this has a fault in its data, its loss or its decoding, which no number of episodes will mend.
    """
    with TemporaryDirectory(prefix="overfit-") as scratch:
        recipe = overfit_recipe(folder, data, training, output=Path(scratch) / "run", steps=options.overfit_steps)
        try:
            policy, _ = load_activated(finetune(recipe), replace(load, quantization="none"))
        except RecipeError as error:  # nothing was tried: the run needs another machine, or other data
            return Rung("overfit", "not_tried", str(error), {})
        except (TrainingError, ActivationError) as error:
            return Rung.judged("overfit", holds=False, detail=str(error), figures={})
        report = open_loop_errors(policy, EpisodeDataset(data), [0])
    skill, gripper = report.skill_over_mean.value, report.policy.gripper_accuracy.value
    detail = (
        f"after {counted(recipe.steps, 'step')} on episode 0: skill over the mean {skill:.3f}, "
        f"wanted {MIN_OVERFIT_SKILL}; gripper right in {gripper:.2f}, wanted {MIN_OVERFIT_GRIPPER}"
    )
    holds = skill >= MIN_OVERFIT_SKILL and gripper >= MIN_OVERFIT_GRIPPER
    return Rung.judged("overfit", holds=holds, detail=detail, figures=report.to_dict())


def overfit_recipe(folder: Path, data: Path, training: Mapping[str, Any], *, output: Path, steps: int) -> Recipe:
    """A short run on the first episode that changes what the checkpoint's own training changed; nothing is varied.

    An adapter's run begins with its base, and has the adapter's cameras and action horizon.
    """
    is_adapter = adapter_files.is_adapter(folder)
    own = Pipeline.load(folder) if is_adapter else None
    known = training.get("recipe") or {}
    parts = build(Parts, known["parts"], where=f"{folder}: parts") if "parts" in known else Parts()
    return Recipe(
        data=(DataItem(episodes=data, limit=1),),
        output=output,
        steps=steps,
        start_from=str(adapter_files.open_base(folder) if is_adapter else folder),
        norm_stats="fit" if is_adapter else "keep",
        cameras=None if own is None else tuple(camera.name for camera in own.contract.cameras),
        action_horizon=None if own is None else own.action_horizon,
        held_out_share=0.0,
        batch_size=min(_OVERFIT_BATCH, EpisodeDataset(data).raw.rows[0].length),
        learning_rate=float(known.get("learning_rate", _OVERFIT_RATE)),
        schedule=Schedule(warmup_steps=min(10, steps - 1)),
        weight_decay=0.0,
        bin_sigma=0.0,
        ema_decay=0.0,
        precision="fp32",
        parts=parts,
        log_every=steps,
        save_every=steps,
        num_judged_episodes=0,
        trackers=(),
    )


def _model_of(policy: ModelPolicy) -> MagmaModel:
    model = policy.model
    assert isinstance(model, MagmaModel)
    return model
