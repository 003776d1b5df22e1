"""Two processes train what one does: with copies, and with FSDP2's parts; real processes that talk through gloo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from magma_ros.checkpoint import load_policy
from magma_ros.episodes import EpisodeDataset
from magma_ros.finetune.parts import Parts
from magma_ros.finetune.recipe import Recipe
from magma_ros.finetune.train import finetune
from tests.finetune.short_runs import losses, short_recipe, write_recipe
from tests.model.random_checkpoints import write_random_checkpoint

pytestmark = pytest.mark.timeout(300)  # three runs in each of two processes, and a test suite beside them

PROGRAM = Path(__file__).parent / "two_processes.py"
STEPS = 20


class Runs(NamedTuple):
    """The same training, spread in different ways."""

    one: Recipe
    copies: Recipe
    parts: Recipe
    lora_parts: Recipe
    start: Path


@pytest.fixture(scope="module")
def runs(episodes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One process; two with copies; two with parts, which end after 12 of 20 steps; a LoRA over parts in bfloat16."""
    folder = tmp_path_factory.mktemp("runs")
    start = write_random_checkpoint(folder / "start")
    usual = {"steps": STEPS, "batch_size": 8, "save_every": 10, "held_out_share": 0.2, "evaluate_every": 10}
    lora = {"tiny": None, "start_from": str(start), "precision": "bf16", "parts": Parts(method="lora", lora_rank=4)}
    made = Runs(
        short_recipe(episodes_folder, folder / "one", **usual),
        short_recipe(episodes_folder, folder / "copies", accumulate=2, **usual),
        short_recipe(
            episodes_folder,
            folder / "parts",
            parallel="fsdp",
            checkpoint_every=10,
            gradient_checkpointing=True,
            **usual,
        ),
        short_recipe(episodes_folder, folder / "lora", parallel="fsdp", **usual | lora | {"steps": 4}),
        start,
    )
    finetune(made.one)
    files = [write_recipe(recipe, folder / f"{index}.yaml") for index, recipe in enumerate(made[1:4])]
    in_two_processes([str(files[0]), f"{files[1]}:12", str(files[2])])
    return made


def in_two_processes(arguments: list[str]) -> None:
    """Run the program as two processes of one run, and see both end well."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    usual = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
    }
    usual |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            env={**usual, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [0, 0] == [process.returncode for process in processes], "\n".join(printed)


def test_two_processes_with_copies_train_what_one_does(runs: Runs) -> None:
    """Half the batch each, in two accumulated parts: twenty losses, those on held-out frames and the weights agree."""
    assert STEPS == len(losses(runs.copies))
    assert losses(runs.one) == pytest.approx(losses(runs.copies), abs=1e-5)
    one, two = (load_file(next((r.output / "state").rglob("*.safetensors"))) for r in (runs.one, runs.copies))
    for name, value in one.items():
        if name.startswith("average/"):
            torch.testing.assert_close(value, two[name], atol=1e-4, rtol=1e-3)


def test_two_processes_with_parts_train_what_one_does(runs: Runs, episodes_folder: Path) -> None:
    """FSDP2: the losses agree, its checkpoint acts in one process, and one process goes on with the state of two."""
    assert losses(runs.one)[:12] == pytest.approx(losses(runs.parts), abs=1e-5)
    assert 2 == len(list((runs.parts.output / "state" / "step-00000010").glob("*.safetensors")))
    policy = load_policy(runs.parts.output / "checkpoint")
    assert (1, 7) == policy.infer(EpisodeDataset(episodes_folder).read(0).observation(0)).actions.shape
    finetune(runs.parts)
    assert losses(runs.one) == pytest.approx(losses(runs.parts), abs=1e-5)


def test_a_lora_over_parts_leaves_its_base_alone(runs: Runs) -> None:
    """A frozen base in bfloat16 under matrices in single precision: what no LoRA touches keeps the start's bits."""
    before = load_file(runs.start / "model.safetensors")
    after = load_file(runs.lora_parts.output / "checkpoint" / "model.safetensors")
    same = {name for name, value in before.items() if torch.equal(value.bfloat16(), after[name])}
    matrices = {
        name
        for name, value in before.items()
        if value.ndim == 2 and "embed_tokens" not in name and "lm_head" not in name
    }
    assert before.keys() - matrices <= same
    assert len(matrices & same) < len(matrices) / 2
