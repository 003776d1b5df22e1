"""An inspection knows a checkpoint's sizes and meaning without loading it, and finds all of its faults."""

from __future__ import annotations

import json
import time
from math import prod
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from magma_ros.checkpoint import load_policy
from magma_ros.errors import CheckpointError
from magma_ros.inspection.facts import inspect
from tests.model import upstream_layout
from tests.model.random_checkpoints import CONTRACT, write_random_checkpoint
from tests.model.upstream_layout import upstream_config, upstream_shapes
from tests.test_adapter_files import write_adapter_on

ROW = "multi_modal_projector.row_seperator"
WEIGHTS = "model.safetensors"


def write_release_outline(folder: Path) -> None:
    """The release's size in four shards whose 17.8 GB are holes; tokenizer and pictures are those of a tiny network."""
    write_random_checkpoint(folder)
    ours = json.loads((folder / "config.json").read_text())
    for name in ("magma_ros.json", "dataset_statistics.json", WEIGHTS):
        (folder / name).unlink()
    config = upstream_config(**upstream_layout.MAGMA_8B)
    tokens = {key: ours[key] for key in ("tokenizer_vocab_size", "image_token_index", "pad_token_id")}
    (folder / "config.json").write_text(json.dumps(config | tokens))
    shapes = upstream_shapes(config, vocab_size=128320)
    weight_map = {}
    for shard in range(4):
        name, header, end = f"model-{shard + 1:05}-of-00004.safetensors", {}, 0
        for key in list(shapes)[shard::4]:
            start, end = end, end + 2 * prod(shapes[key])
            header[key] = {"dtype": "BF16", "shape": list(shapes[key]), "data_offsets": [start, end]}
            weight_map[key] = name
        text = json.dumps(header).encode()
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + end)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_a_whole_checkpoint_is_described_and_healthy(tmp_path: Path) -> None:
    """Sizes, ids, contract, statistics and fingerprint are the loaded policy's own; nothing is wrong."""
    folder = write_random_checkpoint(tmp_path)
    policy = load_policy(folder)
    found = inspect(folder, verify=True)
    assert [] == found.faults
    assert CONTRACT.to_dict() == found.contract
    assert policy.pipeline.fingerprint() == found.fingerprint
    assert [320, 575] == found.vocabulary["action_ids"]
    assert 586 == found.vocabulary["embedding_rows"]
    assert 582 == found.vocabulary["special_ids"]["<image>"]
    stored = load_file(folder / WEIGHTS)
    assert sum(value.numel() for value in stored.values()) == found.parameters["total"]
    assert {"F32": len(stored)} == found.weights["dtypes"]
    assert found.to_dict()["healthy"]
    json.dumps(found.to_dict())


def test_statistics_have_names_units_and_the_width_of_a_token(tmp_path: Path) -> None:
    """Metres, radians and an opening; one token is a 255th of the range, of two units where nothing is scaled."""
    found = inspect(write_random_checkpoint(tmp_path))
    assert ["x", "y", "z", "roll", "pitch", "yaw", "gripper"] == [column.name for column in found.statistics]
    assert ["m"] * 3 + ["rad"] * 3 + ["0 closed … 1 open"] == [column.unit for column in found.statistics]
    first, gripper = found.statistics[0], found.statistics[-1]
    assert first.bin_width == pytest.approx((first.q99 - first.q01) / 255)
    assert gripper.bin_width == pytest.approx(2 / 255)
    assert first.mean is not None


