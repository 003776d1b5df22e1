"""The rungs, climbed by a nano network that is trained for it in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from magma_ros import checkpoint, exit_codes
from magma_ros.checkpoint import load_activated, load_model, load_pipeline
from magma_ros.cli import main
from magma_ros.episodes import EpisodeDataset, EpisodeWriter
from magma_ros.errors import EpisodeError, PromotionError
from magma_ros.finetune import ladder, rungs, train_serve
from magma_ros.finetune.digests import digest
from magma_ros.finetune.parts import Parts
from magma_ros.finetune.recipe import DataItem, Recipe, Schedule
from magma_ros.finetune.rungs import LadderOptions, overfit_recipe, try_network, unseen_episodes
from magma_ros.finetune.train import finetune
from magma_ros.json_files import read_object
from magma_ros.load_options import LoadOptions
from tests.finetune.short_runs import short_recipe
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT, NANO, write_random_checkpoint

ALL = rungs.NETWORK_RUNGS
QUICK = LadderOptions(overfit_steps=20)
UP = np.array([0.01, -0.01, 0.02, 0.01, 0.01, -0.02])


@pytest.fixture(scope="module")
def episodes_folder(tmp_path_factory) -> Path:
    """Twelve episodes in which light and dark decide every number of the action."""
    folder = tmp_path_factory.mktemp("ruled")
    writer = EpisodeWriter(folder, contract=CONTRACT, source={"env": "invented"})
    for seed in range(12):
        episode = invented_episode(seed)
        is_light = episode.actions[:, 2:3] > 0
        writer.append(replace(episode, actions=np.hstack([np.where(is_light, UP, -UP), is_light])))
    return folder


@pytest.fixture(scope="module")
def trained(episodes_folder, tmp_path_factory) -> Path:
    """A nano network that has learnt something of that rule from ten of the twelve."""
    recipe = Recipe(
        data=(DataItem(episodes=episodes_folder),),
        output=tmp_path_factory.mktemp("run"),
        steps=60,
        tiny=NANO,
        held_out_share=0.17,
        batch_size=16,
        learning_rate=3e-3,
        schedule=Schedule(warmup_steps=10),
        ema_decay=0.9,
        precision="fp32",
        save_every=60,
        num_judged_episodes=0,
        trackers=(),
    )
    return finetune(recipe)


def outcomes(found) -> dict[str, str]:
    return {rung.name: rung.outcome for rung in found}


def test_a_network_that_has_learnt_the_rule_climbs(trained, episodes_folder) -> None:
    """It passes every rung that needs the network, judged on exactly the episodes that its training held out."""
    found = {rung.name: rung for rung in try_network(trained, episodes_folder, QUICK, LoadOptions(), wanted=ALL)}
    assert dict.fromkeys(ALL, "passed") == outcomes(found.values()), found
    held_out = read_object(trained / "magma_ros.json")["training"]["data"][0]["held_out"]
    assert (2, held_out) == (len(held_out), found["open_loop"].figures["episodes"])
    assert found["overfit"].figures["policy"]["mae"]["dz_m"]["value"] < 0.002
    assert found["train_serve"].figures["over_ros"]
    assert found["train_serve"].figures["score_gap_nats"] < 1e-3


def test_a_random_network_fails_where_competence_is_asked_for(episodes_folder, tmp_path) -> None:
    """It is served as it would be trained and uses what it sees; but it is no better than the mean, on any episode."""
    folder = write_random_checkpoint(tmp_path)
    found = list(try_network(folder, episodes_folder, replace(QUICK, overfit_steps=1), LoadOptions(), wanted=ALL))
    expected = {"train_serve": "passed", "gate": "passed", "open_loop": "failed", "overfit": "failed"}
    assert expected == outcomes(found)
    assert "wanted 0.9" in next(rung.detail for rung in found if rung.name == "overfit")


def test_the_run_on_one_episode_changes_what_the_training_changed(tmp_path) -> None:
    """LoRA stays LoRA with its rank and its rate; an own start, own statistics, nothing varied, nothing held out."""
    training = {"recipe": {"parts": {"method": "lora", "lora_rank": 3}, "learning_rate": 2e-4}}
    folder, data = tmp_path / "checkpoint", tmp_path / "data"
    writer = EpisodeWriter(data, contract=CONTRACT, source={"env": "invented"})
    writer.append(invented_episode(0))
    recipe = overfit_recipe(folder, data, training, output=tmp_path / "run", steps=7)
    assert ("lora", 3, 2e-4) == (recipe.parts.method, recipe.parts.lora_rank, recipe.learning_rate)
    assert (str(folder), "keep", 0.0, 7, 6) == (
        recipe.start_from,
        recipe.norm_stats,
        recipe.held_out_share,
        recipe.steps,
        recipe.batch_size,
    )
    assert recipe.augmentation.changes_nothing


def test_the_run_on_one_episode_sees_and_answers_what_an_adapter_does(tmp_path) -> None:
    """An adapter of one camera and two actions is tried as such, though its base has one and the data two cameras."""
    (camera,), episode = CONTRACT.cameras, invented_episode(0)
    contract = replace(CONTRACT, cameras=(replace(camera, name="wrist"), camera))
    both = {"image": episode.images["image"], "wrist": episode.images["image"]}
    with EpisodeWriter(tmp_path / "data", contract=contract, source={}) as writer:
        writer.append(replace(episode, images=both))
    changes = {"parts": Parts(method="lora", lora_rank=2), "save_as": "adapter", "action_horizon": 2}
    base = write_random_checkpoint(tmp_path / "base")
    recipe = short_recipe(tmp_path / "data", tmp_path / "run", tiny=None, start_from=str(base), cameras=("image",))
    folder = finetune(replace(recipe, steps=1, **changes))
    training = read_object(folder / "magma_ros.json")["training"]
    again = overfit_recipe(folder, tmp_path / "data", training, output=tmp_path / "again", steps=7)
    assert ("fit", ("image",), 2) == (again.norm_stats, again.cameras, again.action_horizon)


def test_a_network_that_the_gate_refuses_is_tried_on_nothing_else(episodes_folder, tmp_path) -> None:
    """Weights whose head is all zero fail the gate; the rungs that would need them are not tried."""
    folder = write_random_checkpoint(tmp_path)
    _silence(folder)
    found = list(try_network(folder, episodes_folder, QUICK, LoadOptions(), wanted=ALL))
    assert dict.fromkeys(ALL, "not_tried") | {"gate": "failed"} == outcomes(found)
    assert "scores_not_flat" in next(rung.detail for rung in found if rung.name == "gate")


def test_what_is_learnt_by_heart_has_to_pass_the_gate(episodes_folder, tmp_path, monkeypatch) -> None:
    """A run on one episode that ends in weights which may not act is a failed rung, and no end of the ladder."""
    folder, learnt = write_random_checkpoint(tmp_path / "a"), write_random_checkpoint(tmp_path / "b")
    _silence(learnt)
    monkeypatch.setattr(rungs, "finetune", lambda _: learnt)
    rung = rungs.overfit(folder, episodes_folder, {}, QUICK, LoadOptions())
    assert "failed" == rung.outcome
    assert "scores_not_flat" in rung.detail


@pytest.mark.skipif(torch.cuda.is_available(), reason="here the run can be done")
def test_a_run_that_this_machine_cannot_do_is_not_tried(episodes_folder, tmp_path) -> None:
    """Four-bit training without a GPU says nothing about the checkpoint: the rung is still missing, and not failed."""
    training = {"recipe": {"parts": {"method": "qlora"}}}
    rung = rungs.overfit(write_random_checkpoint(tmp_path), episodes_folder, training, QUICK, LoadOptions())
    assert "not_tried" == rung.outcome
    assert "expected the network on a CUDA device" in rung.detail


def test_a_fault_in_one_rung_keeps_the_others(episodes_folder, tmp_path, monkeypatch, capsys) -> None:
    """Rungs that were tried before an error are in ladder.json although the command ends with it."""
    folder = write_random_checkpoint(tmp_path / "checkpoint")

    def fall(*_: object) -> None:
        raise EpisodeError("the disk is gone")

    monkeypatch.setattr(rungs, "open_loop", fall)
    arguments = ["ladder", str(folder), "--data", str(episodes_folder), "--only", "gate", "train_serve", "open_loop"]
    assert exit_codes.REFUSED == main(arguments)
    assert "the disk is gone" in capsys.readouterr().err
    assert {"gate", "train_serve"} == {rung.name for rung in ladder.read(folder).rungs if rung.outcome == "passed"}


def _silence(folder: Path) -> None:
    """Save the checkpoint anew with an output head of zeros."""
    pipeline, model = load_pipeline(folder), load_model(folder)
    with torch.no_grad():
        model.network.language_model.lm_head.weight.zero_()
    checkpoint.save_checkpoint(folder, network=model.network, pipeline=pipeline, training={}, dtype="float32")


def test_episodes_that_were_trained_on_do_not_judge(trained, episodes_folder, tmp_path, monkeypatch) -> None:
    """By their hash the held-out ones are known; changed since, none is; of another folder, all are unseen."""
    training, hashed = read_object(trained / "magma_ros.json")["training"], []
    held_out = training["data"][0]["held_out"]
    assert held_out == unseen_episodes(training, episodes_folder, most=50)[0]
    assert held_out[:1] == unseen_episodes(training, episodes_folder, most=1)[0]
    changed = {"data": [{**training["data"][0], "sha256": "other"}]}
    numbers, whence = unseen_episodes(changed, episodes_folder, most=50)
    assert [] == numbers
    assert "has changed since" in whence
    elsewhere = {"data": [{**training["data"][0], "sha256": "other", "episodes": str(tmp_path)}]}
    assert list(range(12)) == unseen_episodes(elsewhere, episodes_folder, most=50)[0]
    assert 4 == len(unseen_episodes({}, episodes_folder, most=4)[0])
    monkeypatch.setattr(rungs, "digest", lambda folder: hashed.append(folder) or digest(folder))
    unseen_episodes({"data": [{"conversations": "a"}, *changed["data"]]}, episodes_folder, most=4)
    assert [episodes_folder] == hashed
    assert digest(episodes_folder) == training["data"][0]["sha256"]


def test_a_difference_between_training_and_serving_is_named(trained, episodes_folder, monkeypatch) -> None:
    """A picture that a message changes, and an answer that the trainer's pass does not give, each fail the rung."""
    policy, _ = load_activated(trained)
    model, pipeline = policy.model, policy.pipeline
    sent = train_serve._as_served

    def mirrored(observation, action):
        observation, action = sent(observation, action)
        return replace(observation, images={name: image[:, ::-1] for name, image in observation.images.items()}), action

    with monkeypatch.context() as patch:
        patch.setattr(train_serve, "_as_served", mirrored)
        rung = train_serve.compare(model, pipeline, episodes_folder, number=0)
    assert "failed" == rung.outcome
    assert "pictures: other bytes" in rung.detail
    shown = pipeline.encode(_observation(episodes_folder))
    tokens = model.generate_actions([shown]).tokens[0]
    assert train_serve.score_gap(model, shown, tokens) < 1e-3
    other = np.where(tokens == tokens.max(), tokens - 40, tokens)
    assert train_serve.score_gap(model, shown, other) > train_serve.MAX_SCORE_GAP_NATS


