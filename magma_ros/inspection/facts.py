"""Looking at a checkpoint: every part is tried, so that all its faults are found and not only the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from magma_ros import adapter_files, checkpoint, checkpoint_files, sources
from magma_ros.contract import ActionContract
from magma_ros.errors import MagmaRosError
from magma_ros.inspection.memory import MemoryNeed, find_devices, plan_memory
from magma_ros.json_files import read_object
from magma_ros.model.config import MagmaConfig
from magma_ros.model.decoding import NUM_ACTION_BINS
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor, choose_grid
from magma_ros.model.weight_files import PICKLE_SUFFIXES, WeightFiles, find_weights
from magma_ros.model.weights import empty_network, value_faults
from magma_ros.normalization import NormStats
from magma_ros.pipeline import MANIFEST_NAME, Pipeline
from magma_ros.prompts import robot_action_prompt

TYPICAL_INSTRUCTION = "put the carrot on the plate"
"""What the memory plan's prompt asks for; it shows one picture, of 256 px where no contract names a size."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Column:
    """Statistics of one of the seven numbers.

    Attributes:
        name: What it is.
        unit: Of every number here but `scaled`.
        q01, q99: What becomes -1 and 1.
        scaled: Whether it is scaled at all; the gripper passes as it is.
        bin_width: Step between two neighbouring action tokens.
        mean, std: Of the training data, where they were recorded.
    """

    name: str
    unit: str
    q01: float
    q99: float
    scaled: bool
    bin_width: float
    mean: float | None
    std: float | None


@dataclass(slots=True)
class Inspection:
    """Everything that was found out; what a fault left unknown is None or empty.

    Attributes:
        source, folder: What was asked for and where it is.
        architecture: Sizes by name.
        parameters: Part of the network → number of parameters, and `total`.
        vocabulary: Tokens, action ids and special ids by name.
        weights: Files, bytes, number types and unused tensors.
        contract: What the actions mean, as in the manifest.
        statistics: One entry for each of the seven numbers.
        fingerprint: Of the pipeline.
        num_prompt_tokens: Of the prompt that the memory plan is for.
        memory: Needs of each form that the network can be loaded in.
        devices: Memory of this machine's devices [bytes].
        verified: Whether files were hashed and values looked at.
        notes: What is worth knowing and no fault.
        faults: Why the checkpoint cannot be used.
    """

    source: str
    folder: str
    verified: bool
    architecture: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    vocabulary: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    contract: dict[str, Any] | None = None
    statistics: list[Column] = field(default_factory=list)
    fingerprint: str | None = None
    num_prompt_tokens: int | None = None
    memory: list[MemoryNeed] = field(default_factory=list)
    devices: dict[str, int] = field(default_factory=find_devices)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "healthy": not self.faults}

    def attempt(self, look: Callable[[], _T]) -> _T | None:
        """What `look` gives, or None and one more fault."""
        try:
            return look()
        except MagmaRosError as error:
            self.faults.append(str(error))
            return None


