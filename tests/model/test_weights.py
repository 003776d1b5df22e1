"""Weights are read whole, from upstream's own names, or not at all."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from magma_ros.checkpoint import load_model
from magma_ros.errors import CheckpointError
from tests.model.random_checkpoints import random_model

GAMMA = "vision_tower.clip_vision_model.trunk.stages.2.blocks.1.gamma"
ROW = "multi_modal_projector.row_seperator"


def test_every_parameter_comes_back_under_upstreams_name(tmp_path: Path) -> None:
    """What is saved is loaded to the bit, and the file's keys are the release's (a sample of each kind is listed)."""
    network = random_model(tmp_path).network
    loaded = load_model(tmp_path).network
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    trunk = "vision_tower.clip_vision_model.trunk."
    expected = {
        trunk + "stem.0.weight",
        trunk + "stem.1.bias",
        trunk + "stages.1.downsample.0.weight",
        trunk + "stages.3.downsample.1.bias",
        trunk + "stages.2.blocks.1.conv_dw.weight",
        trunk + "stages.2.blocks.1.norm.bias",
        trunk + "stages.2.blocks.1.mlp.fc1.weight",
        trunk + "stages.2.blocks.1.mlp.fc2.bias",
        GAMMA,
        ROW,
        "multi_modal_projector.proj.0.weight",
        "multi_modal_projector.proj.2.bias",
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.1.self_attn.q_proj.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
    }
    assert expected <= set(load_file(tmp_path / "model.safetensors"))
    assert (1, 1, 32) == tuple(load_file(tmp_path / "model.safetensors")[ROW].shape)


def _drop(tensors: dict[str, Tensor]) -> None:
    del tensors[GAMMA]


def _add(tensors: dict[str, Tensor]) -> None:
    tensors["vision_tower.surprise"] = torch.zeros(1)


def _misshape(tensors: dict[str, Tensor]) -> None:
    tensors[ROW] = torch.zeros(32)


def _poison(tensors: dict[str, Tensor]) -> None:
    tensors[ROW][0, 0, 3] = torch.nan


def _reset_layer_scales(tensors: dict[str, Tensor]) -> None:
    scales = {name: value for name, value in tensors.items() if name.endswith(".gamma")}
    tensors |= {name: torch.full_like(value, 1e-6) for name, value in scales.items()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_drop, "missing " + GAMMA),
        (_add, "unknown vision_tower.surprise"),
        (_misshape, r"expected shape \(1, 1, 32\), got \(32,\)"),
        (_poison, "not finite"),
        (_reset_layer_scales, "layer scale"),
    ],
)
def test_each_fault_in_the_tensors_is_named(
    tmp_path: Path, spoil: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    """A missing, unknown, misshapen or non-finite tensor, and layer scales left at their initial value, are refused."""
    random_model(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    spoil(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path)


def test_shards_load_like_one_file(tmp_path: Path) -> None:
    """A sharded checkpoint with upstream's index, unused heads included, gives the same network."""
    network = random_model(tmp_path).network
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["vision_tower.clip_vision_model.head.proj.weight"] = torch.zeros(4, 24)
    tensors["vision_tower.clip_vision_model.trunk.head.norm.bias"] = torch.zeros(24)
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, keys in shards.items():
        save_file({key: tensors[key] for key in keys}, tmp_path / file)
    weight_map = {key: file for file, keys in shards.items() for key in keys}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (tmp_path / "model.safetensors").unlink()
    loaded = load_model(tmp_path).network
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())


def test_a_pickle_or_a_cut_file_is_refused(tmp_path: Path) -> None:
    """Bytes that are not a whole safetensors file are never interpreted."""
    random_model(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for content in (pickle.dumps({"a": 1}), whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="whole safetensors file"):
            load_model(tmp_path)


def test_an_index_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    """Shard names with folders in them are refused."""
    random_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../b.safetensors"}}))
    with pytest.raises(CheckpointError, match="plain file names"):
        load_model(tmp_path)
