"""The result of a run: a checkpoint folder that says where it comes from and how well it does what it was shown."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from magma_ros import checkpoint
from magma_ros.adapter_files import describe_base
from magma_ros.entropy_bounds import bounds_above
from magma_ros.episodes import EpisodeDataset
from magma_ros.finetune.lora import merge_adapter, save_adapter
from magma_ros.finetune.material import Material
from magma_ros.finetune.open_loop import OpenLoopReport, open_loop_errors
from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import Recipe
from magma_ros.finetune.run_folder import replace_json
from magma_ros.finetune.start import Start
from magma_ros.json_files import read_object
from magma_ros.model.network import MagmaNetwork
from magma_ros.pipeline import MANIFEST_NAME, Pipeline
from magma_ros.policy import ModelPolicy
from magma_ros.whole_files import names_to_disk, to_disk

FOLDER = "checkpoint"
_PARTIAL, _ADAPTER, _OLD = "checkpoint.partial", "adapter.partial", "checkpoint.old"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """Where a run's checkpoint is made; used by the first process alone.

    Attributes:
        recipe: Of the run.
        start: What it began with.
        pipeline: What it was trained with.
        material: What it was trained on.
        origin: Data hashes and parent, for the manifest.
    """

    recipe: Recipe
    start: Start
    pipeline: Pipeline
    material: Material
    origin: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The finished checkpoint."""
        return self.recipe.output / FOLDER

    def is_finished(self) -> bool:
        """Whether the checkpoint of the last step is there."""
        manifest = self.folder / MANIFEST_NAME
        training = read_object(manifest).get("training", {}) if manifest.is_file() else {}
        return bool(training.get("step") == self.recipe.steps)

    def write(self, network: MagmaNetwork, trained: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write the checkpoint aside: whoever reads `folder` meanwhile finds what was there before.

        Args:
            network: As it was trained; only its structure is looked at.
            trained: Name → each whole trained tensor, on the CPU.
            facts: Step, time, device and figures, for the manifest.
        """
        partial = self.recipe.output / _PARTIAL
        shutil.rmtree(partial, ignore_errors=True)
        training = {**facts, **self.origin, "recipe": to_plain(self.recipe)}
        if self.recipe.parts.method == "full":
            self._copy_architecture(partial)
            plain = self.start.network(torch.float32)
            plain.load_state_dict(plain.state_dict() | dict(trained))
            checkpoint.save_checkpoint(partial, network=plain, pipeline=self.pipeline, training=training)
        else:
            self._write_adapter(network, trained, training, partial)

    def judge(self, device: torch.device) -> None:
        """Ask what was written about held-out episodes, as a robot would; errors and entropy go into its manifest."""
        partial = self.recipe.output / _PARTIAL
        chosen = [(one.folder, one.numbers or ()) for one in self.material.held_out]
        if not chosen or not self.recipe.num_judged_episodes:
            return
        dtype = "bfloat16" if device.type == "cuda" else "float32"
        model = checkpoint.load_model(partial, device=str(device), dtype=dtype)
        policy = ModelPolicy(checkpoint.load_pipeline(partial), model)
        reports: dict[str, OpenLoopReport] = {}
        for folder, numbers in chosen:
            some = numbers[: self.recipe.num_judged_episodes]
            report = reports[str(folder)] = open_loop_errors(policy, EpisodeDataset(folder), some)
            _LOG.info("held-out episodes of %s:\n%s", folder, "\n".join(report.lines()))
        manifest = read_object(partial / MANIFEST_NAME)
        manifest["training"]["metrics"]["open_loop"] = {name: report.to_dict() for name, report in reports.items()}
        manifest["entropy_bounds"] = bounds_above(
            max(report.entropy_slow_nats for report in reports.values()),
            max(report.entropy_hold_nats for report in reports.values()),
        ).to_dict()
        replace_json(partial / MANIFEST_NAME, json.loads(json.dumps(manifest)))

    def publish(self) -> None:
        """Put what was written, once it is on the disk, in the place of what was there before."""
        partial, old = self.recipe.output / _PARTIAL, self.recipe.output / _OLD
        to_disk(partial)
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(old)
        partial.rename(self.folder)
        names_to_disk(self.recipe.output)
        shutil.rmtree(old, ignore_errors=True)

    def _copy_architecture(self, folder: Path) -> None:
        """That of the start, with what the pipeline knows and its loading asks for, where the start left it open.

        What has now learned traces says so, since the robot asks no other checkpoint for them.
        """
        checkpoint.copy_architecture(self.start.folder, folder)
        path, config = folder / "config.json", self.pipeline.config
        stated = {
            "tokenizer_vocab_size": config.base_vocab_size,
            "mm_use_image_start_end": config.use_image_start_end,
            **({"mm_use_som_tom": True} if self.material.teaches_traces() else {}),
        }
        document = read_object(path)
        if document | stated != document:
            replace_json(path, document | stated)

    def _write_adapter(
        self, network: MagmaNetwork, trained: Mapping[str, Tensor], training: Mapping[str, Any], partial: Path
    ) -> None:
        adapter = partial if self.recipe.save_as == "adapter" else self.recipe.output / _ADAPTER
        shutil.rmtree(adapter, ignore_errors=True)
        self._copy_architecture(adapter)
        save_adapter(
            adapter,
            network,
            self.recipe.parts,
            base=describe_base(self.start.source or self.start.folder),
            pipeline=self.pipeline,
            training=training,
            state=trained,
        )
        if self.recipe.save_as == "merged":
            merge_adapter(adapter, partial)
            shutil.rmtree(adapter)
