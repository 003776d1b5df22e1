"""Open-loop errors are those of plain arithmetic, in metres and radians, beside two baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter
from magma_ros.errors import ContractError, EpisodeError
from magma_ros.finetune.dataset import ChosenEpisodes, fit_norm_stats
from magma_ros.finetune.open_loop import AXES, OpenLoopReport, open_loop_errors
from magma_ros.pipeline import Pipeline, PipelineConfig
from magma_ros.policy import ModelPolicy
from magma_ros.types import ActionPrediction, ModelInput
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT

NUMBERS = (2, 5, 11, 7)


class KnowsTheAnswers:
    """A model that answers each recorded frame with the recorded action's ids, `off` bins away on every motion axis."""

    def __init__(self, pipeline: Pipeline, dataset: EpisodeDataset, *, off: int = 0) -> None:
        self._answers: dict[bytes, NDArray[np.int64]] = {}
        tokens = pipeline.tokenizer
        for episode in map(dataset.read, range(len(dataset))):
            for step in range(len(episode)):
                ids = pipeline.encode_target(episode.action(step, frame=CONTRACT.frame))
                ids[:6] = np.clip(ids[:6] + off, tokens.first_id, tokens.last_id)
                self._answers[episode.images["image"][step].tobytes()] = ids
        self.asked: list[int] = []

    def generate_actions(self, inputs: list[ModelInput], **_: object) -> ActionPrediction:
        self.asked.append(len(inputs))
        tokens = np.stack([self._answers[one.images[0].tobytes()] for one in inputs])
        entropy = np.zeros(tokens.shape)
        entropy[:, 0] = tokens[:, 2] / 100  # so that each frame has its own
        return ActionPrediction(tokens, np.zeros(tokens.shape), entropy, 1)


class AnswersAlike:
    """A model that answers everything with the middle of each axis."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._ids = np.full(7, pipeline.tokenizer.first_id + 128)

    def generate_actions(self, inputs: list[ModelInput], **_: object) -> ActionPrediction:
        tokens = np.tile(self._ids, (len(inputs), 1))
        return ActionPrediction(tokens, np.zeros(tokens.shape), np.zeros(tokens.shape), 1)


@pytest.fixture(scope="module")
def dataset(episodes_folder: Path) -> EpisodeDataset:
    return EpisodeDataset(episodes_folder)


@pytest.fixture(scope="module")
def pipeline(episodes_folder: Path) -> Pipeline:
    stats = fit_norm_stats([ChosenEpisodes(episodes_folder)], CONTRACT)
    return Pipeline(PipelineConfig(CONTRACT, stats, base_vocab_size=576, use_image_start_end=True))


def judged(pipeline: Pipeline, dataset: EpisodeDataset, *, off: int = 0, **options) -> OpenLoopReport:
    return open_loop_errors(
        ModelPolicy(pipeline, KnowsTheAnswers(pipeline, dataset, off=off)), dataset, NUMBERS, **options
    )


def recorded(dataset: EpisodeDataset) -> list[Episode]:
    return [dataset.read(number) for number in NUMBERS]


def test_a_policy_that_knows_errs_by_a_bin_and_no_more(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """Each error is what coding to 256 bins and back, within the quantiles, leaves; the gripper is always right."""
    report = judged(pipeline, dataset)
    actions = np.concatenate([episode.actions for episode in recorded(dataset)])
    coded = np.concatenate(
        [
            pipeline.decode(pipeline.encode_target(episode.action(step, frame=CONTRACT.frame)), stamp_s=0.0).actions
            for episode in recorded(dataset)
            for step in range(len(episode))
        ]
    )
    off = coded[:, :6] - actions[:, :6]
    for column, axis in enumerate(AXES):
        assert np.abs(off[:, column]).mean() == pytest.approx(report.policy.mae[axis].value)
        assert np.sqrt((off[:, column] ** 2).mean()) == pytest.approx(report.policy.rmse[axis].value)
    assert (24, 4, 1.0) == (report.num_steps, report.num_episodes, report.policy.gripper_accuracy.value)
    assert report.skill_over_mean.low > 0.95


def test_an_error_of_some_bins_is_told_in_metres(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """Forty bins of 255 over the height's range are as many metres; the interval holds the number."""
    stats = pipeline.config.norm_stats
    inside = replace(pipeline.config, norm_stats=replace(stats, q01=3 * stats.q01, q99=3 * stats.q99))
    wide = Pipeline(inside)
    report = judged(wide, dataset, off=40)
    metres = 40 / 255 * float(inside.norm_stats.q99[2] - inside.norm_stats.q01[2])
    error = report.policy.mae["dz_m"]
    assert metres == pytest.approx(error.value, rel=0.02)
    assert error.low <= error.value <= error.high


