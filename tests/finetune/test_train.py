"""The trainer learns, stops and goes on exactly, and leaves a checkpoint that acts and says where it comes from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from magma_ros.checkpoint import load_policy
from magma_ros.cli import main
from magma_ros.entropy_bounds import bounds_above
from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter
from magma_ros.errors import RecipeError, TrainingError
from magma_ros.finetune.batches import TrainingBatch, collate
from magma_ros.finetune.digests import digest
from magma_ros.finetune.mixture import Sample
from magma_ros.finetune.parts import Parts
from magma_ros.finetune.planning import workload_of
from magma_ros.finetune.recipe import DataItem, Recipe, Schedule
from magma_ros.finetune.train import finetune
from magma_ros.json_files import read_object
from magma_ros.model.decoding import NUM_ACTION_BINS, NUM_ACTION_TOKENS
from magma_ros.model.processing import MagmaProcessor
from tests.finetune.short_runs import curve, finetune_until_a_power_cut, losses, short_recipe, write_recipe
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT, NANO, write_random_checkpoint


def weights(recipe: Recipe) -> dict[str, torch.Tensor]:
    """Those of its checkpoint."""
    return load_file(recipe.output / "checkpoint" / "model.safetensors")


def test_a_network_learns_the_rule_and_acts_on_it(episodes_folder: Path, tmp_path: Path) -> None:
    """After 150 steps the checkpoint raises the arm in the light and lowers it in the dark.

    Its manifest says so: data hash, recipe, held-out loss, and errors on held-out frames far below the mean's.
    """
    recipe = short_recipe(
        episodes_folder,
        tmp_path,
        steps=150,
        learning_rate=5e-3,
        schedule=Schedule(warmup_steps=10),
        save_every=150,
        ema_decay=0.9,
        held_out_share=0.1,
        evaluate_every=75,
        num_judged_episodes=1,
        log_every=50,
    )
    policy = load_policy(finetune(recipe))
    training = read_object(tmp_path / "checkpoint" / "magma_ros.json")["training"]
    (data,) = training["data"]
    dataset, errors = EpisodeDataset(episodes_folder), []
    for number in set(range(len(dataset))) - set(data["held_out"]):
        episode = dataset.read(number)
        acted = [policy.infer(episode.observation(step))[0].translation_m[2] for step in range(len(episode))]
        errors += (np.array(acted) - episode.actions[:, 2]).tolist()
    assert np.abs(errors).max() < 0.005
    assert (1, 11, digest(episodes_folder)) == (len(data["held_out"]), data["num_episodes"], data["sha256"])
    assert (150, 150, None) == (training["step"], training["recipe"]["steps"], training["parent"])
    (judged,) = training["metrics"]["open_loop"].values()
    assert policy.entropy_bounds == bounds_above(judged["entropy_slow_nats"], judged["entropy_hold_nats"])
    assert 0 < judged["entropy_slow_nats"] < judged["entropy_hold_nats"] < np.log(256)
    assert judged["policy"]["mae"]["dz_m"]["value"] < 0.2 * judged["mean"]["mae"]["dz_m"]["value"]
    assert [75, 150] == [line["step"] for line in curve(recipe) if "held_out_loss" in line]
    assert training["metrics"]["held_out_loss"] == curve(recipe)[-1]["held_out_loss"]


def test_waiting_for_batches_is_time_of_the_run(
    episodes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six batches of 16 that take 0.2 s each to make: at least 1.2 s, and never more than 80 samples a second."""

    def slow_collate(processor: MagmaProcessor, samples: Sequence[Sample]) -> TrainingBatch:
        time.sleep(0.2)
        return collate(processor, samples)

    monkeypatch.setattr("magma_ros.finetune.train.collate", slow_collate)
    recipe = short_recipe(episodes_folder, tmp_path)
    finetune(recipe)
    lines = curve(recipe)
    assert 6 == len(lines)
    assert max(line["samples_per_s"] for line in lines) <= 16 / 0.2
    assert lines[-1]["elapsed_s"] >= 6 * 0.2
    assert read_object(tmp_path / "checkpoint" / "magma_ros.json")["training"]["elapsed_s"] >= 6 * 0.2


