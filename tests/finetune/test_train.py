"""The trainer learns, stops and goes on exactly, and leaves a checkpoint that acts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from magma_ros.checkpoint import load_policy
from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import CheckpointError
from magma_ros.finetune.mixture import Mixture, Sample
from magma_ros.finetune.train import TrainConfig, learning_rate_at, train, write_tiny_architecture
from tests.model.random_checkpoints import NANO


class PowerCutError(Exception):
    """Ends a run in the middle of a step."""


def short_run(episodes: Path, output: Path) -> TrainConfig:
    """Six steps of a nano network in single precision."""
    write_tiny_architecture(output / "checkpoint", NANO, instructions=["move with the light"])
    return TrainConfig(
        data=(episodes,), output=output, num_steps=6, batch_size=16, save_every=3, log_every=1, autocast=False
    )


def test_a_network_learns_the_rule_and_acts_on_it(episodes_folder: Path, tmp_path: Path) -> None:
    """After 150 steps the checkpoint raises the arm in the light and lowers it in the dark."""
    config = replace(short_run(episodes_folder, tmp_path), num_steps=150, learning_rate=5e-3, warmup_steps=10)
    policy = load_policy(train(replace(config, save_every=150, ema_decay=0.9)))
    dataset = EpisodeDataset(episodes_folder)
    errors = []
    for index in range(3):
        episode = dataset.read(index)
        errors += [
            policy.infer(episode.observation(step))[0].translation_m[2] - episode.actions[step, 2] for step in range(6)
        ]
    assert np.abs(errors).max() < 0.005


def test_a_run_that_stopped_goes_on_as_if_it_had_not(
    episodes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in the fourth step, a new start: the same losses and the same weights to the bit."""
    whole, halves = short_run(episodes_folder, tmp_path / "whole"), short_run(episodes_folder, tmp_path / "halves")
    train(whole)
    draw = Mixture.batch

    def draw_until_the_cut(data: Mixture, size: int, *, step: int) -> list[Sample]:
        if step == 3:
            raise PowerCutError
        return draw(data, size, step=step)

    with monkeypatch.context() as patch:
        patch.setattr(Mixture, "batch", draw_until_the_cut)
        with pytest.raises(PowerCutError):
            train(halves)
    train(halves)
    logs = [[json.loads(line)["loss"] for line in (c.output / "log.jsonl").open()] for c in (whole, halves)]
    assert logs[0] == logs[1]
    weights = [load_file(c.output / "checkpoint" / "model.safetensors") for c in (whole, halves)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_second_run_starts_from_the_averaged_weights_of_the_first(episodes_folder: Path, tmp_path: Path) -> None:
    """Architecture, tokenizer and statistics are the first run's; with a rate of nearly zero its weights stay too."""
    first = short_run(episodes_folder, tmp_path / "first")
    train(first)
    second = replace(first, output=tmp_path / "second", start_from=first.output, learning_rate=1e-12)
    folders = [first.output / "checkpoint", train(second)]
    for name in ("tokenizer.json", "config.json", "dataset_statistics.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    assert all(torch.allclose(value, weights[1][name], atol=1e-6) for name, value in weights[0].items())


def test_a_folder_with_another_run_is_refused(episodes_folder: Path, tmp_path: Path) -> None:
    """A changed option in the same output folder is an error, not a mixture of two runs."""
    config = short_run(episodes_folder, tmp_path)
    train(replace(config, num_steps=1))
    with pytest.raises(CheckpointError, match="another configuration"):
        train(config)


def test_learning_rate_rises_and_falls() -> None:
    """Linear over the warm-up, the peak after it, 2 % of the peak at the end."""
    config = TrainConfig(data=(), output=Path(), num_steps=1000, warmup_steps=100, learning_rate=1e-3)
    assert 1e-5 == pytest.approx(learning_rate_at(0, config))
    assert 1e-3 == pytest.approx(learning_rate_at(100, config))
    assert 2e-5 == pytest.approx(learning_rate_at(1000, config))