def inspect(source: Path | str, *, embodiment: Path | str | None = None, verify: bool = False) -> Inspection:
    """What the checkpoint is and what is wrong with it.

    Args:
        source: A folder, a name or a hub id, see `sources.find`.
        embodiment: As for `checkpoint.load_policy`.
        verify: Compare every file with the manifest, and an adapter's base with what that says of it, and look at every
            value too; else headers and small files alone.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    folder = sources.find(source)
    found = Inspection(str(source), str(folder), verified=verify)
    config = found.attempt(lambda: MagmaConfig.from_dict(read_object(folder / "config.json")))
    files = found.attempt(lambda: find_weights(adapter_files.weights_folder(folder)))
    if adapter_files.is_adapter(folder):
        _describe_adapter(found, folder, verify=verify and files is not None)
    if files is not None:
        _describe_files(found, files, verify=verify)
    processor = network = None
    if config is not None:
        network = _describe_network(found, config, files)
        processor = found.attempt(lambda: MagmaProcessor.load(folder, config))
        found.vocabulary |= _describe_vocabulary(found, config, processor)
    pipeline = _describe_pipeline(found, folder, embodiment=embodiment, verify=verify)
    if network is not None and processor is not None:
        num_tokens = found.attempt(lambda: _count_prompt_tokens(processor, pipeline))
        found.num_prompt_tokens = num_tokens
        found.memory = plan_memory(network, num_prompt_tokens=num_tokens or 0, devices=found.devices)
    if pickles := sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES):
        found.notes.append(f"pickles are never loaded: {pickles}")
    return found


def _describe_adapter(found: Inspection, folder: Path, *, verify: bool) -> None:
    base = found.attempt(lambda: adapter_files.read_base(folder))
    changes = found.attempt(lambda: adapter_files.read_changes(folder))
    if base is not None and changes is not None:
        found.notes.append(f"an adapter, which changes {len(changes)} weights of {base.source}; weights are the base's")
    if verify:
        found.attempt(lambda: adapter_files.open_base(folder))


def _describe_files(found: Inspection, files: WeightFiles, *, verify: bool) -> None:
    tensors = files.tensors.values()
    found.weights = {
        "files": sorted({tensor.path.name for tensor in tensors}),
        "num_tensors": len(tensors),
        "num_unused": files.num_unused,
        "bytes": sum(tensor.num_bytes for tensor in tensors),
        "dtypes": dict(Counter(tensor.dtype for tensor in tensors)),
    }
    found.faults += files.faults
    if verify:
        found.faults += value_faults(files)


def _describe_network(found: Inspection, config: MagmaConfig, files: WeightFiles | None) -> MagmaNetwork:
    shapes = {key: tensor.shape for key, tensor in files.tensors.items()} if files else {}
    network, faults = empty_network(config, shapes)
    if files is not None:
        found.faults += faults
    text, tower = network.config.text, config.tower
    found.architecture = {
        "vision_backbone": config.raw["vision_config"].get("vision_backbone"),
        "tower_depths": list(tower.depths),
        "tower_dims": list(tower.dims),
        "projector_layers": config.projector_depth,
        "hidden_size": text.hidden_size,
        "num_layers": text.num_hidden_layers,
        "num_heads": text.num_attention_heads,
        "num_kv_heads": text.num_key_value_heads,
        "intermediate_size": text.intermediate_size,
        "rope_theta": cast("dict[str, Any]", text.rope_parameters)["rope_theta"],
        "max_positions": text.max_position_embeddings,
    }
    parts = {
        "vision tower": network.vision_tower,
        "projector": network.projector,
        "language model": network.language_model,
    }
    found.parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    found.parameters["total"] = sum(found.parameters.values())
    found.vocabulary["embedding_rows"] = text.vocab_size
    return network


def _describe_vocabulary(
    found: Inspection, config: MagmaConfig, processor: MagmaProcessor | None
) -> dict[str, int | list[int] | dict[str, int | None]]:
    known: dict[str, int | list[int] | dict[str, int | None]] = {
        "text_tokens": config.base_vocab_size,
        "action_ids": [config.base_vocab_size - NUM_ACTION_BINS, config.base_vocab_size - 1],
    }
    if processor is None:
        return known
    names = ("<|begin_of_text|>", "<|eot_id|>", "<pad>", "<image>", "<action>", "<image_start>", "<image_end>")
    special = {name: processor.tokenizer.token_to_id(name) for name in names}
    if special["<image>"] != config.image_token_id:
        found.faults.append(
            f"config.json: expected image_token_index {special['<image>']} as the tokenizer has it, "
            f"got {config.image_token_id}"
        )
    rows, largest = found.vocabulary["embedding_rows"], processor.tokenizer.get_vocab_size() - 1
    if largest >= rows:
        found.faults.append(f"tokenizer: expected ids below {rows}, the rows of the embedding, got up to {largest}")
    return {**known, "special_ids": special}


def _describe_pipeline(
    found: Inspection, folder: Path, *, embodiment: Path | str | None, verify: bool
) -> Pipeline | None:
    if embodiment is None and not (folder / MANIFEST_NAME).is_file():
        found.notes.append(
            f"no {MANIFEST_NAME}: it needs an embodiment to act, which says what its seven numbers mean "
            "(--embodiment; parameter embodiment of the node)"
        )
        return None
    if (folder / MANIFEST_NAME).is_file():
        found.attempt(lambda: checkpoint_files.verify_files(folder, hash_files=verify))
    pipeline = found.attempt(lambda: checkpoint.load_pipeline(folder, embodiment=embodiment, verify=False))
    if pipeline is not None:
        found.contract = pipeline.contract.to_dict()
        found.statistics = describe_statistics(pipeline.contract, pipeline.config.norm_stats)
        found.fingerprint = pipeline.fingerprint()
    return pipeline


def describe_statistics(contract: ActionContract, stats: NormStats) -> list[Column]:
    """The seven columns of `stats`, named and with units by `contract`."""
    turns = ("roll", "pitch", "yaw") if contract.rotation_form == "rpy" else ("rotation x", "rotation y", "rotation z")
    gripper = "0 closed … 1 open" if contract.gripper_polarity == "open_is_one" else "0 open … 1 closed"
    names = [*((axis, "m") for axis in "xyz"), *((turn, "rad") for turn in turns), ("gripper", gripper)]
    widths = np.where(stats.mask, stats.q99 - stats.q01, 2.0) / (NUM_ACTION_BINS - 1)
    return [
        Column(
            name,
            unit,
            float(stats.q01[index]),
            float(stats.q99[index]),
            bool(stats.mask[index]),
            float(widths[index]),
            None if stats.mean is None else float(stats.mean[index]),
            None if stats.std is None else float(stats.std[index]),
        )
        for index, (name, unit) in enumerate(names)
    ]


def _count_prompt_tokens(processor: MagmaProcessor, pipeline: Pipeline | None) -> int:
    """Tokens of a prompt for a typical instruction, its pictures written out in full."""
    sizes = [(c.width_px, c.height_px) for c in pipeline.contract.cameras] if pipeline else [(256, 256)]
    wraps = pipeline.config.use_image_start_end if pipeline else True
    side, most = processor.image_config.base_img_size, processor.image_config.num_crops
    grids = [choose_grid(width, height, num_crops=most, base_img_size=side) for width, height in sizes]
    prompt = robot_action_prompt(TYPICAL_INSTRUCTION, use_image_start_end=wraps, num_images=len(sizes))
    return len(processor.token_ids(prompt, grids))
