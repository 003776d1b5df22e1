"""Training on marked video without actions, and with actions beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from magma_ros.checkpoint import load_model, load_pipeline, load_policy
from magma_ros.episodes import EpisodeWriter
from magma_ros.errors import RecipeError
from magma_ros.finetune.digests import digest
from magma_ros.finetune.material import find_material
from magma_ros.finetune.recipe import DataItem
from magma_ros.finetune.train import finetune
from magma_ros.json_files import read_object
from magma_ros.mark_text import TraceText, parse_tom, tom_answer
from magma_ros.model.tiny import TinySize
from tests.finetune.marked_pictures import write_conversations
from tests.finetune.short_runs import curve, short_recipe
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT, NANO

WORDY = TinySize(
    tower_depths=NANO.tower_depths, tower_dims=NANO.tower_dims, hidden_size=NANO.hidden_size,
    num_layers=NANO.num_layers, intermediate_size=NANO.intermediate_size, num_heads=NANO.num_heads,
    num_kv_heads=NANO.num_kv_heads, base_img_size=NANO.base_img_size, num_text_tokens=600,
)  # fmt: skip


def test_video_without_actions_is_a_stage_before_few_demonstrations(episodes_folder: Path, tmp_path: Path) -> None:
    """A new network learns turns about marks alone; its checkpoint is what a run on episodes starts from."""
    talk = DataItem(conversations=write_conversations(tmp_path / "talk"))
    stage = short_recipe(
        tmp_path,
        tmp_path / "stage",
        data=(talk,),
        tiny=WORDY,
        norm_stats="keep",
        embodiment="bridge_widowx",
        steps=20,
        batch_size=8,
    )
    first = finetune(stage)
    texts = [line["text_loss"] for line in curve(stage)]
    assert texts[-1] < 0.8 * texts[0]
    assert all("motion_error_bins" not in line for line in curve(stage))
    assert "bridge_widowx" in load_pipeline(first).contract.embodiment
    assert load_policy(first).predicts_traces, "the robot asks for traces where the checkpoint says so"
    few = short_recipe(episodes_folder, tmp_path / "few", tiny=None, start_from=str(first), steps=2)
    second = finetune(few)
    assert load_pipeline(second).contract == find_material(few).contract
    one, two = (load_file(folder / "model.safetensors")["language_model.lm_head.weight"] for folder in (first, second))
    assert 0 < (one.float() - two.float()).abs().max() < 0.1


def test_marks_and_actions_share_a_batch(episodes_folder: Path, tmp_path: Path) -> None:
    """In each step both are trained, and the mixture gives each its share."""
    talk = DataItem(conversations=write_conversations(tmp_path / "talk"), weight=1.0)
    recipe = short_recipe(
        episodes_folder, tmp_path / "run", data=(DataItem(episodes=episodes_folder, weight=3.0), talk), tiny=WORDY
    )
    finetune(recipe)
    assert all({"motion_error_bins", "text_loss"} <= line.keys() for line in curve(recipe))


def test_the_vocabulary_is_learnt_from_what_is_said(tmp_path: Path) -> None:
    """Answers about marks come back as they were written, in less than half as many tokens as letters."""
    path = write_conversations(tmp_path / "talk")
    recipe = short_recipe(
        tmp_path, tmp_path / "run", data=(DataItem(conversations=path),), tiny=WORDY, norm_stats="keep",
        embodiment="bridge_widowx", steps=1,
    )  # fmt: skip
    tokenizer = load_model(finetune(recipe)).processor.tokenizer
    answers = [json.loads(line)["conversations"][3]["value"] for line in path.read_text().splitlines()]
    for answer in [*answers, tom_answer([TraceText(12, (255, 0), ((254, 1), (0, 199)))])]:
        ids = tokenizer.encode(answer, add_special_tokens=False).ids
        assert answer == tokenizer.decode(ids, skip_special_tokens=False)
    assert len(tokenizer.encode(answers[1], add_special_tokens=False).ids) < len(answers[1]) / 2
    assert 3 == parse_tom(answers[1])[0].number


def test_conversations_alone_do_not_say_what_actions_mean(tmp_path: Path) -> None:
    """Without an embodiment there is nothing that statistics could be fitted to."""
    talk = DataItem(conversations=write_conversations(tmp_path / "talk"))
    with pytest.raises(RecipeError, match="or norm_stats: keep; got conversations alone"):
        finetune(short_recipe(tmp_path, tmp_path / "run", data=(talk,)))


def test_other_episodes_may_judge(episodes_folder: Path, tmp_path: Path) -> None:
    """All of the data trains; the loss on another folder's episodes is in the curve, their hash in the manifest."""
    judges = tmp_path / "judges"
    with EpisodeWriter(judges, contract=CONTRACT, source={"env": "invented"}) as writer:
        writer.append(invented_episode(99))
    recipe = short_recipe(
        episodes_folder, tmp_path / "run", judged_by=(judges,), evaluate_every=3, num_judged_episodes=1
    )
    training = read_object(finetune(recipe) / "magma_ros.json")["training"]
    assert [3, 6] == [line["step"] for line in curve(recipe) if "held_out_loss" in line]
    assert (12, [0], digest(judges)) == (
        training["data"][0]["num_episodes"], training["data"][1]["held_out"], training["data"][1]["sha256"],
    )  # fmt: skip
    assert [str(judges)] == list(training["metrics"]["open_loop"])
