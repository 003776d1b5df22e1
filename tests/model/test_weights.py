"""Weights are read whole, from upstream's own names, or not at all."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from magma_ros.checkpoint import load_model
from magma_ros.errors import CheckpointError
from magma_ros.json_files import read_object
from magma_ros.model.config import MagmaConfig
from magma_ros.model.weight_files import find_weights
from magma_ros.model.weights import empty_network, load_network, value_faults
from tests.model import upstream_layout
from tests.model.random_checkpoints import random_model
from tests.model.upstream_layout import upstream_config, upstream_shapes, write_random_weights

GAMMA = "vision_tower.clip_vision_model.trunk.stages.2.blocks.1.gamma"
ROW = "multi_modal_projector.row_seperator"
EMBEDDING = "language_model.model.embed_tokens.weight"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

PEAKS_OF_LOADS = """
import sys
from pathlib import Path
import torch
from magma_ros.json_files import read_object
from magma_ros.model.config import MagmaConfig
from magma_ros.model.weights import load_network

def resident_bytes(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))

folder = Path(sys.argv[1])
config = MagmaConfig.from_dict(read_object(folder / "config.json"))
for dtype in (torch.bfloat16, torch.float32):
    network = None
    before = resident_bytes("VmRSS")
    network = load_network(folder, config, dtype=dtype)
    print(resident_bytes("VmHWM") - before, sum(value.nbytes for value in network.state_dict().values()))
