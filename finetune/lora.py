"""LoRA by PEFT: put into the network, taken out again as an adapter, and merged with its base.

Low-rank adaptation is Hu et al. 2021 (arXiv 2106.09685); over a base in nf4 it is Dettmers et al. 2023 (2305.14314).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from magma_ros import checkpoint
from magma_ros.adapter_files import Base, is_adapter, write_adapter
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import CheckpointError, RecipeError, TrainingError
from magma_ros.finetune.parts import Parts, is_lora, trainable
from magma_ros.json_files import read_object
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.quantization import make_quantizer
from magma_ros.model.weight_changes import LowRank, WeightChange, Whole
from magma_ros.model.weight_names import upstream_name
from magma_ros.pipeline import MANIFEST_NAME, Pipeline

_NAME = "default"
_BLOCKS = "language_model.model.layers."


def inject(network: MagmaNetwork, layers: Sequence[str], parts: Parts) -> None:
    """Give each of `layers` a LoRA; its numbers are float32.

    Raises:
        RecipeError: peft is not there.
        TrainingError: it did not do what it was asked for.
    """
    if not layers:
        return
    try:
        from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - full training needs no peft
    except ImportError as error:
        raise RecipeError(f"parts.method {parts.method}: expected the package peft: {error}") from error
    config = LoraConfig(
        r=parts.lora_rank, lora_alpha=parts.lora_alpha, lora_dropout=parts.lora_dropout, target_modules=list(layers)
    )
    inject_adapter_in_model(config, network, adapter_name=_NAME)
    got = {name.partition(".lora_A.")[0] for name, _ in network.named_parameters() if ".lora_A." in name}
    if got != set(layers):
        raise TrainingError(f"expected a LoRA on {len(layers)} layers, but these differ: {sorted(got ^ set(layers))}")


def base_layers(network: MagmaNetwork) -> tuple[str, ...]:
    """Names of the layers that `qlora` stores in nf4 and that are not: the linear ones of the Llama's blocks."""
    modules = network.named_modules()
    return tuple(name for name, module in modules if name.startswith(_BLOCKS) and type(module) is nn.Linear)


def quantize_base(network: MagmaNetwork, device: torch.device) -> None:
    """Store the Llama's blocks in nf4 on `device`, as serving with `quantization="nf4"` does; the rest stays.

    One layer at a time: the device never holds the blocks as they were.

    Raises:
        RecipeError: it is no CUDA device, or bitsandbytes is missing.
    """
    if device.type != "cuda":
        raise RecipeError(
            f"parts.method qlora: expected the network on a CUDA device (nf4 has no other kernels), got {device}; "
            "the method lora trains anywhere"
        )
    try:
        quantize = make_quantizer("nf4", device=device, dtype=network.embeddings.dtype)
    except CheckpointError as error:
        raise RecipeError(f"parts.method qlora: {error}") from error
    assert quantize is not None
    for name in base_layers(network):
        parent, _, child = name.rpartition(".")
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        setattr(network.get_submodule(parent), child, quantize(layer.to(device)))
    network.__dict__["is_loaded_in_4bit"] = True  # where peft looks for it


def trained_changes(network: MagmaNetwork, state: Mapping[str, Tensor] | None = None) -> dict[str, WeightChange]:
    """The release's key → what training changed of that weight.

    Args:
        network: As `prepare` left it.
        state: Values to use in place of the network's own, by the names of its `state_dict()`: averaged ones, or ones
            that were gathered from several devices.
    """
    state = network.state_dict() if state is None else state
    changes: dict[str, WeightChange] = {}
    for name in trainable(network):
        if not is_lora(name):
            changes[upstream_name(name)] = Whole(state[name])
        elif ".lora_A." in name:
            layer = name.partition(".lora_A.")[0]
            changes[upstream_name(f"{layer}.weight")] = _low_rank(network, layer, state)
    return changes


def save_adapter(
    folder: Path,
    network: MagmaNetwork,
    parts: Parts,
    *,
    base: Base,
    pipeline: Pipeline,
    training: Mapping[str, Any],
    state: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint folder that holds an adapter in the place of weights.

    Args:
        folder: Where `checkpoint.write_architecture` or `copy_architecture` has written.
        network: As `prepare` left it.
        parts: As `prepare` was given them.
        base: The checkpoint that the network was loaded from, see `adapter_files.describe_base`.
        pipeline: What the network was trained with.
        training: Data, seeds, steps and figures of the run, kept in the manifest.
        state: As in `trained_changes`.

    Raises:
        CheckpointError: the base is not where it was, or has other weights by now.
    """
    changes = trained_changes(network, state)
    write_adapter(folder, changes=changes, base=base, alpha=parts.lora_alpha, dropout=parts.lora_dropout)
    checkpoint.complete_checkpoint(folder, pipeline=pipeline, training=training)


def merge_adapter(source: Path, output: Path, *, dtype: str = "bfloat16") -> None:
    """Write the checkpoint that an adapter and its base are together, which needs neither of them.

    Args:
        source: The adapter's folder.
        output: A new folder.
        dtype: What the weights are stored as: `float32`, `bfloat16` or `float16`.

    Raises:
        CheckpointError: `source` is no adapter, or it or its base cannot be used, or `output` exists.
    """
    if not is_adapter(source):
        raise CheckpointError(f"{source}: expected an adapter's folder, got one without adapter_config.json")
    if output.exists():
        raise CheckpointError(f"{output}: expected a folder that does not exist yet")
    pipeline = checkpoint.load_pipeline(source)
    network = checkpoint.load_model(source, dtype=dtype).network
    checkpoint.copy_architecture(source, output)
    manifest = read_object(source / MANIFEST_NAME)
    training = {**manifest["training"], "merged_from": manifest["files"]}
    checkpoint.save_checkpoint(output, network=network, pipeline=pipeline, training=training, dtype=dtype)
    if "entropy_bounds" in manifest:
        checkpoint.record_entropy_bounds(output, EntropyBounds.from_dict(manifest["entropy_bounds"]))


def _low_rank(network: MagmaNetwork, layer: str, state: Mapping[str, Tensor]) -> LowRank:
    down, up = (state[f"{layer}.lora_{side}.{_NAME}.weight"] for side in "AB")
    scaling: Any = network.get_submodule(layer).scaling
    return LowRank(down.detach(), up.detach(), float(scaling[_NAME]))
