"""An adapter opens on the base that it was trained on, whole and unaltered, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from magma_ros import adapter_files, checkpoint, checkpoint_files
from magma_ros.adapter_files import Base, describe_base, read_changes
from magma_ros.checkpoint import load_model, load_pipeline, load_policy
from magma_ros.errors import CheckpointError
from magma_ros.model.config import MagmaConfig
from magma_ros.model.weight_changes import LowRank, WeightChange, Whole
from magma_ros.model.weights import load_network
from tests.model.random_checkpoints import write_random_checkpoint
from tests.model.upstream_layout import MID, upstream_config, upstream_shapes, write_random_weights

LAYER = "language_model.model.layers.1.mlp.down_proj"
SEPARATOR = "multi_modal_projector.row_seperator"


def changes_of_nano() -> dict[str, WeightChange]:
    """A LoRA of rank 2 on one layer of a nano network, and another row separator."""
    generator = torch.Generator().manual_seed(3)
    return {
        f"{LAYER}.weight": LowRank(
            torch.randn(2, 48, generator=generator), torch.randn(32, 2, generator=generator), scale=0.5
        ),
        SEPARATOR: Whole(torch.full((1, 1, 32), 0.25)),
    }


def write_adapter_on(folder: Path, base: Path) -> Path:
    """An adapter's checkpoint folder on the random checkpoint `base`."""
    checkpoint.copy_architecture(base, folder)
    adapter_files.write_adapter(folder, changes=changes_of_nano(), base=describe_base(base), alpha=1.0, dropout=0.0)
    checkpoint.complete_checkpoint(folder, pipeline=load_pipeline(base), training={})
    return folder


