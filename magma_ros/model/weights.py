"""Safetensors ↔ network: an exact map between upstream's key names and ours, and a complete check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from magma_ros.errors import CheckpointError
from magma_ros.json_files import read_object
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import LAYER_SCALE_INIT, MagmaNetwork

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_TRUNK = "vision_tower.clip_vision_model.trunk"
_RULES: tuple[tuple[str, str], ...] = (
    (r"vision_tower\.stem\.patch_embeddings\.(.+)", _TRUNK + r".stem.0.\1"),
    (r"vision_tower\.stem\.layernorm\.(.+)", _TRUNK + r".stem.1.\1"),
    (r"vision_tower\.stages\.(\d+)\.downsampling_layer\.(.+)", _TRUNK + r".stages.\1.downsample.\2"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter", _TRUNK + r".stages.\1.blocks.\2.gamma"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.dwconv\.(.+)", _TRUNK + r".stages.\1.blocks.\2.conv_dw.\3"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.layernorm\.(.+)", _TRUNK + r".stages.\1.blocks.\2.norm.\3"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.pwconv([12])\.(.+)", _TRUNK + r".stages.\1.blocks.\2.mlp.fc\3.\4"),
    (r"projector\.proj\.(.+)", r"multi_modal_projector.proj.\1"),
    (r"projector\.row_separator", r"multi_modal_projector.row_seperator"),
    (r"(language_model\..+)", r"\1"),
)
"""Our name → upstream's name (its spelling of *row_seperator* included)."""

_UNUSED = re.compile(
    r"vision_tower\.clip_vision_model\.(trunk\.)?head\..+|multi_modal_projector\.img_(start|end)_seperator|.*inv_freq"
)
"""Tensors that a release carries and its forward pass never reads."""


def upstream_name(name: str) -> str:
    """Upstream's key for one of our parameters."""
    for pattern, replacement in _RULES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    raise AssertionError(f"no rule names parameter {name}")


def save_weights(network: MagmaNetwork, folder: Path, *, dtype: torch.dtype) -> None:
    """Write `model.safetensors` in upstream's layout, every tensor as `dtype`."""
    tensors = {upstream_name(name): value.to(dtype).contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, folder / SINGLE_FILE, metadata={"format": "pt"})


def load_network(
    folder: Path, config: MagmaConfig, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> MagmaNetwork:
    """The network with the folder's weights, in `dtype` on `device`, in evaluation mode.

    Raises:
        CheckpointError: unreadable files, or missing, unknown, misshapen or non-finite tensors, all named at once.
    """
    tensors = _read_tensors(folder, device=device, dtype=dtype)
    vocabulary = tensors.get("language_model.model.embed_tokens.weight")
    if vocabulary is not None:
        config.text.vocab_size = len(vocabulary)
    with torch.device("meta"):
        network = MagmaNetwork(config)
    names = {upstream_name(name): name for name in network.state_dict()}
    _check_complete(tensors, {theirs: network.state_dict()[ours] for theirs, ours in names.items()}, folder)
    state = {ours: tensors[theirs] for theirs, ours in names.items()}
    network.load_state_dict(state, strict=True, assign=True)
    # Rotary frequencies are computed, not stored; the meta copy is rebuilt from the configuration.
    network.language_model.model.rotary_emb = type(network.language_model.model.rotary_emb)(config.text).to(device)
    return network.eval()


def _read_tensors(folder: Path, *, device: torch.device | str, dtype: torch.dtype) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in _weight_files(folder):
        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                for key in file.keys():  # noqa: SIM118 - safe_open is not a mapping
                    if not _UNUSED.fullmatch(key):
                        tensors[key] = file.get_tensor(key).to(dtype)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: expected a whole safetensors file: {error}") from error
    return tensors


def _weight_files(folder: Path) -> list[Path]:
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    if (folder / INDEX_FILE).is_file():
        names = sorted(set(read_object(folder / INDEX_FILE).get("weight_map", {}).values()))
        if unsafe := [name for name in names if Path(name).name != name]:
            raise CheckpointError(f"{folder / INDEX_FILE}: expected plain file names, got {unsafe}")
        return [folder / name for name in names]
    raise CheckpointError(f"{folder}: expected {SINGLE_FILE} or {INDEX_FILE}, found neither")


def _check_complete(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], folder: Path) -> None:
    faults = [f"missing {name}" for name in sorted(expected.keys() - tensors.keys())]
    faults += [f"unknown {name}" for name in sorted(tensors.keys() - expected.keys())]
    for name in sorted(expected.keys() & tensors.keys()):
        want, got = tuple(expected[name].shape), tuple(tensors[name].shape)
        if want != got:
            faults.append(f"{name}: expected shape {want}, got {got}")
        elif not bool(torch.isfinite(tensors[name]).all()):
            faults.append(f"{name}: holds values that are not finite")
    faults += _unloaded_layer_scales(tensors)
    if faults:
        raise CheckpointError(f"{folder}: {len(faults)} faults in the weights: " + "; ".join(faults))


def _unloaded_layer_scales(tensors: Mapping[str, Tensor]) -> Iterable[str]:
    """Layer scales that are all at their initial value: a sign that a loader dropped them (reference trap T1)."""
    gammas = {name: value for name, value in tensors.items() if name.endswith(".gamma")}
    if gammas and all(bool((value == value.flatten()[0]).all()) for value in gammas.values()):
        yield f"every layer scale (gamma) is constant, like its initial value {LAYER_SCALE_INIT}: not loaded"