def test_a_run_that_stopped_goes_on_as_if_it_had_not(episodes_folder: Path, tmp_path: Path) -> None:
    """A LoRA with dropout, a power cut in the fifth step, a new start: the same losses and weights to the bit."""
    parts = Parts(method="lora", lora_dropout=0.3, whole=("projector",))
    changes = {"tiny": None, "start_from": str(write_random_checkpoint(tmp_path / "start")), "parts": parts}
    undisturbed, cut = (short_recipe(episodes_folder, tmp_path / name, **changes) for name in ("whole", "cut"))
    finetune(undisturbed)
    finetune_until_a_power_cut(cut, after_steps=4)
    finetune(cut)
    rounding = 1e-5 if torch.cuda.is_available() else 0.0  # a GPU's sums depend on which of its threads comes first
    assert losses(undisturbed) == pytest.approx(losses(cut), rel=rounding, abs=0.0)
    assert [1, 2, 3, 4, 5, 6] == [line["step"] for line in curve(cut)]
    after = weights(cut)
    for name, value in weights(undisturbed).items():
        assert torch.allclose(value, after[name], rtol=rounding, atol=rounding)


def test_accumulated_parts_and_layers_computed_again_change_nothing(episodes_folder: Path, tmp_path: Path) -> None:
    """A batch in four parts, with gradient checkpointing: the losses of the whole batch at once, to rounding."""
    whole = short_recipe(episodes_folder, tmp_path / "whole")
    parts = short_recipe(
        episodes_folder, tmp_path / "parts", accumulate=4, gradient_checkpointing=True, loader_threads=3
    )
    finetune(whole)
    finetune(parts)
    assert losses(whole) == pytest.approx(losses(parts), abs=1e-5)


def test_the_result_is_the_average_of_the_weights(episodes_folder: Path, tmp_path: Path) -> None:
    """After one step the average has come 1 - 1/10 of the way; without an average the result is the weights."""
    start = write_random_checkpoint(tmp_path / "start")
    changes = {"steps": 1, "tiny": None, "start_from": str(start)}
    averaged = short_recipe(episodes_folder, tmp_path / "averaged", **changes)
    plain = short_recipe(episodes_folder, tmp_path / "plain", ema_decay=0.0, **changes)
    for recipe in (averaged, plain):
        finetune(recipe)
    key = "language_model.lm_head.weight"
    states = [load_file(next((r.output / "state").rglob("*.safetensors"))) for r in (averaged, plain)]
    begun, moved = load_file(start / "model.safetensors")[key], states[1][f"weight/{key}"]
    assert not torch.equal(begun, moved)
    torch.testing.assert_close(begun + 0.9 * (moved - begun), states[0][f"average/{key}"])
    assert torch.equal(moved.bfloat16(), weights(plain)[key])
    assert torch.equal(states[0][f"average/{key}"].bfloat16(), weights(averaged)[key])
    assert not any(name.startswith("average/") for name in states[1])


def test_bfloat16_trains_single_precision_weights(episodes_folder: Path, tmp_path: Path) -> None:
    """The losses follow those in single precision, and the state is not rounded."""
    recipes = [short_recipe(episodes_folder, tmp_path / name, precision=name) for name in ("fp32", "bf16")]
    for recipe in recipes:
        finetune(recipe)
    assert losses(recipes[0]) == pytest.approx(losses(recipes[1]), abs=0.05)
    assert losses(recipes[0]) != losses(recipes[1])
    state = load_file(next((recipes[1].output / "state").rglob("*.safetensors")))
    assert {torch.float32} == {value.dtype for value in state.values()}