def test_the_release_is_inspected_from_its_headers(tmp_path: Path) -> None:
    """17.8 GB of weights are described in seconds: 8.9 billion parameters, 843.39 M of them in the tower."""
    write_release_outline(tmp_path)
    started_s = time.perf_counter()
    found = inspect(tmp_path)
    assert time.perf_counter() - started_s < 20.0
    assert [] == found.faults
    assert 8_903_549_824 == found.parameters["total"]
    assert 843.39 == round(found.parameters["vision tower"] / 1e6, 2)
    assert 2 * found.parameters["total"] == found.weights["bytes"]
    needs = {need.form: round(need.weights_bytes / 1e9, 1) for need in found.memory}
    assert {
        "float32": 35.6,
        "bfloat16": 17.8,
        "float32 + int8": 14.7,
        "bfloat16 + int8": 10.8,
        "bfloat16 + int4": 8.2,
        "float32 + nf4": 11.3,
        "bfloat16 + nf4": 7.4,
    } == needs
    assert found.contract is None
    assert any("embodiment" in note for note in found.notes)
    named = inspect(tmp_path, embodiment="bridge_widowx")
    assert [] == named.faults
    assert named.contract is not None
    assert "bridge_widowx" == named.contract["embodiment"]
    assert named.statistics[0].mean is None


def test_all_faults_are_found_and_not_only_the_first(tmp_path: Path) -> None:
    """Weights, tokenizer, pictures and contract can be wrong at once, and the pickle beside them is pointed out."""
    folder = write_random_checkpoint(tmp_path)
    tensors = load_file(folder / WEIGHTS)
    del tensors[ROW]
    save_file(tensors | {"vision_tower.surprise": torch.zeros(1)}, folder / WEIGHTS)
    (folder / "pytorch_model.bin").write_bytes(b"")
    (folder / "tokenizer.json").unlink()
    manifest = json.loads((folder / "magma_ros.json").read_text())
    (folder / "magma_ros.json").write_text(json.dumps(manifest | {"format": 7}))
    found = inspect(folder)
    said = "\n".join(found.faults)
    for part in (
        f"missing {ROW}",
        "unknown vision_tower.surprise",
        "expected the tokenizer",
        "tokenizer.json is missing",
    ):
        assert part in said, part
    assert any("pytorch_model.bin" in note for note in found.notes)
    assert not found.to_dict()["healthy"]


def test_a_folder_without_anything_is_faulty_and_described_as_far_as_it_goes(tmp_path: Path) -> None:
    """Each missing part is a fault of its own; a folder that is not there is an error."""
    found = inspect(tmp_path)
    assert any("config.json" in fault for fault in found.faults)
    assert any("found neither" in fault for fault in found.faults)
    assert [] == found.memory
    with pytest.raises(CheckpointError, match="expected a checkpoint folder"):
        inspect(tmp_path / "nowhere")


def test_verifying_reads_what_headers_cannot_show(tmp_path: Path) -> None:
    """A NaN and an altered file go unnoticed by the quick look and are found by the thorough one."""
    folder = write_random_checkpoint(tmp_path)
    tensors = load_file(folder / WEIGHTS)
    tensors[ROW][0, 0, 0] = torch.nan
    save_file(tensors, folder / WEIGHTS)
    assert [] == inspect(folder).faults
    faults = inspect(folder, verify=True).faults
    assert any(f"{ROW}: holds values that are not finite" in fault for fault in faults)
    assert any(f"{WEIGHTS} was altered" in fault for fault in faults)


def test_config_and_tokenizer_must_mean_the_same_ids(tmp_path: Path) -> None:
    """A placeholder id that is another token, and ids beyond the embedding, are faults."""
    folder = write_random_checkpoint(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"image_token_index": 583}))
    tensors = load_file(folder / WEIGHTS)
    for key in ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"):
        tensors[key] = tensors[key][:584].clone()
    save_file(tensors, folder / WEIGHTS)
    said = "\n".join(inspect(folder).faults)
    assert "expected image_token_index 582 as the tokenizer has it, got 583" in said
    assert "expected ids below 584, the rows of the embedding, got up to 585" in said


def test_verifying_an_adapter_compares_its_base(tmp_path: Path) -> None:
    """Other weights where its base was are a fault on request; from headers alone nobody can tell."""
    base = write_random_checkpoint(tmp_path / "base")
    folder = write_adapter_on(tmp_path / "adapter", base)
    assert [] == inspect(folder, verify=True).faults
    write_random_checkpoint(base, seed=1)
    assert [] == inspect(folder).faults
    (fault,) = inspect(folder, verify=True).faults
    assert "expected the weights that it was trained on" in fault
