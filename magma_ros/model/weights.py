"""Safetensors → network: complete, finite, in the wanted number type and place, and never twice in memory.

A tensor is mapped from its file a piece at a time and copied to where it will stay; the mapping of a piece ends before
the next one begins. So the process holds the network plus one piece, whatever number type the file has, and a file
that changes later cannot change a network that moves an arm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from math import inf, isclose, isfinite, prod
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from magma_ros.errors import CheckpointError
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import LAYER_SCALE_INIT, MagmaNetwork
from magma_ros.model.weight_changes import WeightChange
from magma_ros.model.weight_files import SINGLE_FILE, StoredTensor, WeightFiles, find_weights
from magma_ros.model.weight_names import upstream_name
from magma_ros.wording import counted

PIECE_BYTES = 8 * 2**20
"""Most of a file that is mapped at once, except that one row of a tensor is never cut."""

MAX_FAULTS_SHOWN = 64
"""Faults that an error spells out; it counts all of them."""

EMBEDDING = "language_model.model.embed_tokens.weight"
HEAD = "language_model.lm_head.weight"

Quantizer = Callable[[nn.Linear], nn.Module]
"""Makes a linear layer that holds its weights at full width into one that does not."""


def save_weights(network: MagmaNetwork, folder: Path, *, dtype: torch.dtype) -> None:
    """Write `model.safetensors` in upstream's layout, every tensor as `dtype`."""
    tensors = {upstream_name(name): value.to(dtype).contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, folder / SINGLE_FILE, metadata={"format": "pt"})


def load_network(
    folder: Path,
    config: MagmaConfig,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    quantize: Quantizer | None = None,
    changes: Mapping[str, WeightChange] | None = None,
) -> MagmaNetwork:
    """The network with the folder's weights, in `dtype` on `device`, in evaluation mode.

    Args:
        folder: Holds the safetensors files.
        config: The architecture; its vocabulary is read from the tensors.
        device: Where the network stays.
        dtype: What the weights are converted to while they are read.
        quantize: Applied to each linear layer of the Llama's blocks as soon as its weights are there.
        changes: The release's key → change that is worked into the weight, in float32.

    Raises:
        CheckpointError: unreadable files, or missing, unknown, misshapen or non-finite tensors, all named at once.
    """
    files = find_weights(folder)
    network, faults = empty_network(config, {key: tensor.shape for key, tensor in files.tensors.items()})
    changes = changes or {}
    faults = [*files.faults, *faults, *_change_faults(changes, files)]
    scales: dict[str, tuple[float, float]] = {}
    for ours, parameter in network.state_dict().items():
        key = upstream_name(ours)
        stored = files.tensors.get(key)
        if stored is None or stored.shape != tuple(parameter.shape):
            continue
        loaded = torch.empty(stored.shape, dtype=torch.float32 if key in changes else dtype, device=device)
        ends, fault = _read(stored, loaded)
        faults += [f"{key}: {fault}"] if fault else []
        if key.endswith(".gamma"):
            scales[key] = ends
        if key in changes and changes[key].shape == stored.shape:
            loaded = changes[key].apply(loaded).to(dtype)
            faults += [] if torch.isfinite(loaded).all() else [f"{key}: is not finite once it is changed"]
        _place(network, ours, loaded, quantize)
    faults += layer_scale_faults(scales)
    if faults:
        raise CheckpointError(f"{folder}: {describe_faults(faults)}")
    # Rotary frequencies are computed, not stored; the meta copy is rebuilt from the configuration.
    rotary = network.language_model.model.rotary_emb
    network.language_model.model.rotary_emb = type(rotary)(network.config.text).to(device)
    return network.eval()


def empty_network(config: MagmaConfig, found: Mapping[str, tuple[int, ...]]) -> tuple[MagmaNetwork, list[str]]:
    """The network without memory (on the meta device) and what keeps `found` from filling it.

    Args:
        config: The architecture, without regard to its vocabulary.
        found: The release's key → shape of each tensor that there is; decides the vocabulary.
    """
    faults = []
    vocabulary = {key: found[key][0] for key in (EMBEDDING, HEAD) if len(found.get(key, ())) == 2}
    if vocabulary:
        num_tokens = min(vocabulary.values())
        needed = max(config.base_vocab_size, config.image_token_id + 1, config.pad_token_id + 1)
        if len(set(vocabulary.values())) > 1:
            faults.append(f"expected input and output embeddings of one vocabulary, got {vocabulary}")
        if num_tokens < needed:
            faults.append(f"expected a vocabulary of at least {needed} tokens as config.json says, got {num_tokens}")
        text = deepcopy(config.text)
        text.vocab_size = max(needed, *vocabulary.values())
        config = replace(config, text=text)
    with torch.device("meta"):
        network = MagmaNetwork(config)
    expected = {upstream_name(name): tuple(value.shape) for name, value in network.state_dict().items()}
    faults += [f"missing {key}" for key in sorted(expected.keys() - found.keys())]
    faults += [f"unknown {key}" for key in sorted(found.keys() - expected.keys())]
    faults += [
        f"{key}: expected shape {expected[key]}, got {found[key]}"
        for key in sorted(expected.keys() & found.keys())
        if expected[key] != found[key]
    ]
    return network, faults