def test_frozen_parts_come_out_as_they_went_in(
    episodes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit-identical in the checkpoint after training from another one, and the rest moved (reference trap T9).

    The start is called in the manifest what the recipe calls it, wherever that was on the machine that trained.
    """
    start = write_random_checkpoint(tmp_path / "start")
    monkeypatch.chdir(tmp_path)
    recipe = short_recipe(
        episodes_folder,
        tmp_path / "run",
        tiny=None,
        start_from="start",
        norm_stats="keep",
        parts=Parts(frozen=("vision_tower", "embeddings")),
    )
    finetune(recipe)
    before, after = load_file(start / "model.safetensors"), weights(recipe)
    same = {name for name, value in before.items() if torch.equal(value.bfloat16(), after[name])}
    assert {name for name in before if name.startswith("vision_tower.") or "embed_tokens" in name} == same
    for name in ("tokenizer.json", "dataset_statistics.json"):
        assert (start / name).read_bytes() == (recipe.output / "checkpoint" / name).read_bytes()
    parent = read_object(recipe.output / "checkpoint" / "magma_ros.json")["training"]["parent"]
    manifest = read_object(start / "magma_ros.json")
    assert ("start", manifest["fingerprint"]) == (parent["source"], parent["fingerprint"])
    assert manifest["files"]["model.safetensors"] == parent["weights"]["model.safetensors"]


def test_a_network_learns_what_comes_next(tmp_path: Path) -> None:
    """Trained on answers of two actions, it gives both from one picture; who starts from it learns and plans two."""
    with EpisodeWriter(tmp_path / "episodes", contract=CONTRACT, source={"env": "invented"}) as writer:
        for seed in range(12):
            writer.append(in_turns(invented_episode(seed)))
    recipe = short_recipe(
        tmp_path / "episodes",
        tmp_path / "run",
        steps=300,
        learning_rate=5e-3,
        schedule=Schedule(warmup_steps=10),
        save_every=300,
        ema_decay=0.9,
        action_horizon=2,
    )
    policy = load_policy(finetune(recipe))
    episode = EpisodeDataset(tmp_path / "episodes").read(0)
    for step in range(5):
        chunk = policy.infer(episode.observation(step))
        np.testing.assert_allclose(chunk.actions[:, 2], episode.actions[step : step + 2, 2], atol=0.005)
    changes = {"tiny": None, "start_from": str(recipe.output / "checkpoint")}
    two = short_recipe(tmp_path / "episodes", tmp_path / "two", **changes)
    one = short_recipe(tmp_path / "episodes", tmp_path / "one", **changes, action_horizon=1, norm_stats="keep")
    assert [2, 1] == [load_policy(finetune(recipe)).pipeline.action_horizon for recipe in (two, one)]
    planned = [workload_of(recipe, num_devices=1, on_gpu=False)[0].num_tokens for recipe in (two, one)]
    assert NUM_ACTION_TOKENS == planned[0] - planned[1]


def in_turns(episode: Episode) -> Episode:
    """Light and dark frames of `episode` take turns, with what belongs to them."""
    light = episode.actions[:, 2] > 0
    order = np.array([np.flatnonzero(light == (step % 2 == episode.seed % 2))[0] for step in range(len(episode))])
    images = {name: pictures[order] for name, pictures in episode.images.items()}
    return replace(episode, images=images, actions=episode.actions[order])


@pytest.mark.parametrize("save_as", ["merged", "adapter"])
def test_a_lora_from_a_checkpoint_acts(episodes_folder: Path, tmp_path: Path, save_as: str) -> None:
    """Merged or attached, it is a checkpoint; statistics are fitted anew to the data (reference trap T15)."""
    start = write_random_checkpoint(tmp_path / "start")
    parts = Parts(method="lora", lora_rank=4)
    changes = {"tiny": None, "start_from": str(start), "parts": parts, "save_as": save_as, "precision": "bf16"}
    recipe = short_recipe(episodes_folder, tmp_path / "run", **changes)
    folder = finetune(recipe)
    policy = load_policy(folder)
    assert (save_as == "merged") == (folder / "model.safetensors").exists()
    assert 0.02 == pytest.approx(policy.pipeline.config.norm_stats.q99[2])
    assert policy.infer(EpisodeDataset(episodes_folder).read(0).observation(0)).actions.shape == (1, 7)


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(
    episodes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after the rename finds every file of it whole."""
    waited: list[Path] = []
    fsync = os.fsync

    def wait(file: int) -> None:
        waited.append(Path(f"/proc/self/fd/{file}").readlink())
        fsync(file)

    monkeypatch.setattr(os, "fsync", wait)
    folder = finetune(short_recipe(episodes_folder, tmp_path / "run", steps=1))
    assert {path.name for path in folder.iterdir()} <= {
        path.name for path in waited if "checkpoint.partial" in str(path)
    }


@pytest.mark.parametrize("save_as", ["full", "adapter"])
def test_what_the_bases_config_leaves_open_the_result_states(
    episodes_folder: Path, tmp_path: Path, save_as: str
) -> None:
    """A base that says neither its text tokens nor how pictures are wrapped trains to the end; its result says both."""
    base = write_random_checkpoint(tmp_path / "base", size=replace(NANO, num_text_tokens=128000 - NUM_ACTION_BINS))
    for name in ("magma_ros.json", "dataset_statistics.json"):
        (base / name).unlink()
    known = read_object(base / "config.json")
    silent = {key: known[key] for key in known.keys() - {"tokenizer_vocab_size", "mm_use_image_start_end"}}
    (base / "config.json").write_text(json.dumps(silent), encoding="utf-8")
    changes: dict[str, object] = {"parts": Parts(frozen=("vision_tower",))}
    if save_as == "adapter":
        changes = {"parts": Parts(method="lora", lora_rank=2), "save_as": "adapter"}
    recipe = short_recipe(episodes_folder, tmp_path / "run", tiny=None, start_from=str(base), steps=1, **changes)
    config = read_object(finetune(recipe) / "config.json")
    assert (128000, True) == (config["tokenizer_vocab_size"], config["mm_use_image_start_end"])


def test_a_folder_with_another_run_is_refused(episodes_folder: Path, tmp_path: Path) -> None:
    """A changed option in the same output folder is an error that names it; how a run is run may change."""
    recipe = short_recipe(episodes_folder, tmp_path, steps=1)
    finetune(recipe)
    with pytest.raises(RecipeError, match=r"learning_rate \(0.003 then, 0.1 now\)"):
        finetune(replace(recipe, learning_rate=0.1))
    written = (tmp_path / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    finetune(replace(recipe, accumulate=2, loader_threads=2))
    assert written == (tmp_path / "checkpoint" / "model.safetensors").stat().st_mtime_ns


def test_a_gradient_that_is_not_finite_ends_the_run(episodes_folder: Path, tmp_path: Path) -> None:
    """Nothing is saved of a run that has gone astray; the error names the step."""
    recipe = short_recipe(episodes_folder, tmp_path, learning_rate=1e30, max_gradient_norm=1e30)
    with pytest.raises(TrainingError, match=r"step \d: the gradient is not finite"):
        finetune(recipe)
    assert not (tmp_path / "checkpoint").exists()


def test_more_parts_than_samples_are_refused(episodes_folder: Path, tmp_path: Path) -> None:
    """Each device works on at least one sample at a time."""
    with pytest.raises(RecipeError, match="at least one sample"):
        finetune(short_recipe(episodes_folder, tmp_path, batch_size=4, accumulate=5))


def test_conversations_train_beside_actions(episodes_folder: Path, tmp_path: Path) -> None:
    """A source of text takes its share of each batch, and its loss is in the curve."""
    records = [
        {"id": str(index), "conversations": [{"from": "human", "value": "up?"}, {"from": "gpt", "value": "up"}]}
        for index in range(4)
    ]
    (tmp_path / "talk.json").write_text(json.dumps(records), encoding="utf-8")
    data = (DataItem(episodes=episodes_folder, weight=3.0), DataItem(conversations=tmp_path / "talk.json", weight=1.0))
    recipe = short_recipe(episodes_folder, tmp_path / "run", data=data)
    folder = finetune(recipe)
    assert "mm_use_som_tom" not in read_object(folder / "config.json"), "nothing was said about traces"
    assert all(line["text_loss"] > 0 and line["motion_error_bins"] > 0 for line in curve(recipe))


def test_the_command_trains_a_recipe(episodes_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`magma-ros finetune FILE --output … --set …` prints where the checkpoint is."""
    recipe = write_recipe(short_recipe(episodes_folder, tmp_path / "unused"), tmp_path / "recipe.yaml")
    assert 0 == main(["finetune", str(recipe), "--output", str(tmp_path / "run"), "--set", "steps=2", "log_every=2"])
    assert f"checkpoint {tmp_path / 'run' / 'checkpoint'}, steps 2" in capsys.readouterr().out
    assert 1 == len((tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines())
