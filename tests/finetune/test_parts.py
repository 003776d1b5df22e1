"""What a recipe asks to be trained is trained, and nothing else: by part, by layer, in single precision."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from magma_ros.errors import TrainingError
from magma_ros.finetune.lora import base_layers
from magma_ros.finetune.parts import Part, Parts, is_lora, lora_layers, part_of, prepare, trainable
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.weight_names import upstream_name
from tests.finetune.small_steps import small_model
from tests.model import released_config

KEYS: dict[Part, str] = {
    "vision_tower": r"vision_tower\.clip_vision_model\.trunk\..+",
    "projector": r"multi_modal_projector\..+",
    "language_model": r"language_model\.model\.(layers|norm)\..+",
    "embeddings": r"language_model\.model\.embed_tokens\.weight",
    "lm_head": r"language_model\.lm_head\.weight",
}
"""Part → the checkpoint's keys that it has (reference 1.9)."""


@pytest.fixture(scope="module")
def magma_8b() -> MagmaNetwork:
    """The release's network, without memory."""
    with torch.device("meta"):
        return MagmaNetwork(MagmaConfig.from_dict(released_config.CONFIG))


def test_parts_are_keys_of_the_checkpoint(magma_8b: MagmaNetwork) -> None:
    """Every weight of Magma-8B is in exactly one part, the one whose keys the documentation gives."""
    for name, _ in magma_8b.named_parameters():
        assert [part_of(name)] == [part for part, keys in KEYS.items() if re.fullmatch(keys, upstream_name(name))]
    assert set(get_args(Part)) == {part_of(name) for name, _ in magma_8b.named_parameters()}


@pytest.mark.parametrize("part", get_args(Part))
def test_full_training_trains_all_but_the_frozen(part: Part, tmp_path: Path) -> None:
    """Freezing one part leaves exactly the weights of the others trainable."""
    network = small_model(tmp_path).network
    prepare(network, Parts(frozen=(part,)))
    assert {name for name, _ in network.named_parameters() if part_of(name) != part} == set(trainable(network))


def test_lora_is_on_every_linear_layer_of_magma_8b(magma_8b: MagmaNetwork) -> None:
    """Two of each tower block, the projector's two, seven of each Llama block; never the output head."""
    layers = lora_layers(magma_8b, Parts(method="lora"))
    assert 40 * 2 + 2 + 32 * 7 == len(layers) == len(set(layers))
    assert not any("lm_head" in name for name in layers)
    only = lora_layers(magma_8b, Parts(method="lora", frozen=("vision_tower",), whole=("projector",)))
    assert {name for name in layers if name.startswith("language_model")} == set(only)
    sides = [magma_8b.get_parameter(f"{name}.weight").shape for name in only]
    assert 41_943_040 == 16 * sum(rows + columns for rows, columns in sides)


def test_a_lora_lands_on_its_layer_and_no_other(tmp_path: Path) -> None:
    """The projector's layers are called 0 and 2 like many others (T10); asked for, only they get a LoRA."""
    network = small_model(tmp_path).network
    prepare(network, Parts(method="lora", lora_targets=("projector",), lora_rank=3))
    assert {"projector.proj.0", "projector.proj.2"} == {name.partition(".lora_")[0] for name in trainable(network)}
    assert (3, 24) == tuple(network.get_parameter("projector.proj.0.lora_A.default.weight").shape)


def test_many_targets_stay_exact(tmp_path: Path) -> None:
    """Long lists of targets are shortened to endings by peft; still exactly the wanted layers are adapted."""
    network = small_model(tmp_path).network
    wanted = lora_layers(network, Parts(method="lora"))
    assert 20 < len(wanted)
    prepare(network, Parts(method="lora"))
    assert set(wanted) == {name.partition(".lora_A.")[0] for name in trainable(network) if ".lora_A." in name}
    assert all(is_lora(name) for name in trainable(network))


