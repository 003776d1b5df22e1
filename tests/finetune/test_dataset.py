"""Training samples are what the pipeline would serve, and every recorded step is one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes import EpisodeDataset, EpisodeWriter
from magma_ros.errors import ContractError, EpisodeError
from magma_ros.finetune.augmentation import Augmentation
from magma_ros.finetune.dataset import ACTION_MASK, ChosenEpisodes, EpisodeSource, fit_norm_stats
from magma_ros.pipeline import Pipeline, PipelineConfig
from magma_ros.types import Action
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT

END = 999


def any_generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def pipeline(episodes_folder: Path) -> Pipeline:
    """A pipeline with the statistics of the invented episodes."""
    stats = fit_norm_stats([ChosenEpisodes(episodes_folder)], CONTRACT)
    return Pipeline(PipelineConfig(CONTRACT, stats, base_vocab_size=576, use_image_start_end=True))


def source_of(pipeline: Pipeline, folder: Path, *numbers: int, **options) -> EpisodeSource:
    return EpisodeSource(pipeline, ChosenEpisodes(folder, numbers or None), end_of_turn_id=END, **options)


def test_a_sample_is_the_pipelines_own_encoding(episodes_folder: Path, pipeline: Pipeline) -> None:
    """Picture, prompt and target ids are those of `encode` and `encode_target`, the end of the turn behind them."""
    episode = EpisodeDataset(episodes_folder).read(2)
    sample = source_of(pipeline, episodes_folder).sample(2 * 6 + 3, any_generator())
    served = pipeline.encode(episode.observation(3))
    assert served.prompt == sample.model_input.prompt
    np.testing.assert_array_equal(served.images[0], sample.model_input.images[0])
    recorded = episode.action(3, frame="base_link")
    np.testing.assert_array_equal([*pipeline.encode_target(recorded), END], sample.answer)
    assert sample.is_action


def test_an_answer_of_several_actions_has_those_that_follow(episodes_folder: Path, pipeline: Pipeline) -> None:
    """Step by step; behind the end the arm rests with the gripper as it was told last, and one end of turn closes."""
    longer = Pipeline(replace(pipeline.config, action_horizon=3))
    source, episode = source_of(longer, episodes_folder, 2), EpisodeDataset(episodes_folder).read(2)
    ids = [pipeline.encode_target(episode.action(step, frame="base_link")) for step in range(6)]
    rest = Action(np.zeros(3), np.zeros(3), episode.actions[-1, 6], "base_link")
    assert episode.actions[-1, 6] != episode.gripper_opening[-1]
    ids += [pipeline.encode_target(rest)] * 2
    for step in range(6):
        answer = source.sample(step, any_generator()).answer
        np.testing.assert_array_equal([*np.concatenate(ids[step : step + 3]), END], answer)


def test_a_varied_picture_goes_through_the_pipeline(episodes_folder: Path, pipeline: Pipeline) -> None:
    """The sample shows `encode` of the augmented picture; another generator shows another one, with the same answer."""
    varied = Augmentation(brightness=0.3, max_shift_px=4)
    source = source_of(pipeline, episodes_folder, augmentation=varied)
    observation = EpisodeDataset(episodes_folder).read(0).observation(1)
    changed = replace(observation, images=varied.apply(observation.images, any_generator()))
    sample = source.sample(1, any_generator())
    np.testing.assert_array_equal(pipeline.encode(changed).images[0], sample.model_input.images[0])
    other = source.sample(1, np.random.default_rng(1))
    assert (other.model_input.images[0] != sample.model_input.images[0]).any()
    np.testing.assert_array_equal(other.answer, sample.answer)


def test_only_the_chosen_episodes_are_samples(episodes_folder: Path, pipeline: Pipeline) -> None:
    """Of twelve episodes two: twelve steps, which are theirs."""
    source = source_of(pipeline, episodes_folder, 7, 3)
    assert (12, 2) == (len(source), source.num_episodes)
    for index, (number, step) in enumerate([(7, 0), (7, 1)]):
        recorded = EpisodeDataset(episodes_folder).read(number).observation(step)
        shown = source.sample(index, any_generator()).model_input.images[0]
        np.testing.assert_array_equal(recorded.images["image"], shown)


def test_each_pass_visits_every_step_once(episodes_folder: Path, pipeline: Pipeline) -> None:
    """An order is a permutation of all steps, another for another generator."""
    source = source_of(pipeline, episodes_folder)
    orders = [source.order(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert list(range(72)) == sorted(orders[0].tolist())
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


def test_no_picture_is_read_before_its_turn(episodes_folder: Path, pipeline: Pipeline, monkeypatch) -> None:
    """A dataset of any size is ready to train as soon as its actions are read; then each episode is read once."""
    reads: list[int] = []
    read = EpisodeDataset.read
    monkeypatch.setattr(
        EpisodeDataset, "read", lambda self, number, **wanted: reads.append(number) or read(self, number, **wanted)
    )
    source = source_of(pipeline, episodes_folder)
    assert [] == reads
    for index in (2 * 6 + 3, 2 * 6 + 1, 7 * 6):
        source.sample(index, any_generator())
    assert [2, 7] == reads


def test_little_memory_changes_the_order_and_no_sample(episodes_folder: Path, pipeline: Pipeline) -> None:
    """With room for a third of the pictures an order takes four episodes at a time, and reads each one once a pass."""
    whole = source_of(pipeline, episodes_folder)
    third = source_of(pipeline, episodes_folder, memory_bytes=4 * 6 * 64 * 64 * 3)
    order = third.order(any_generator())
    assert list(range(72)) == sorted(order.tolist())
    assert [4, 4, 4] == [len(set(order[start : start + 24] // 6)) for start in (0, 24, 48)]
    reads: list[int] = []
    read = third._dataset.read
    third._dataset.read = lambda number, **wanted: reads.append(number) or read(number, **wanted)
    for index in order.tolist():
        here, there = third.sample(index, any_generator()), whole.sample(index, any_generator())
        np.testing.assert_array_equal(there.model_input.images[0], here.model_input.images[0])
        np.testing.assert_array_equal(there.answer, here.answer)
    assert len(reads) == len(set(reads)) <= 12
    assert third._held_bytes <= 4 * 6 * 64 * 64 * 3


def test_interventions_alone_are_samples_on_request(tmp_path: Path, pipeline: Pipeline) -> None:
    """Steps 2 and 4, in which a person acted, and no others; none at all is an error."""
    acted = np.isin(np.arange(6), [2, 4])
    episode = replace(invented_episode(5), interventions=acted)
    with EpisodeWriter(tmp_path, contract=CONTRACT, source={}) as writer:
        writer.append(episode)
        writer.append(invented_episode(6))
    source = source_of(pipeline, tmp_path, only_interventions=True)
    assert 2 == len(source)
    wanted = pipeline.encode_target(episode.action(4, frame="base_link"))
    np.testing.assert_array_equal(wanted, source.sample(1, any_generator()).answer[:7])
    with pytest.raises(EpisodeError, match="expected steps with an intervention"):
        source_of(pipeline, tmp_path, 1, only_interventions=True)


def test_an_answer_of_several_actions_has_interventions_alone(tmp_path: Path, pipeline: Pipeline) -> None:
    """Of four actions each, only the steps whose next four, or all up to the end, were a person's, train."""
    acted = np.array([1, 1, 1, 1, 0, 1, 1, 1, 1, 1], np.bool_)
    episode = replace(invented_episode(5, num_steps=10), interventions=acted)
    with EpisodeWriter(tmp_path, contract=CONTRACT, source={}) as writer:
        writer.append(episode)
    longer = Pipeline(replace(pipeline.config, action_horizon=4))
    source = source_of(longer, tmp_path, only_interventions=True)
    assert [0, 5, 6, 7, 8, 9] == [step for _, step in source._places.tolist()]