"""


def test_every_parameter_comes_back_under_upstreams_name(tmp_path: Path) -> None:
    """What is saved is loaded to the bit, and the file's keys are the release's (a sample of each kind is listed)."""
    network = random_model(tmp_path).network
    loaded = load_model(tmp_path).network
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    assert all(parameter.requires_grad for parameter in loaded.parameters())
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
        EMBEDDING,
        "language_model.model.layers.1.self_attn.q_proj.weight",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
    }
    assert expected <= set(load_file(tmp_path / SINGLE))
    assert (1, 1, 32) == tuple(load_file(tmp_path / SINGLE)[ROW].shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_are_converted_while_they_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    """Every parameter has the wanted number type and is the stored value rounded to it."""
    network = random_model(tmp_path).network
    config = MagmaConfig.from_dict(read_object(tmp_path / "config.json"))
    loaded = load_network(tmp_path, config, dtype=dtype).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value.to(dtype), loaded[name]), name


def test_a_network_of_the_release_has_the_releases_keys_and_shapes() -> None:
    """At Magma-8B's sizes the tower has 843.39 M parameters and the tables' keys fill the network one to one."""
    config = upstream_config(**upstream_layout.MAGMA_8B)
    shapes = upstream_shapes(config, vocab_size=128320)
    network, faults = empty_network(MagmaConfig.from_dict(config), shapes)
    assert [] == faults
    assert len(shapes) == len(network.state_dict())
    assert 843.39 == round(sum(p.numel() for p in network.vision_tower.parameters()) / 1e6, 2)
    assert 29_372_416 == sum(p.numel() for p in network.projector.parameters())
    assert 8_030_785_536 == sum(p.numel() for p in network.language_model.parameters())
    assert 500_000.0 == network.config.text.rope_parameters["rope_theta"]


def test_a_release_with_a_named_tower_loads_at_a_middle_size(tmp_path: Path) -> None:
    """About 30 M random parameters in four shards load with nothing missing and keep their values."""
    config = upstream_config(**upstream_layout.MID)
    shapes = upstream_shapes(config, vocab_size=1000)
    config |= {"tokenizer_vocab_size": 900, "image_token_index": 950, "pad_token_id": 951}
    num_bytes = write_random_weights(tmp_path, shapes, num_shards=4)
    assert 25e6 < num_bytes / 2 < 35e6
    network = load_network(tmp_path, MagmaConfig.from_dict(config), dtype=torch.bfloat16)
    assert num_bytes == sum(value.nbytes for value in network.state_dict().values())
    assert 1000 == network.config.text.vocab_size
    stored = load_file(tmp_path / "model-00001-of-00004.safetensors")
    assert torch.equal(
        stored["vision_tower.clip_vision_model.trunk.stem.0.weight"],
        network.state_dict()["vision_tower.stem.patch_embeddings.weight"],
    )


def test_a_load_holds_the_network_and_little_else(tmp_path: Path) -> None:
    """Loading 1 GB of bfloat16, as it is or as float32, adds at most 1.15 times the network's bytes at its peak.

    A process of its own measures its peak resident set (`VmHWM`, pages of mapped files included) and takes off what it
    held before the load: the interpreter and torch alone are over 350 MB, which no loader can change and which are
    little beside the release's 18 GB.
    """
    config = upstream_config(
        backbone="convnexttiny", hidden_size=1024, num_layers=20, intermediate_size=3584, num_heads=16, num_kv_heads=4
    )
    (tmp_path / "config.json").write_text(json.dumps(config))
    stored = write_random_weights(tmp_path, upstream_shapes(config, vocab_size=128320), num_shards=3)
    assert stored > 1e9
    command = [sys.executable, "-c", PEAKS_OF_LOADS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for path in tmp_path.glob("*.safetensors"):
        path.unlink()
    assert 0 == done.returncode, done.stderr
    (peak, held), (peak_wide, held_wide) = ([int(n) for n in line.split()] for line in done.stdout.splitlines())
    assert [stored, 2 * stored] == [held, held_wide]
    assert peak <= 1.15 * held
    assert peak_wide <= 1.15 * held_wide


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


def _reset_one_layer_scale(tensors: dict[str, Tensor]) -> None:
    tensors[GAMMA] = torch.full_like(tensors[GAMMA], 1e-6)


def _rename_layer_scale(tensors: dict[str, Tensor]) -> None:
    tensors[GAMMA.removesuffix("gamma") + "weight"] = tensors.pop(GAMMA)


def _shorten_vocabulary(tensors: dict[str, Tensor]) -> None:
    tensors[EMBEDDING] = tensors[EMBEDDING][:-1].clone()


def _cut_vocabulary(tensors: dict[str, Tensor]) -> None:
    for name in (EMBEDDING, "language_model.lm_head.weight"):
        tensors[name] = tensors[name][:500].clone()


def _count(tensors: dict[str, Tensor]) -> None:
    tensors[ROW] = tensors[ROW].to(torch.int64)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_drop, "missing " + GAMMA),
        (_add, "unknown vision_tower.surprise"),
        (_misshape, r"expected shape \(1, 1, 32\), got \(32,\)"),
        (_poison, "row_seperator: holds values that are not finite"),
        (_reset_layer_scales, "every layer scale"),
        (_reset_one_layer_scale, GAMMA + ": a layer scale that still has its initial value"),
        (_rename_layer_scale, f"missing {GAMMA}; unknown .*blocks.1.weight"),
        (_shorten_vocabulary, "input and output embeddings of one vocabulary"),
        (_cut_vocabulary, "vocabulary of at least 583 tokens as config.json says, got 500"),
        (_count, "expected one of the number types .*, got I64"),
    ],
)
def test_each_fault_in_the_tensors_is_named(
    tmp_path: Path, spoil: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    """A missing, unknown, misshapen or non-finite tensor, and layer scales left at their initial value, are refused."""
    random_model(tmp_path)
    tensors = load_file(tmp_path / SINGLE)
    spoil(tensors)
    save_file(tensors, tmp_path / SINGLE)
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path)


def test_all_faults_are_in_one_error(tmp_path: Path) -> None:
    """Faults of five kinds are counted and named together; beyond 64 they are counted only."""
    random_model(tmp_path)
    tensors = load_file(tmp_path / SINGLE)
    tensors["multi_modal_projector.proj.0.bias"][0] = torch.inf
    for spoil in (_drop, _add, _misshape, _shorten_vocabulary):
        spoil(tensors)
    save_file(tensors, tmp_path / SINGLE)
    with pytest.raises(CheckpointError) as refused:
        load_model(tmp_path)
    message = str(refused.value)
    assert ": 6 faults in the weights: " in message
    for part in (GAMMA, "surprise", ROW, "proj.0.bias: holds values", "of one vocabulary", f"{EMBEDDING}: expected"):
        assert part in message, part
    save_file(tensors | {f"more.{index}": torch.zeros(1) for index in range(100)}, tmp_path / SINGLE)
    with pytest.raises(CheckpointError, match=r"106 faults .*; and 42 more"):
        load_model(tmp_path)


def test_values_are_judged_in_the_number_type_that_the_network_uses(tmp_path: Path) -> None:
    """A number that float16 cannot hold is refused there and loads in float32."""
    random_model(tmp_path)
    tensors = load_file(tmp_path / SINGLE)
    tensors[ROW][0, 0, 0] = 1e6
    save_file(tensors, tmp_path / SINGLE)
    load_model(tmp_path, dtype="float32")
    with pytest.raises(CheckpointError, match="row_seperator: holds values that are not finite in float16"):
        load_model(tmp_path, dtype="float16")


def test_values_can_be_judged_without_a_network(tmp_path: Path) -> None:
    """The check of `inspect --verify` finds what a load would: nothing in whole files, a NaN and idle layer scales."""
    random_model(tmp_path)
    assert [] == value_faults(find_weights(tmp_path))
    tensors = load_file(tmp_path / SINGLE)
    _poison(tensors)
    _reset_layer_scales(tensors)
    save_file(tensors, tmp_path / SINGLE)
    poisoned, scales = value_faults(find_weights(tmp_path))
    assert poisoned.startswith(ROW)
    assert "layer scale" in scales


def split(folder: Path, **moved: Tensor) -> dict[str, str]:
    """Replace the folder's single file by two shards and upstream's index; gives its weight map."""
    tensors = load_file(folder / SINGLE) | moved
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, keys in shards.items():
        save_file({key: tensors[key] for key in keys}, folder / file)
    weight_map = {key: file for file, keys in shards.items() for key in keys}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    (folder / SINGLE).unlink()
    return weight_map


def test_shards_load_like_one_file(tmp_path: Path) -> None:
    """A sharded checkpoint with upstream's index, unused tensors included, gives the same network."""
    network = random_model(tmp_path).network
    unused = {
        "vision_tower.clip_vision_model.head.proj.weight": torch.zeros(4, 24),
        "vision_tower.clip_vision_model.trunk.head.norm.bias": torch.zeros(24),
        "multi_modal_projector.img_start_seperator": torch.zeros(1, 32),
        "language_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(4),
    }
    split(tmp_path, **unused)
    assert len(unused) == find_weights(tmp_path).num_unused
    loaded = load_model(tmp_path).network
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())


