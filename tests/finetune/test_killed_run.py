"""`kill -9` at any step costs the steps since the last state, and changes nothing else."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from magma_ros.finetune.train import finetune
from tests.finetune.short_runs import losses, short_recipe, write_recipe

PROGRAM = Path(__file__).parent / "killed_run.py"


def test_a_killed_run_goes_on_with_the_same_losses(episodes_folder: Path, tmp_path: Path) -> None:
    """Killed in a step drawn at random, started again: losses and weights of an undisturbed run, bit for bit."""
    kinds = {"steps": 12, "save_every": 4, "batch_size": 8, "optimizer": "muon"}
    undisturbed, killed = (short_recipe(episodes_folder, tmp_path / name, **kinds) for name in ("one", "two"))
    finetune(undisturbed)
    step = random.SystemRandom().randrange(12)
    command = [sys.executable, str(PROGRAM), str(write_recipe(killed, tmp_path / "recipe.yaml")), str(step)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert -9 == ended.returncode, ended.stderr
    assert not (killed.output / "checkpoint").exists()
    finetune(killed)
    assert losses(undisturbed) == losses(killed), f"killed in step {step}"
    one, two = (load_file(recipe.output / "checkpoint" / "model.safetensors") for recipe in (undisturbed, killed))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