def test_the_weight_is_the_number_of_samples_unless_given(episodes_folder: Path, pipeline: Pipeline) -> None:
    """72 steps weigh 72; a given weight stays."""
    assert 72.0 == source_of(pipeline, episodes_folder).weight
    assert 0.5 == source_of(pipeline, episodes_folder, weight=0.5).weight


def test_statistics_are_those_of_the_chosen_numbers(episodes_folder: Path) -> None:
    """Quantiles and mean agree with NumPy's over the recorded heights; the gripper is not scaled."""
    dataset = EpisodeDataset(episodes_folder)
    for numbers in (None, (1, 4, 5)):
        read = range(len(dataset)) if numbers is None else numbers
        heights = np.concatenate([dataset.read(index).actions[:, 2] for index in read])
        stats = fit_norm_stats([ChosenEpisodes(episodes_folder, numbers)], CONTRACT)
        assert np.quantile(heights, 0.01) == pytest.approx(stats.q01[2])
        assert heights.mean() == pytest.approx(stats.mean[2])
        assert list(ACTION_MASK) == stats.mask.tolist()


def test_episodes_of_another_motion_are_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    """Data recorded at another rate neither trains this pipeline nor gives it statistics."""
    other = replace(CONTRACT, control_rate_hz=20.0)
    with EpisodeWriter(tmp_path, contract=other, source={}) as writer:
        writer.append(invented_episode(0))
    with pytest.raises(ContractError, match=r"control_rate_hz: 5\.0 here, 20\.0 there"):
        source_of(pipeline, tmp_path)
    with pytest.raises(ContractError, match=r"control_rate_hz: 5\.0 here, 20\.0 there"):
        fit_norm_stats([ChosenEpisodes(tmp_path)], CONTRACT)


def test_no_data_is_an_error(tmp_path: Path) -> None:
    """Neither no folder nor a folder without episodes starts a training."""
    EpisodeWriter(tmp_path, contract=CONTRACT, source={}).close()
    for chosen in ([], [ChosenEpisodes(tmp_path)]):
        with pytest.raises(EpisodeError, match="at least one episode"):
            fit_norm_stats(chosen, CONTRACT)