def _change_faults(changes: Mapping[str, WeightChange], files: WeightFiles) -> list[str]:
    shapes = {key: tensor.shape for key, tensor in files.tensors.items()}
    return [
        f"{key}: the adapter changes a weight of shape {change.shape}, got {shapes.get(key, 'none')}"
        for key, change in changes.items()
        if shapes.get(key) != change.shape
    ]


def value_faults(files: WeightFiles) -> list[str]:
    """What is wrong with the numbers in the files: values that are not finite, layer scales that were never trained."""
    faults, scales = [], {}
    for key, stored in files.tensors.items():
        ends, fault = _read(stored, None)
        faults += [f"{key}: {fault}"] if fault else []
        if key.endswith(".gamma"):
            scales[key] = ends
    return faults + layer_scale_faults(scales)


def layer_scale_faults(ranges: Mapping[str, tuple[float, float]]) -> list[str]:
    """Layer scales (gamma) that no training left as they are: a loader that drops them is upstream's trap T1.

    Args:
        ranges: Key → smallest and largest value.
    """
    if ranges and all(low == high for low, high in ranges.values()):
        return [f"every layer scale (gamma) is constant, like its initial value {LAYER_SCALE_INIT}: never loaded"]
    untouched = [key for key, ends in ranges.items() if all(isclose(x, LAYER_SCALE_INIT, rel_tol=0.01) for x in ends)]
    return [f"{key}: a layer scale that still has its initial value {LAYER_SCALE_INIT}" for key in untouched]


def describe_faults(faults: list[str]) -> str:
    """One sentence that counts all faults and spells out the first ones."""
    more = len(faults) - MAX_FAULTS_SHOWN
    ending = f"; and {more} more" if more > 0 else ""
    return f"{counted(len(faults), 'fault')} in the weights: " + "; ".join(faults[:MAX_FAULTS_SHOWN]) + ending


def _read(stored: StoredTensor, target: Tensor | None) -> tuple[tuple[float, float], str | None]:
    """Copy the tensor into `target`, if there is one.

    Returns:
        Its smallest and largest value, in the target's number type, and what is wrong with its values or its file.
    """
    low, high = inf, -inf
    try:
        for rows, piece in _pieces(stored):
            part = piece if target is None else target[rows].copy_(piece) if target.ndim else target.copy_(piece)
            ends = [float(end) for end in part.aminmax()]
            if not all(map(isfinite, ends)):
                return (low, high), f"holds values that are not finite in {str(part.dtype).removeprefix('torch.')}"
            low, high = min(low, ends[0]), max(high, ends[1])
    except CheckpointError as error:
        return (low, high), str(error)
    return (low, high), None


def _pieces(stored: StoredTensor) -> Iterator[tuple[slice, Tensor]]:
    """Consecutive rows of the tensor as mapped from its file; a piece is gone when the next one is asked for.

    Raises:
        CheckpointError: the file changed since its header was read.
    """
    num_rows = stored.shape[0] if stored.shape else 1
    step = max(1, PIECE_BYTES * num_rows // max(1, stored.num_bytes))
    for start in range(0, num_rows if stored.num_bytes else 0, step):
        rows = slice(start, min(start + step, num_rows))
        try:
            # Opened anew for each piece: pages that were read stay in the process until the mapping ends.
            with safe_open(stored.path, framework="pt") as file:
                piece = file.get_slice(stored.key)[rows] if stored.shape else file.get_tensor(stored.key)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{stored.path.name}: changed while it was read: {error}") from error
        if piece.numel() != prod(stored.shape[1:]) * (rows.stop - rows.start):
            raise CheckpointError(f"{stored.path.name}: {stored.key} changed its shape while it was read")
        yield rows, piece
        del piece


def _place(network: MagmaNetwork, name: str, value: Tensor, quantize: Quantizer | None) -> None:
    """Make `value` the parameter `name`, and its layer a quantised one where that is wanted."""
    path, _, leaf = name.rpartition(".")
    layer = network.get_submodule(path)
    layer.register_parameter(leaf, nn.Parameter(value))
    whole = not any(parameter.is_meta for parameter in layer.parameters(recurse=False))
    if quantize and whole and isinstance(layer, nn.Linear) and path.startswith("language_model.model.layers."):
        parent, _, child = path.rpartition(".")
        setattr(network.get_submodule(parent), child, quantize(layer))