def test_a_part_can_be_trained_whole_beside_lora(tmp_path: Path) -> None:
    """The projector in full and LoRA on two layers of attention: exactly these are trainable."""
    network = small_model(tmp_path).network
    whole = {name for name, _ in network.named_parameters() if part_of(name) == "projector"}
    prepare(network, Parts(method="lora", whole=("projector",), lora_targets=("q_proj", "v_proj")))
    names = set(trainable(network))
    assert whole == {name for name in names if not is_lora(name)}
    assert 2 * 2 * 2 == len(names - whole)


def test_a_whole_part_needs_no_lora(tmp_path: Path) -> None:
    """With every adapted part frozen, a part that is trained whole is the only one that is trained."""
    network = small_model(tmp_path).network
    prepare(network, Parts(method="lora", frozen=("vision_tower", "projector", "language_model"), whole=("lm_head",)))
    assert {"language_model.lm_head.weight"} == set(trainable(network))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_what_is_trained_is_single_precision(method: Any, tmp_path: Path) -> None:
    """Over a base in bfloat16, trained numbers are float32 and frozen ones stay as they were."""
    network = small_model(tmp_path).network.to(torch.bfloat16)
    frozen: tuple[Part, ...] = ("vision_tower",) if method == "full" else ()
    prepare(network, Parts(method=method, frozen=frozen))
    for name, parameter in network.named_parameters():
        assert (torch.float32 if name in trainable(network) else torch.bfloat16) == parameter.dtype, name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "dora"}, r"expected one of \('full', 'lora', 'qlora'\), got 'dora'"),
        ({"frozen": ("tower",)}, r"parts\.frozen: expected parts among .*vision_tower.*, got \['tower'\]"),
        ({"method": "lora", "frozen": ("projector",), "whole": ("projector",)}, r"both for \['projector'\]"),
        ({"whole": ("projector",)}, "belong to the methods lora and qlora"),
        ({"frozen": get_args(Part)}, "at least one part that is trained"),
        ({"method": "qlora", "whole": ("language_model",)}, "no quantised part"),
        ({"method": "lora", "lora_rank": 0}, "lora_rank of at least 1"),
        ({"method": "lora", "lora_dropout": 1.0}, "below 1"),
    ],
)
def test_parts_that_contradict_themselves_are_refused(wrong: dict[str, Any], message: str) -> None:
    """Each says what was expected."""
    with pytest.raises(TrainingError, match=message):
        Parts(**wrong)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (Parts(method="lora", lora_targets=("q_project",)), "'q_project' names no linear layer; there are .*'q_proj'"),
        (Parts(method="lora", lora_targets=("proj",), frozen=("projector",)), r"'proj' is in \['projector'\]"),
        (Parts(method="lora", frozen=("vision_tower", "projector", "language_model")), "no layer for a LoRA"),
    ],
)
def test_targets_that_do_not_fit_are_refused(parts: Parts, message: str, tmp_path: Path) -> None:
    """A misspelt target, one in a frozen part, and targets that are all frozen are named before anything changes."""
    network = small_model(tmp_path).network
    with pytest.raises(TrainingError, match=message):
        prepare(network, parts)
    assert not any(is_lora(name) for name, _ in network.named_parameters())


def test_qlora_quantises_the_llamas_blocks_alone(magma_8b: MagmaNetwork) -> None:
    """As in serving: the seven linear layers of each block, not the tower, the projector, embeddings or the head."""
    layers = base_layers(magma_8b)
    assert 32 * 7 == len(layers)
    assert all(re.fullmatch(r"language_model\.model\.layers\.\d+\.(self_attn|mlp)\..+_proj", name) for name in layers)


def test_qlora_without_a_gpu_is_refused(tmp_path: Path) -> None:
    """The message says what is missing and which method trains here; the network is as it was."""
    network = small_model(tmp_path).network
    with pytest.raises(TrainingError, match=r"expected the network on a CUDA device .*got cpu; the method lora"):
        prepare(network, Parts(method="qlora"))
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_lora_without_peft_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full training needs no peft; LoRA asks for it by name."""
    network = small_model(tmp_path).network
    monkeypatch.setitem(sys.modules, "peft", None)
    prepare(network, Parts())
    with pytest.raises(TrainingError, match="expected the package peft"):
        prepare(network, Parts(method="lora"))
