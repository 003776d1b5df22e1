"""What a recipe needs is known before its weights are fetched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.errors import CheckpointError
from magma_ros.finetune.planning import RELEASE_FILE, TALK_TOKENS, plan_recipe, workload_of
from magma_ros.finetune.recipe import DataItem, read_recipe
from magma_ros.json_files import read_object
from tests.finetune.short_runs import short_recipe, write_recipe
from tests.model import released_config

GB = 10**9


@pytest.mark.timeout(300)  # the whole of Magma-8B is gone through, without memory
def test_the_lora_recipe_fits_a_gpu_of_24_gb_without_weights_and_data() -> None:
    """Rank 32 over the language model and the projector; both assumptions are named."""
    plan, assumed = plan_recipe(read_recipe("magma_8b_lora"), device="cuda:0", device_bytes=24 * GB)
    assert plan.fits
    assert 17 * GB < plan.weights_bytes < 19 * GB  # 8.9 billion numbers in bfloat16
    assert "microsoft/Magma-8B" in assumed[0]
    assert "256 x 256" in assumed[1]


def test_devices_of_the_full_recipe_share_batch_and_network() -> None:
    """Eight GPUs of the FSDP recipe: eight samples each, an eighth of every tensor, single precision."""
    workload, _, _ = workload_of(read_recipe("magma_8b_full_fsdp"), num_devices=8, on_gpu=True)
    assert (8, 8, "float32", True) == (
        workload.samples_per_pass,
        workload.num_shards,
        workload.base_dtype,
        workload.gradient_checkpointing,
    )
    copies, _, _ = workload_of(read_recipe("magma_8b_lora"), num_devices=2, on_gpu=True)
    assert (2, 1, "bfloat16") == (copies.samples_per_pass, copies.num_shards, copies.base_dtype)


def test_every_trained_token_of_a_sample_is_planned_for(episodes_folder: Path, tmp_path: Path) -> None:
    """Seven of each action of an answer and its end; of conversations all, since their files are not read."""
    talk = (DataItem(episodes=episodes_folder), DataItem(conversations=tmp_path / "talk.jsonl"))
    for changes, expected in (({}, 8), ({"action_horizon": 16}, 16 * 7 + 1), ({"data": talk}, TALK_TOKENS)):
        recipe = short_recipe(episodes_folder, tmp_path, **changes)
        assert expected == workload_of(recipe, num_devices=1, on_gpu=False)[0].num_trained_tokens


def test_the_known_facts_of_the_release_are_those_of_its_configuration() -> None:
    """The file for plans says what the tests know of `config.json`."""
    known = read_object(RELEASE_FILE)["config.json"]
    assert {key: released_config.CONFIG[key] for key in known} == known


def test_another_checkpoint_that_is_not_here_is_an_error() -> None:
    """Only the release is known without its files."""
    recipe = replace(read_recipe("adapt_my_robot"), start_from="no-such-checkpoint")
    with pytest.raises(CheckpointError, match="no-such-checkpoint"):
        plan_recipe(recipe)


def test_the_command_plans_for_the_cameras_of_the_episodes(
    episodes_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the data at hand nothing is assumed; exit status 0 where it fits and 1 where not, with changes to make."""
    recipe = str(write_recipe(short_recipe(episodes_folder, tmp_path), tmp_path / "recipe.yaml"))
    assert 0 == main(["finetune", recipe, "--plan"])
    assert "assumed" not in capsys.readouterr().out
    assert 1 == main(["finetune", recipe, "--plan", "--device-memory-gb", "0.0005"])
    printed = capsys.readouterr().out
    assert "DOES NOT FIT" in printed
    assert "change:" in printed
