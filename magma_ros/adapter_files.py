"""An adapter folder: what a training with LoRA changed, kept apart from the checkpoint that it started from.

It is a checkpoint folder without `model.safetensors`. In its place are PEFT's two files, with the release's keys:
`adapter_model.safetensors` (the thin matrices, and the weights that were trained as a whole) and `adapter_config.json`.
The manifest names the base under `base`: where it was, and the SHA-256 of its weight files. Whoever opens the folder
gets the base's weights with the changes worked in while they are read; PEFT is not needed for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from magma_ros import sources
from magma_ros.errors import CheckpointError
from magma_ros.json_files import read_object
from magma_ros.model.weight_changes import LowRank, WeightChange, Whole
from magma_ros.model.weight_files import find_weights
from magma_ros.model.weight_names import release_key
from magma_ros.pipeline import MANIFEST_NAME

CONFIG_FILE = "adapter_config.json"
TENSORS_FILE = "adapter_model.safetensors"
BASE_KEY = "base"
"""Entry of the manifest that holds the base."""

_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
_UNSUPPORTED = ("use_dora", "use_rslora", "lora_bias", "rank_pattern", "alpha_pattern", "fan_in_fan_out")


@dataclass(frozen=True, slots=True)
class Base:
    """The checkpoint that an adapter belongs to.

    Attributes:
        source: Folder, name or hub id; see `sources.find`.
        weights: Weight file → its SHA-256.
    """

    source: str
    weights: Mapping[str, str]


def describe_base(source: Path | str) -> Base:
    """The identity of a checkpoint that an adapter shall belong to; reads all of its weights.

    Raises:
        CheckpointError: there is none, or it is an adapter itself.
    """
    folder = sources.find(source)
    if is_adapter(folder):
        raise CheckpointError(f"{folder}: expected a whole checkpoint as base, got an adapter; merge it first")
    where = str(folder.resolve()) if Path(source).expanduser().is_dir() else str(source)
    return Base(where, _hash_weights(folder))


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter instead of weights."""
    return (folder / CONFIG_FILE).is_file()


def weights_folder(folder: Path) -> Path:
    """The folder whose weights a checkpoint folder stands on: its own, or an adapter's base.

    Raises:
        CheckpointError: the base is not named, or not to be found.
    """
    return sources.find(read_base(folder).source) if is_adapter(folder) else folder


def read_base(folder: Path) -> Base:
    """The base that an adapter folder names.

    Raises:
        CheckpointError: it names none.
    """
    match read_object(folder / MANIFEST_NAME).get(BASE_KEY):
        case {"source": str(source), "weights": {**weights}} if weights:
            return Base(source, {str(name): str(digest) for name, digest in weights.items()})
        case other:
            raise CheckpointError(f"{folder / MANIFEST_NAME}: expected the adapter's base, got {other!r}")


def open_base(folder: Path) -> Path:
    """The folder of an adapter's base, after its weights were compared with those that the adapter was trained on.

    Raises:
        CheckpointError: it is not there, or has other weights.
    """
    base = read_base(folder)
    try:
        found = sources.find(base.source)
    except CheckpointError as error:
        raise CheckpointError(
            f"{folder}: its base is not where it was ({error}); write where it is now to base.source in "
            f"{MANIFEST_NAME}, or merge the two where both are"
        ) from error
    if is_adapter(found) or _hash_weights(found) != base.weights:
        raise CheckpointError(f"{folder}: expected the weights that it was trained on, but {found} holds others")
    return found


def read_changes(folder: Path) -> dict[str, WeightChange]:
    """The release's key → what the adapter changes of that weight.

    Raises:
        CheckpointError: a file is missing or damaged, of another kind than plain LoRA, or holds values that are not
            finite.
    """
    config = read_object(folder / CONFIG_FILE)
    match config:
        case {"peft_type": "LORA", "r": int(rank), "lora_alpha": int() | float() as alpha} if rank > 0:
            unsupported = {name: config[name] for name in _UNSUPPORTED if config.get(name)}
        case _:
            unsupported = {name: config.get(name) for name in ("peft_type", "r", "lora_alpha")}
    if unsupported:
        raise CheckpointError(f"{folder / CONFIG_FILE}: expected a plain LoRA, got {unsupported}")
    path = folder / TENSORS_FILE
    tensors = _read_tensors(path)
    layers = {name.removesuffix(_DOWN).removesuffix(_UP) for name in tensors if name.endswith((_DOWN, _UP))}
    changes: dict[str, WeightChange] = {}
    for layer in sorted(layers):
        down, up = tensors.pop(layer + _DOWN, None), tensors.pop(layer + _UP, None)
        if down is None or up is None or not down.ndim == up.ndim == 2 or not len(down) == up.shape[1] == rank:
            raise CheckpointError(f"{path}: {layer}: expected two matrices of rank {rank}")
        changes[layer.removeprefix(_PREFIX) + ".weight"] = LowRank(down, up, alpha / rank)
    for name, tensor in tensors.items():
        if release_key(name.removeprefix(_PREFIX)) is None:
            raise CheckpointError(f"{path}: {name}: expected a weight that the network reads")
        changes[name.removeprefix(_PREFIX)] = Whole(tensor)
    if not changes:
        raise CheckpointError(f"{path}: expected changed weights, got none")
    return changes


def write_adapter(
    folder: Path, *, changes: Mapping[str, WeightChange], base: Base, alpha: float, dropout: float
) -> None:
    """Write PEFT's two files, and the base into the manifest of `folder`, which the caller completes.

    Args:
        folder: Holds the files of the architecture.
        changes: The release's key → what was changed; every LoRA of one rank.
        base: What the changes are changes of.
        alpha: Of the LoRA: its product counts alpha / rank times.
        dropout: Of the LoRA, for the record.
    """
    low = {key.removesuffix(".weight"): change for key, change in changes.items() if isinstance(change, LowRank)}
    whole = {key: change.value for key, change in changes.items() if isinstance(change, Whole)}
    tensors = {_PREFIX + key: value for key, value in whole.items()}
    for layer, change in low.items():
        tensors |= {f"{_PREFIX}{layer}{_DOWN}": change.down, f"{_PREFIX}{layer}{_UP}": change.up}
    document: dict[str, Any] = {
        "peft_type": "LORA",
        "base_model_name_or_path": base.source,
        "r": next((change.down.shape[0] for change in low.values()), 1),
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "bias": "none",
        "target_modules": sorted(low),
        "modules_to_save": sorted({key.rpartition(".")[0] for key in whole}) or None,
        "inference_mode": True,
    }
    save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, folder / TENSORS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    manifest = read_object(folder / MANIFEST_NAME) if (folder / MANIFEST_NAME).is_file() else {}
    manifest[BASE_KEY] = {"source": base.source, "weights": dict(base.weights)}
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected a whole safetensors file: {error}") from error
    if broken := sorted(name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()):
        raise CheckpointError(f"{path}: holds values that are not finite in {broken}")
    return tensors


def _hash_weights(folder: Path) -> dict[str, str]:
    files = find_weights(folder)
    if files.faults:
        raise CheckpointError(f"{folder}: expected whole weights: {'; '.join(files.faults[:4])}")
    digests = {}
    for path in sorted({tensor.path for tensor in files.tensors.values()}):
        with path.open("rb") as file:
            digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
