"""The curves of a run: `log.jsonl`, TensorBoard, Weights & Biases if wanted, and a bar with rate and time left."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from magma_ros.errors import TrainingError
from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import Recipe
from magma_ros.whole_files import replacing

LOG = "log.jsonl"
EVENTS = "tensorboard"
WANDB_ID = "wandb_id.txt"
_RATE_PERIOD_S = 600.0


class Tracker(Protocol):
    """Somebody who draws curves."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of `step`."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class Curves:
    """Figures by step, each step once, also after a run was killed and went on; `with` it around the run."""

    def __init__(self, recipe: Recipe, *, from_step: int, writes: bool) -> None:
        """Go on behind `from_step`: what was written of later steps is forgotten, they will be done again.

        Args:
            recipe: Of the run.
            from_step: Steps that were done.
            writes: False in processes that leave the curves to another one.

        Raises:
            TrainingError: a tracker is not installed.
        """
        self._log = recipe.output / LOG
        self._writes = writes
        self._trackers: list[Tracker] = []
        if writes:
            self._forget_after(from_step)
            self._trackers = [_open_tracker(name, recipe, from_step=from_step) for name in recipe.trackers]
            self._trackers.append(Bar(num_steps=recipe.steps, from_step=from_step))

    def __enter__(self) -> Curves:
        return self

    def __exit__(self, *_: object) -> None:
        for tracker in self._trackers:
            tracker.close()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Append a line and hand it to the trackers, numbers to the bit; without figures nothing is written."""
        if not self._writes:
            return
        if figures:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **figures}) + "\n")
        for tracker in self._trackers:
            tracker.write(step, figures)

    def _forget_after(self, step: int) -> None:
        if not self._log.exists():
            return
        kept = [line for line in self._log.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
        with replacing(self._log) as partial:
            partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


class TensorBoard:
    """Scalars for TensorBoard in `tensorboard/` of the run folder."""

    def __init__(self, output: Path, *, from_step: int) -> None:
        self._writer = SummaryWriter(str(output / EVENTS), purge_step=from_step + 1)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of `step`; they are on the disk when it returns."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases, whose own environment variables say where it goes."""

    def __init__(self, output: Path, recipe: Mapping[str, Any]) -> None:
        """Begin the run, or go on with it: its id is kept in the run folder, whose name others may have too.

        Raises:
            TrainingError: the package is not installed.
        """
        try:
            import wandb  # noqa: PLC0415 - an option that few install
        except ImportError as fault:
            raise TrainingError("trackers: wandb is not installed; pip install wandb, or leave it out") from fault
        self._run = wandb.init(
            project="magma_ros",
            id=_wandb_id(output),
            name=output.resolve().name,
            resume="allow",
            dir=output,
            config=dict(recipe),
        )

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of `step`."""
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        """Hand in what is left."""
        self._run.finish()


class Bar:
    """A progress bar on stderr: steps, samples per second, loss, time left."""

    def __init__(self, *, num_steps: int, from_step: int) -> None:
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"))
        console = Console(file=sys.stderr)
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=console, speed_estimate_period=_RATE_PERIOD_S
        )
        self._task = self._progress.add_task("", total=num_steps, completed=from_step, figures="")
        self._progress.start()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Move to `step`."""
        self._progress.update(self._task, completed=step)
        if "samples_per_s" in figures:
            text = f"loss {figures['loss']:.3f}, {figures['samples_per_s']:.1f} samples/s"
            self._progress.update(self._task, figures=text)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()


def _open_tracker(name: str, recipe: Recipe, *, from_step: int) -> Tracker:
    if name == "wandb":
        return WeightsAndBiases(recipe.output, to_plain(recipe))
    return TensorBoard(recipe.output, from_step=from_step)


def _wandb_id(output: Path) -> str:
    """Drawn at the run's first start, read at the others."""
    path = output / WANDB_ID
    if not path.exists():
        with replacing(path) as partial:
            partial.write_text(uuid4().hex + "\n", encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def _step_of(line: str) -> float:
    """The step of a line; a line that was cut off by a kill belongs to no step that counts."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return float("inf")