def reseal(folder: Path) -> None:
    """Make the manifest agree with the files as they are now."""
    manifest = json.loads((folder / "magma_ros.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = checkpoint_files.sha256_of(folder / name)
    (folder / "magma_ros.json").write_text(json.dumps(manifest))


def test_changes_survive_the_files(tmp_path: Path) -> None:
    """What is written is read again, matrix by matrix; the scale comes back from alpha and rank."""
    folder = write_adapter_on(tmp_path / "adapter", write_random_checkpoint(tmp_path / "base"))
    read, written = read_changes(folder), changes_of_nano()
    assert written.keys() == read.keys()
    one, other = written[f"{LAYER}.weight"], read[f"{LAYER}.weight"]
    assert isinstance(one, LowRank)
    assert isinstance(other, LowRank)
    assert torch.equal(one.down, other.down)
    assert torch.equal(one.up, other.up)
    assert one.scale == other.scale


def test_only_what_was_changed_differs_from_the_base(tmp_path: Path) -> None:
    """The adapted layer is base + scale · up · down, the separator is the new one, all else the base's to the bit."""
    base = write_random_checkpoint(tmp_path / "base")
    folder = write_adapter_on(tmp_path / "adapter", base)
    before, after = (load_model(path).network.state_dict() for path in (base, folder))
    differing = {name for name in before if not torch.equal(before[name], after[name])}
    assert {f"{LAYER}.weight", "projector.row_separator"} == differing
    change = changes_of_nano()[f"{LAYER}.weight"]
    assert isinstance(change, LowRank)
    torch.testing.assert_close(before[f"{LAYER}.weight"] + 0.5 * change.up @ change.down, after[f"{LAYER}.weight"])
    assert torch.equal(torch.full((1, 1, 32), 0.25), after["projector.row_separator"])


def test_another_base_is_refused(tmp_path: Path) -> None:
    """Weights that differ from those trained on, in any byte, are not adapted."""
    base = write_random_checkpoint(tmp_path / "base")
    folder = write_adapter_on(tmp_path / "adapter", base)
    write_random_checkpoint(tmp_path / "other", seed=1)
    (tmp_path / "other" / "model.safetensors").replace(base / "model.safetensors")
    with pytest.raises(CheckpointError, match="expected the weights that it was trained on"):
        load_policy(folder)


def test_a_base_that_moved_is_asked_for(tmp_path: Path) -> None:
    """The message says where it was and which entry to write; with the new place the adapter opens again."""
    base = write_random_checkpoint(tmp_path / "base")
    folder = write_adapter_on(tmp_path / "adapter", base)
    base.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"its base is not where it was .*base\.source in magma_ros\.json"):
        load_policy(folder)
    manifest = json.loads((folder / "magma_ros.json").read_text())
    manifest["base"]["source"] = str(tmp_path / "moved")
    (folder / "magma_ros.json").write_text(json.dumps(manifest))
    load_policy(folder)


def test_an_adapter_on_an_adapter_is_refused(tmp_path: Path) -> None:
    """It has to be merged before something else is trained on it."""
    folder = write_adapter_on(tmp_path / "adapter", write_random_checkpoint(tmp_path / "base"))
    with pytest.raises(CheckpointError, match="got an adapter; merge it first"):
        describe_base(folder)


def test_an_altered_adapter_is_refused(tmp_path: Path) -> None:
    """Its files are in the manifest like any checkpoint's."""
    folder = write_adapter_on(tmp_path / "adapter", write_random_checkpoint(tmp_path / "base"))
    data = bytearray((folder / "adapter_model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "adapter_model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors was altered"):
        load_policy(folder)


@pytest.mark.parametrize(
    ("config", "tensors", "message"),
    [
        ({"peft_type": "LOHA"}, {}, "expected a plain LoRA, got {'peft_type': 'LOHA'"),
        ({"use_dora": True}, {}, "'use_dora': True"),
        ({"r": 3}, {}, f"{LAYER}: expected two matrices of rank 3"),
        ({}, {f"{LAYER}.lora_B.weight": None}, "expected two matrices of rank 2"),
        ({}, {f"{LAYER}.lora_A.weight": None}, "expected two matrices of rank 2"),
        ({"lora_alpha": None}, {}, "'lora_alpha': None"),
        ({}, {f"{LAYER}.lora_A.weight": torch.full((2, 48), torch.nan)}, f"not finite in .*{LAYER}"),
        ({}, {SEPARATOR: torch.zeros(1, 1, 31)}, r"changes a weight of shape \(1, 1, 31\), got \(1, 1, 32\)"),
        ({}, {"language_model.model.nothing.weight": torch.zeros(3)}, r"shape \(3,\), got none"),
        ({}, {"multi_modal_projector.img_start_seperator": torch.zeros(1, 32)}, "expected a weight that the network"),
        ({}, {SEPARATOR: torch.full((1, 1, 32), 1e39, dtype=torch.float64)}, "is not finite once it is changed"),
    ],
)
def test_damage_is_named(config: dict[str, Any], tensors: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Another method, half a pair, a wrong rank, shape or name, and values that are or become infinite."""
    folder = write_adapter_on(tmp_path / "adapter", write_random_checkpoint(tmp_path / "base"))
    document = json.loads((folder / "adapter_config.json").read_text()) | config
    (folder / "adapter_config.json").write_text(json.dumps(document))
    stored = load_file(folder / "adapter_model.safetensors") | {f"base_model.model.{k}": v for k, v in tensors.items()}
    save_file(
        {name: value for name, value in stored.items() if value is not None}, folder / "adapter_model.safetensors"
    )
    reseal(folder)
    with pytest.raises(CheckpointError, match=message):
        load_policy(folder)


def test_an_adapter_without_a_named_base_is_refused(tmp_path: Path) -> None:
    """Nothing is guessed about what it belongs to."""
    folder = write_adapter_on(tmp_path / "adapter", write_random_checkpoint(tmp_path / "base"))
    manifest = json.loads((folder / "magma_ros.json").read_text())
    manifest["base"] = {"source": "somewhere"}
    (folder / "magma_ros.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"expected the adapter's base, got \{'source': 'somewhere'\}"):
        load_model(folder)


def test_shards_in_the_releases_layout_are_adapted(tmp_path: Path) -> None:
    """In bfloat16 the change is added in float32 and rounded once; a base without our manifest has an identity, too."""
    config = upstream_config(**MID)
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_random_weights(tmp_path, upstream_shapes(config, vocab_size=128320), num_shards=3)
    base = describe_base(tmp_path)
    assert Base(str(tmp_path.resolve()), base.weights) == base
    assert 3 == len(base.weights)
    block = "vision_tower.clip_vision_model.trunk.stages.2.blocks.4.mlp.fc1.weight"
    change = LowRank(torch.randn(4, 384), torch.randn(1536, 4), scale=0.01)
    magma = MagmaConfig.from_dict(config)
    plain = load_network(tmp_path, magma, dtype=torch.bfloat16)
    adapted = load_network(tmp_path, magma, dtype=torch.bfloat16, changes={block: change})
    ours = "vision_tower.stages.2.layers.4.pwconv1.weight"
    expected = (plain.get_parameter(ours).float() + 0.01 * change.up @ change.down).to(torch.bfloat16)
    torch.testing.assert_close(expected, adapted.get_parameter(ours).detach())
    assert torch.bfloat16 == adapted.get_parameter(ours).dtype
    assert torch.equal(plain.embeddings, adapted.embeddings)
