"""On a CUDA device training takes the CPU's first steps, keeps to its memory plan, and goes on exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from magma_ros.finetune.parts import Parts, prepare
from magma_ros.finetune.planning import plan_recipe
from magma_ros.finetune.train import finetune
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.tiny import TinySize, build_tokenizer, tiny_config
from tests.finetune.short_runs import finetune_until_a_power_cut, losses, short_recipe, write_recipe
from tests.model.random_checkpoints import NANO

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_the_first_losses_are_the_cpus(episodes_folder: Path, tmp_path: Path) -> None:
    """To a thousandth over six steps in single precision; the CPU's are those of a process that sees no GPU."""
    there, here = (short_recipe(episodes_folder, tmp_path / name) for name in ("cuda", "cpu"))
    finetune(there)
    command = [sys.executable, "-m", "magma_ros.cli", "finetune", write_recipe(here, tmp_path / "cpu.yaml")]
    subprocess.run(command, check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert losses(here) == pytest.approx(losses(there), rel=1e-3)


def test_a_run_over_nf4_goes_on_to_the_bit(episodes_folder: Path, tmp_path: Path) -> None:
    """A base that is quantised anew at the new start gives the same losses; runs of the other methods: `test_train`."""
    pytest.importorskip("bitsandbytes")
    parent = finetune(short_recipe(episodes_folder, tmp_path / "parent"))
    changes = {
        "tiny": None,
        "start_from": str(parent),
        "parts": Parts(method="qlora", lora_rank=4),
        "precision": "bf16",
    }
    undisturbed, cut = (short_recipe(episodes_folder, tmp_path / name, **changes) for name in ("whole", "cut"))
    finetune(undisturbed)
    finetune_until_a_power_cut(cut, after_steps=4)
    finetune(cut)
    assert losses(undisturbed) == losses(cut)


def test_a_base_in_nf4_never_lies_on_the_device_as_it_was() -> None:
    """Its blocks are quantised one by one on their way there."""
    pytest.importorskip("bitsandbytes")
    size = replace(NANO, hidden_size=1024, intermediate_size=4096, num_layers=8)
    config = MagmaConfig.from_dict(tiny_config(build_tokenizer(["lift"], num_text_tokens=320), size))
    network = MagmaNetwork(config).to(torch.bfloat16)
    whole_bytes = sum(parameter.nbytes for parameter in network.parameters())
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    prepare(network, Parts(method="qlora", lora_rank=4), device=torch.device("cuda"))
    assert torch.cuda.max_memory_allocated() - held < 0.5 * whole_bytes
    assert network.embeddings.is_cuda


def test_the_peak_is_at_most_the_planned_one(episodes_folder: Path, tmp_path: Path) -> None:
    """But for the rounding of sizes; where rows share the head of their prompts it is less."""
    recipe = short_recipe(episodes_folder, tmp_path / "run", tiny=TinySize(), batch_size=256)
    planned, _ = plan_recipe(recipe)
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    finetune(recipe)
    assert 0 < torch.cuda.max_memory_allocated() - held < 1.02 * planned.peak_bytes
