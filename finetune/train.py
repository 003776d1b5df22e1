"""A recipe in, a checkpoint folder out; a run that was killed goes on where it was, to the bit."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch

from magma_ros.checkpoint import describe_runtime
from magma_ros.errors import RecipeError
from magma_ros.finetune.batches import TrainingBatch, collate
from magma_ros.finetune.clock import TrainingClock
from magma_ros.finetune.curves import Curves
from magma_ros.finetune.devices import Devices
from magma_ros.finetune.freed_memory import keep_freed_memory
from magma_ros.finetune.held_out import HeldOut
from magma_ros.finetune.loader import prepared
from magma_ros.finetune.loop import Run, Tally
from magma_ros.finetune.material import find_material, make_mixture
from magma_ros.finetune.parts import prepare
from magma_ros.finetune.recipe import Recipe
from magma_ros.finetune.result import Result
from magma_ros.finetune.run_folder import claim
from magma_ros.finetune.run_state import SavedState, save_state
from magma_ros.finetune.start import Start, find_start, make_pipeline
from magma_ros.finetune.witness import FrozenWitness, describe_parts
from magma_ros.model.network import MagmaNetwork

_LOG = logging.getLogger(__name__)


def finetune(recipe: Recipe) -> Path:
    """Train what `recipe` says and give the checkpoint folder; every process of the run calls it.

    Goes on where a run in the same folder stopped, however it stopped; a finished one is only looked at.

    Raises:
        RecipeError: the folder holds a run of another recipe or other data, or there are more processes than samples.
        TrainingError: the run cannot be trusted: a gradient that is not finite, or something frozen that moved.
        MagmaRosError: data or checkpoint cannot be used.
    """
    devices = Devices(recipe.parallel)
    try:
        job = _Job(recipe, devices)
        if not job.result.is_finished():
            job.train()
            devices.release()  # the checkpoint is judged where the network was trained
            if devices.is_first:
                job.result.judge(devices.device)
                job.result.publish()
        return job.result.folder
    finally:
        devices.release()


class _Job:
    """One process's part in a run.

    Attributes:
        result: The checkpoint.
    """

    def __init__(self, recipe: Recipe, devices: Devices) -> None:
        self._recipe, self._devices = recipe, devices
        if recipe.batch_size < devices.count * recipe.accumulate:
            raise RecipeError(
                f"batch_size: expected at least one sample for each of {devices.count} devices in each of "
                f"{recipe.accumulate} accumulated parts, got {recipe.batch_size}"
            )
        self._material = find_material(recipe)
        self._start = self._find_start()
        self._processor = self._start.processor()
        self._pipeline = make_pipeline(recipe, self._start, self._material)
        origin = claim(recipe, self._start, self._material) if devices.is_first else {}
        self._devices.wait_for_all()
        self.result = Result(recipe, self._start, self._pipeline, self._material, origin)
        self._clock = TrainingClock(recipe.batch_size)
        self._figures: dict[str, float] = {}

    def train(self) -> None:
        """Take all steps that are left, and write the last one's checkpoint aside."""
        recipe, devices = self._recipe, self._devices
        if devices.device.type == "cpu":
            keep_freed_memory()
        run = Run(recipe, self._network(), devices)
        witness = FrozenWitness(run.network)
        self._restore(run)
        held_out = self._held_out()
        batches = self._batches(run.step)
        with Curves(recipe, from_step=run.step, writes=devices.is_first) as curves:
            self._clock.begin_step()
            for parts in batches:
                rate = run.learning_rate
                tally = run.advance(parts)
                self._clock.end_step()
                curves.write(run.step, self._figures_of(run, tally, rate, held_out))
                if self._is_due(run.step, recipe.save_every):
                    witness.verify(run.network)
                    self._save(run)
                if run.step < recipe.steps and self._is_due(run.step, recipe.checkpoint_every):
                    self._write(run)
                    if devices.is_first:
                        self.result.publish()
                self._clock.begin_step()
        self._write(run)

    def _find_start(self) -> Start:
        if self._devices.is_first:
            self._recipe.output.mkdir(parents=True, exist_ok=True)
            find_start(self._recipe, self._material, writes=True)
        self._devices.wait_for_all()
        return find_start(self._recipe, self._material, writes=False)

    def _network(self) -> MagmaNetwork:
        """What this process trains; on its device, unless the network will be shared out."""
        dtype = torch.bfloat16 if self._recipe.base_dtype == "bfloat16" else torch.float32
        network = self._start.network(dtype) if self._devices.loads_weights else self._start.empty(dtype)
        torch.manual_seed(self._recipe.seed)
        prepare(network, self._recipe.parts, device=None if self._devices.shards else self._devices.device)
        if self._devices.is_first:
            _LOG.info("what is trained:\n%s", describe_parts(network))
        return network

    def _restore(self, run: Run) -> None:
        saved = SavedState.newest(self._recipe.output, self._devices)
        if saved is not None:
            run.restore(saved)
            self._clock.earlier_s = float(saved.progress["elapsed_s"])
            self._figures = dict(saved.progress["figures"])
            _LOG.info("going on at step %d", run.step)

    def _batches(self, from_step: int) -> Iterator[list[TrainingBatch]]:
        """This process's share of each batch that is left, in accumulated parts."""
        recipe = self._recipe
        mixture = make_mixture(recipe, self._material, self._pipeline, self._processor)
        if self._devices.is_first:
            _LOG.info("%d samples, of each batch from: %s", len(mixture), mixture.shares)

        def parts_of(step: int) -> list[TrainingBatch]:
            batch = mixture.batch(recipe.batch_size, step=step, places=self._devices.places)
            samples = sorted(batch, key=lambda sample: sample.length)  # rows of a part are padded to its longest
            bounds = [len(samples) * index // recipe.accumulate for index in range(recipe.accumulate + 1)]
            return [collate(self._processor, samples[low:high]) for low, high in pairwise(bounds)]

        threads = recipe.loader_threads
        if threads is None:
            threads = 0 if self._devices.device.type == "cpu" else 1
        return prepared(parts_of, range(from_step, recipe.steps), threads=threads)

    def _held_out(self) -> HeldOut | None:
        if not self._recipe.evaluate_every:
            return None
        return HeldOut(self._recipe, self._material, self._pipeline, self._processor, self._devices)

    def _is_due(self, step: int, every: int) -> bool:
        return every > 0 and (step % every == 0 or step == self._recipe.steps)

    def _figures_of(self, run: Run, tally: Tally, rate: float, held_out: HeldOut | None) -> dict[str, float]:
        """What the curves get after this step; empty after most steps."""
        new: dict[str, float] = {}
        if self._is_due(run.step, self._recipe.log_every):
            new |= {**tally.figures(self._devices), "learning_rate": rate, "gradient_norm": run.gradient_norm}
            new |= self._clock.figures()
        if held_out and self._is_due(run.step, self._recipe.evaluate_every):
            new |= {f"held_out_{name}": value for name, value in run.held_out(held_out.batches()).items()}
        self._figures |= new
        return new

    def _save(self, run: Run) -> None:
        progress = {"elapsed_s": self._clock.elapsed_s, "figures": self._figures}
        save_state(self._recipe.output, step=run.step, tensors=run.tensors(), progress=progress, devices=self._devices)

    def _write(self, run: Run) -> None:
        trained = run.result()
        if self._devices.is_first:
            how = {"device": str(self._devices.device), "dtype": self._recipe.precision, "quantization": "none"}
            facts = {
                "step": run.step,
                "elapsed_s": round(self._clock.elapsed_s, 1),
                "num_devices": self._devices.count,
                "device": describe_runtime(**how)["device"],
                "metrics": dict(self._figures),
            }
            self.result.write(run.network, trained, facts)