def test_older_internal_names_are_converted(tmp_path: Path) -> None:
    """Keys as upstream's own training wrote them load to the same network; the converter's dropped keys are dropped."""
    network = random_model(tmp_path).network
    older = {
        "vision_tower.clip_vision_model.": "model.vision_tower.model.model.backbone.clip_model.visual.",
        "multi_modal_projector.": "model.mm_projector.",
        "language_model.model.": "model.",
        "language_model.lm_head.": "lm_head.",
    }
    tensors = {}
    for key, value in load_file(tmp_path / SINGLE).items():
        new = next(prefix for prefix in older if key.startswith(prefix))
        tensors[older[new] + key.removeprefix(new)] = value
    dropped = (
        "model.vision_tower.model.model.sem_seg_head.predictor.weight",
        "model.vision_tower.model.model.backbone.clip_model.transformers.0.weight",
        "model.vision_tower.model.model.backbone.dilation_kernel",
        "model.vision_tower.model.model.backbone.clip_model.logit_scale",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
    )
    save_file(tensors | {key: torch.zeros(1) for key in dropped}, tmp_path / SINGLE)
    loaded = load_model(tmp_path).network
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())


def _list_in_the_other_shard(folder: Path, weight_map: dict[str, str]) -> None:
    weight_map[GAMMA] = next(file for file in weight_map.values() if file != weight_map[GAMMA])


