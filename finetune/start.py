"""What a run begins with: architecture, tokenizer, pipeline and weights, of a checkpoint or of a new magma-tiny."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from magma_ros import checkpoint, prompts, sources
from magma_ros.adapter_files import describe_base
from magma_ros.errors import TrainingError
from magma_ros.finetune.dataset import fit_norm_stats
from magma_ros.finetune.material import Material
from magma_ros.finetune.recipe import Recipe
from magma_ros.json_files import read_object
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.tiny import TinySize, build_tokenizer, tiny_config, tiny_preprocessor_config, tokenizer_files
from magma_ros.model.weight_files import find_weights
from magma_ros.model.weights import empty_network, load_network
from magma_ros.pipeline import MANIFEST_NAME, Pipeline, PipelineConfig

ARCHITECTURE = "architecture"
"""Folder of a run that holds a new network's configuration and tokenizer."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with.

    Attributes:
        folder: The files of its architecture, and its weights unless the network is new.
        config: The architecture.
        source: Folder, name or hub id of the checkpoint; None for a new network.
        seed: Of a new network's weights.
    """

    folder: Path
    config: MagmaConfig
    source: str | None
    seed: int

    def processor(self) -> MagmaProcessor:
        """The tokenizer and picture grid of the network."""
        return MagmaProcessor.load(self.folder, self.config)

    def network(self, dtype: torch.dtype) -> MagmaNetwork:
        """The network with its weights, on the CPU; the same numbers every time.

        Raises:
            CheckpointError: the weights cannot be read.
        """
        if self.source is not None:
            return load_network(self.folder, self.config, dtype=dtype)
        torch.manual_seed(self.seed)
        return MagmaNetwork(self.config)

    def empty(self, dtype: torch.dtype) -> MagmaNetwork:
        """The network without memory, on the meta device."""
        if self.source is None:
            with torch.device("meta"):
                return MagmaNetwork(self.config)
        shapes = {key: tensor.shape for key, tensor in find_weights(self.folder).tensors.items()}
        return empty_network(self.config, shapes)[0].to(dtype)

    def describe(self) -> dict[str, Any] | None:
        """The parent for the checkpoint's manifest: as the recipe calls it, its fingerprint and its weights' hashes."""
        if self.source is None:
            return None
        manifest = self.folder / MANIFEST_NAME
        fingerprint = read_object(manifest).get("fingerprint") if manifest.is_file() else None
        return {
            "source": self.source,
            "fingerprint": fingerprint,
            "weights": dict(describe_base(self.source).weights),
        }


def find_start(recipe: Recipe, material: Material, *, writes: bool) -> Start:
    """Find the checkpoint that `recipe` starts from, or make the architecture of a new magma-tiny.

    Args:
        recipe: The run.
        material: What the new tokenizer is learnt from.
        writes: Whether this process writes the new architecture's files; another one waits for it.

    Raises:
        CheckpointError: there is no such checkpoint, or it is none.
        ConversationError: a file of conversations, which a new tokenizer has to express, cannot be used.
    """
    if recipe.start_from is not None:
        folder = sources.find(recipe.start_from)
    else:
        assert recipe.tiny is not None
        folder = recipe.output / ARCHITECTURE
        if writes and not (folder / "config.json").exists():
            write_tiny_architecture(folder, recipe.tiny, instructions=material.instructions, said=material.said())
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    return Start(folder, config, recipe.start_from, recipe.seed)


def make_pipeline(recipe: Recipe, start: Start, material: Material) -> Pipeline:
    """The pipeline of the result: statistics fitted to the training episodes, or those of the start.

    Raises:
        TrainingError: the start has no statistics to keep.
        ContractError: the episodes are of another motion than the kept statistics.
    """
    manifest = start.folder / MANIFEST_NAME
    if recipe.norm_stats == "keep":
        if not manifest.is_file() and recipe.embodiment is None:
            raise TrainingError(
                f"norm_stats: keep: {recipe.start_from} does not say what its actions mean; "
                "expected embodiment to name it, or norm_stats: fit"
            )
        kept = checkpoint.load_pipeline(start.folder, embodiment=recipe.embodiment)
        for item in material.episodes:
            kept.contract.require_same_motion(item.contract, who=str(item.item.path))
        return Pipeline(replace(kept.config, action_horizon=recipe.action_horizon or kept.action_horizon))
    known = Pipeline.load(start.folder).config if manifest.is_file() else None
    return Pipeline(
        PipelineConfig(
            contract=material.contract,
            norm_stats=fit_norm_stats(material.training, material.contract),
            base_vocab_size=start.config.base_vocab_size,
            use_image_start_end=checkpoint.uses_image_start_end(start.folder, start.config),
            lowercase_instruction=known is not None and known.lowercase_instruction,
            action_horizon=recipe.action_horizon or (1 if known is None else known.action_horizon),
        )
    )


def write_tiny_architecture(
    folder: Path, size: TinySize, *, instructions: Sequence[str], said: Sequence[str] = ()
) -> None:
    """Write the files of a new magma-tiny whose vocabulary fits `instructions` and what is `said` in conversations."""
    corpus = [prompts.robot_action_prompt(text, use_image_start_end=True) for text in instructions] + [*said]
    tokenizer = build_tokenizer(corpus, num_text_tokens=size.num_text_tokens)
    documents = {
        **tokenizer_files(tokenizer),
        "preprocessor_config.json": tiny_preprocessor_config(size),
        "config.json": tiny_config(tokenizer, size),
    }
    checkpoint.write_architecture(folder, tokenizer, documents)
