"""Training samples are what the pipeline would serve, drawn in an order that the seed fixes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes import EpisodeDataset, EpisodeWriter
from magma_ros.errors import ContractError, EpisodeError
from magma_ros.finetune.dataset import ACTION_MASK, FrameDataset, fit_norm_stats, sample_of
from magma_ros.pipeline import Pipeline, PipelineConfig
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT


@pytest.fixture
def pipeline(episodes_folder: Path) -> Pipeline:
    """A pipeline with the statistics of the invented episodes."""
    stats = fit_norm_stats([episodes_folder], CONTRACT)
    return Pipeline(PipelineConfig(CONTRACT, stats, base_vocab_size=576, use_image_start_end=True))


def test_a_sample_is_the_pipelines_own_encoding(episodes_folder: Path, pipeline: Pipeline) -> None:
    """Picture, prompt and target ids are those of `encode` and `encode_target`."""
    episode = EpisodeDataset(episodes_folder).read(2)
    sample = sample_of(pipeline, episode, 3)
    served = pipeline.encode(episode.observation(3))
    assert served.prompt == sample.model_input.prompt
    np.testing.assert_array_equal(served.images[0], sample.model_input.images[0])
    recorded = episode.action(3, frame="base_link")
    np.testing.assert_array_equal(pipeline.encode_target(recorded), sample.target)


def test_each_pass_visits_every_frame_once(episodes_folder: Path, pipeline: Pipeline) -> None:
    """72 frames in 9 batches of 8: each frame once, in another order in the next pass, the same for the same seed."""
    data = FrameDataset(pipeline, [episodes_folder])
    assert 72 == len(data)
    first = [id(s) for step in range(9) for s in data.batch(8, seed=1, step=step)]
    second = [id(s) for step in range(9, 18) for s in data.batch(8, seed=1, step=step)]
    again = [id(s) for step in range(9) for s in data.batch(8, seed=1, step=step)]
    assert {1} == set(Counter(first).values())
    assert first != second
    assert first == again


def test_statistics_are_those_of_the_recorded_numbers(episodes_folder: Path) -> None:
    """Quantiles and mean agree with NumPy's over the recorded heights; the gripper is not scaled."""
    dataset = EpisodeDataset(episodes_folder)
    heights = np.concatenate([dataset.read(index).actions[:, 2] for index in range(len(dataset))])
    stats = fit_norm_stats([episodes_folder], CONTRACT)
    assert np.quantile(heights, 0.01) == pytest.approx(stats.q01[2])
    assert heights.mean() == pytest.approx(stats.mean[2])
    assert list(ACTION_MASK) == stats.mask.tolist()


def test_episodes_of_another_motion_are_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    """Data recorded at another rate does not train this pipeline."""
    other = replace(CONTRACT, control_rate_hz=20.0)
    EpisodeWriter(tmp_path, contract=other, source={}).append(invented_episode(0))
    with pytest.raises(ContractError, match=r"control_rate_hz: 5\.0 here, 20\.0 there"):
        FrameDataset(pipeline, [tmp_path])


def test_no_data_is_an_error(tmp_path: Path) -> None:
    """Neither no folder nor a folder without episodes starts a training."""
    EpisodeWriter(tmp_path, contract=CONTRACT, source={})
    for folders in ([], [tmp_path]):
        with pytest.raises(EpisodeError, match="at least one episode"):
            fit_norm_stats(folders, CONTRACT)