def _leave_out_of_the_index(folder: Path, weight_map: dict[str, str]) -> None:
    del weight_map[GAMMA]


def _list_what_is_not_there(folder: Path, weight_map: dict[str, str]) -> None:
    weight_map["vision_tower.ghost"] = weight_map[GAMMA]


def _remove_a_shard(folder: Path, weight_map: dict[str, str]) -> None:
    (folder / weight_map[GAMMA]).unlink()


def _cut_a_shard(folder: Path, weight_map: dict[str, str]) -> None:
    path = folder / weight_map[GAMMA]
    path.write_bytes(path.read_bytes()[:-1])


def _store_twice(folder: Path, weight_map: dict[str, str]) -> None:
    other = folder / next(file for file in weight_map.values() if file != weight_map[GAMMA])
    save_file(load_file(other) | {GAMMA: torch.ones(16)}, other)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_list_in_the_other_shard, rf"the index has {GAMMA} in .*, which has not; .*has {GAMMA}, which the index"),
        (_leave_out_of_the_index, rf"model-\S+ has {GAMMA}, which the index has not there"),
        (_list_what_is_not_there, "the index has vision_tower.ghost in .*, which has not"),
        (_remove_a_shard, rf"model-\S+: expected a whole safetensors file: .*missing {GAMMA}"),
        (_cut_a_shard, rf"model-\S+: expected a whole safetensors file: .*missing {GAMMA}"),
        (_store_twice, f"{GAMMA} is in model-.* and in model-"),
    ],
)
def test_an_index_and_its_shards_agree(
    tmp_path: Path, spoil: Callable[[Path, dict[str, str]], None], message: str
) -> None:
    """A tensor that is elsewhere, left out, missing or stored twice, and a shard that is gone or cut, are refused."""
    random_model(tmp_path)
    weight_map = split(tmp_path)
    spoil(tmp_path, weight_map)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path)


def test_a_pickle_or_a_cut_file_is_refused(tmp_path: Path) -> None:
    """Bytes that are not a whole safetensors file are never interpreted."""
    random_model(tmp_path)
    path = tmp_path / SINGLE
    whole = path.read_bytes()
    for content in (pickle.dumps({"a": 1}), whole[: len(whole) // 2], whole[:-1], whole + b"more", b""):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="whole safetensors file"):
            load_model(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_folder_of_pickles_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Without safetensors, a pickle is pointed out as something that is never loaded; it is not opened."""
    random_model(tmp_path)
    (tmp_path / SINGLE).rename(tmp_path / name)
    with pytest.raises(CheckpointError, match=rf"found neither; \['{name}'\] are pickles, .* never loaded"):
        load_model(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {GAMMA: name}}))
    with pytest.raises(CheckpointError, match="may be pickles and are never loaded"):
        load_model(tmp_path)


@pytest.mark.parametrize("weight_map", [None, [], {}, {"a": 3}, {"a": "../b.safetensors"}, {"a": "/b.safetensors"}])
def test_an_index_names_files_of_its_folder(tmp_path: Path, weight_map: object) -> None:
    """An index of another form, or with folders in its file names, is refused."""
    random_model(tmp_path)
    (tmp_path / SINGLE).unlink()
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=r"plain file names|expected a weight_map"):
        load_model(tmp_path)


def test_two_sets_of_weights_are_refused(tmp_path: Path) -> None:
    """Shards beside a single file leave it open which weights are meant."""
    random_model(tmp_path)
    whole = (tmp_path / SINGLE).read_bytes()
    split(tmp_path)
    (tmp_path / SINGLE).write_bytes(whole)
    with pytest.raises(CheckpointError, match="found both"):
        load_model(tmp_path)