def test_baselines_repeat_the_mean_and_the_action_before(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """Their errors are those of the training mean everywhere, and of each episode's actions shifted by a step."""
    report = judged(pipeline, dataset)
    mean = np.concatenate([dataset.read(number).actions for number in range(len(dataset))]).mean(axis=0)
    errors, before, grippers = [], [], []
    for episode in recorded(dataset):
        errors.append(episode.actions[:, 2] - mean[2])
        shifted = np.concatenate([[0.0], episode.actions[:-1, 2]])
        before.append(episode.actions[:, 2] - shifted)
        opening = np.concatenate([[episode.gripper_opening[0]], episode.actions[:-1, 6]])
        grippers.append((opening >= 0.5) == (episode.actions[:, 6] >= 0.5))
    assert "training" == report.mean_of
    assert np.abs(np.concatenate(errors)).mean() == pytest.approx(report.mean.mae["dz_m"].value)
    assert np.abs(np.concatenate(before)).mean() == pytest.approx(report.previous.mae["dz_m"].value)
    assert np.concatenate(grippers).mean() == pytest.approx(report.previous.gripper_accuracy.value)
    right = np.concatenate([(e.actions[:, 6] >= 0.5) == (mean[6] >= 0.5) for e in recorded(dataset)])
    assert right.mean() == pytest.approx(report.mean.gripper_accuracy.value)


def test_statistics_without_a_mean_give_way_to_the_judged_actions(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """As upstream's published ones; the report says whose mean it is."""
    stats = replace(pipeline.config.norm_stats, mean=None)
    report = judged(Pipeline(replace(pipeline.config, norm_stats=stats)), dataset)
    actions = np.concatenate([episode.actions for episode in recorded(dataset)])
    assert "judged" == report.mean_of
    expected = np.abs(actions[:, 2] - actions[:, 2].mean()).mean()
    assert expected == pytest.approx(report.mean.mae["dz_m"].value)


def test_skill_is_the_share_of_the_baselines_error_that_is_gone(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """1 - mean over the axes of MAE, in units of the mean's; below 0 for a policy that is worse than the mean."""
    bad = judged(pipeline, dataset, off=200)
    ratios = [bad.policy.mae[axis].value / bad.mean.mae[axis].value for axis in AXES]
    assert 1.0 - np.mean(ratios) == pytest.approx(bad.skill_over_mean.value)
    assert bad.skill_over_mean.high < 0.0 < judged(pipeline, dataset).skill_over_previous.low


def test_intervals_come_from_whole_episodes(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """With one episode there is no spread; the seed alone decides the draws, whatever the batch size."""
    model = KnowsTheAnswers(pipeline, dataset)
    single = open_loop_errors(ModelPolicy(pipeline, model), dataset, (3,), batch_size=4)
    assert [4, 2] == model.asked
    assert single.mean.mae["dz_m"].low == pytest.approx(single.mean.mae["dz_m"].high)
    assert judged(pipeline, dataset, batch_size=1) == judged(pipeline, dataset, batch_size=100)
    assert judged(pipeline, dataset, num_resamples=9) != judged(pipeline, dataset, num_resamples=9, seed=1)


def test_entropies_are_means_over_one_action(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """The quantiles are those of all frames of all episodes, whatever the batch size."""
    ids = [
        pipeline.encode_target(episode.action(step, frame=CONTRACT.frame))[2]
        for episode in recorded(dataset)
        for step in range(len(episode))
    ]
    report = judged(pipeline, dataset, batch_size=5)
    expected = np.quantile(np.array(ids) / 100 / 7, [0.99, 0.999])
    assert expected.tolist() == pytest.approx([report.entropy_slow_nats, report.entropy_hold_nats])


def test_the_report_is_json_and_a_table(pipeline: Pipeline, dataset: EpisodeDataset) -> None:
    """Every axis is in both, with its numbers."""
    report = judged(pipeline, dataset)
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(AXES) == set(document["policy"]["mae"])
    assert report.policy.mae["dx_m"].value == document["policy"]["mae"]["dx_m"]["value"]
    table = "\n".join(report.lines())
    assert all(axis in table and f"{report.mean.mae[axis].value:.5f}" in table for axis in AXES)
    assert "24 steps of 4 episodes" in table


def test_what_cannot_be_judged_is_refused(pipeline: Pipeline, dataset: EpisodeDataset, tmp_path: Path) -> None:
    """No episode, another motion, and an arm that never moves."""
    policy = ModelPolicy(pipeline, KnowsTheAnswers(pipeline, dataset))
    with pytest.raises(EpisodeError, match="at least one episode"):
        open_loop_errors(policy, dataset, ())
    with EpisodeWriter(tmp_path / "fast", contract=replace(CONTRACT, control_rate_hz=20.0), source={}) as writer:
        writer.append(invented_episode(0))
    with pytest.raises(ContractError, match="control_rate_hz"):
        open_loop_errors(policy, EpisodeDataset(tmp_path / "fast"), (0,))
    still = replace(invented_episode(0), actions=np.zeros((6, 7)))
    with EpisodeWriter(tmp_path / "still", contract=CONTRACT, source={}) as writer:
        writer.append(still)
    stats = fit_norm_stats([ChosenEpisodes(tmp_path / "still")], CONTRACT)
    frozen = Pipeline(replace(pipeline.config, norm_stats=stats))
    model = KnowsTheAnswers(frozen, EpisodeDataset(tmp_path / "still"))
    with pytest.raises(EpisodeError, match="never change"):
        open_loop_errors(ModelPolicy(frozen, model), EpisodeDataset(tmp_path / "still"), (0,))


def test_only_what_the_policy_sees_is_decoded(pipeline: Pipeline, dataset: EpisodeDataset, tmp_path: Path) -> None:
    """Damaged pictures of a camera that the policy has not are not looked at."""
    (camera,) = CONTRACT.cameras
    contract = replace(CONTRACT, cameras=(camera, replace(camera, name="wrist")))
    with EpisodeWriter(tmp_path, contract=contract, source={}, pictures="video") as writer:
        for episode in recorded(dataset):
            writer.append(replace(episode, images={**episode.images, "wrist": episode.images["image"]}))
    seen = EpisodeDataset(tmp_path)
    for path in (tmp_path / "videos" / "observation.images.wrist").rglob("*.mp4"):
        path.write_bytes(b"torn")
    policy = ModelPolicy(pipeline, AnswersAlike(pipeline))
    assert 24 == open_loop_errors(policy, seen, range(len(seen))).num_steps