def _observation(folder: Path):
    return EpisodeDataset(folder).read(0).observation(0)


@pytest.mark.parametrize(
    "options", [{"min_success": 0.0}, {"min_success": 1.0}, {"overfit_steps": 0}, {"max_held_out": 0}]
)
def test_options_out_of_their_range_are_refused(options) -> None:
    """A bound that everything or nothing passes, and no steps, are no ladder."""
    with pytest.raises(PromotionError, match=next(iter(options))):
        LadderOptions(**options)


def test_the_command_keeps_what_it_found_and_promote_asks_for_it(episodes_folder, tmp_path, capsys) -> None:
    """`ladder` writes ladder.json and the card and exits with 1 while a rung is missing; `promote` names that rung."""
    folder = write_random_checkpoint(tmp_path / "checkpoint")
    arguments = ["ladder", str(folder), "--data", str(episodes_folder), "--only", "gate", "train_serve"]
    assert exit_codes.FAILED == main(arguments)
    assert {"gate", "train_serve"} == {rung.name for rung in ladder.read(folder).rungs if rung.outcome == "passed"}
    assert "missing: overfit, open_loop, simulator" in capsys.readouterr().out
    assert (folder / "README.md").is_file()
    assert 2 == main(["promote", str(folder), "--to", str(tmp_path / "robot")])
    assert "overfit not tried" in capsys.readouterr().err
    waived = ["--waive", "overfit", "open_loop", "simulator"]
    assert exit_codes.OK == main(["promote", str(folder), "--to", str(tmp_path / "robot"), *waived])
    assert f"checkpoint: {tmp_path / 'robot' / 'current'}" in capsys.readouterr().out
    assert 2 == main(["promote", "--to", str(tmp_path / "robot")])
    assert 2 == main(["ladder", str(folder), "--only", "open_loop"])
    assert "expected --data" in capsys.readouterr().err
    assert json.loads((tmp_path / "robot" / "promotions.jsonl").read_text())["waived"] == [
        "open_loop",
        "overfit",
        "simulator",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--only", "gate", "--sweep", "sweeps"), "['gate'] have no use for --sweep"),
        (("--only", "gate", "--data", "demos"), "['gate'] have no use for --data"),
        (("--only", "simulator", "gate", "--data", "demos"), "have no use for --data"),
    ],
)
def test_an_option_for_rungs_that_are_not_tried_is_refused(tmp_path, capsys, words, expected) -> None:
    """What would change nothing is an error before anything is tried."""
    folder = write_random_checkpoint(tmp_path)
    assert exit_codes.REFUSED == main(["ladder", str(folder), *words])
    assert expected in " ".join(capsys.readouterr().err.split())
    assert not (folder / "ladder.json").exists()
