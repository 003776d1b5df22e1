"""From observations to chunks through a real random model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magma_ros.pipeline import Pipeline
from magma_ros.policy import ModelPolicy
from magma_ros.sampling import Sampling
from magma_ros.types import Observation
from tests.model.random_checkpoints import CONTRACT, random_model


class CountingModel:
    """A model that remembers what it was given as drafts and how many passes it took."""

    def __init__(self, model):
        self.model = model
        self.drafts = []

    def generate_actions(self, inputs, *, draft=None, **options):
        self.drafts.append(draft)
        return self.model.generate_actions(inputs, draft=draft, **options)


@pytest.fixture
def model(tmp_path: Path) -> CountingModel:
    return CountingModel(random_model(tmp_path))


@pytest.fixture
def pipeline(model: CountingModel, tmp_path: Path) -> Pipeline:
    return Pipeline.load(tmp_path)


def observation(seed: int, instruction: str = "put carrot on plate") -> Observation:
    image = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Observation({CONTRACT.cameras[0].name: image}, instruction, float(seed))


def test_the_last_action_is_the_next_draft_until_reset(model, pipeline) -> None:
    """Within an episode each answer is proposed for the next; a new episode starts without."""
    policy = ModelPolicy(pipeline, model)
    chunks = [policy.infer(observation(seed)) for seed in range(2)]
    policy.reset()
    policy.infer(observation(2))
    assert model.drafts[0] is None
    np.testing.assert_array_equal(chunks[0].tokens, model.drafts[1])
    assert model.drafts[2] is None


def test_a_batch_is_answered_like_each_alone(model, pipeline) -> None:
    """Chunks of a batch have the actions, tokens, entropy and time of each observation asked alone."""
    policy = ModelPolicy(pipeline, model)
    observations = [observation(0), observation(1, "stack the green block on the yellow block"), observation(2)]
    for one, chunk in zip(observations, policy.infer_batch(observations), strict=True):
        alone = policy.infer(one)
        np.testing.assert_array_equal(alone.tokens, chunk.tokens)
        np.testing.assert_array_equal(alone.actions, chunk.actions)
        np.testing.assert_allclose(alone.entropy_nats, chunk.entropy_nats, atol=1e-4)
        assert (alone.stamp_s, alone.frame) == (chunk.stamp_s, chunk.frame)
        assert (1, 7) == chunk.entropy_nats.shape


def test_an_answer_has_as_many_actions_as_the_pipeline_says(model, pipeline) -> None:
    """Of three actions the first is that of an answer of one; in a batch each observation gets its own three."""
    policy = ModelPolicy(Pipeline(replace(pipeline.config, action_horizon=3)), model)
    observations = [observation(0), observation(1)]
    for one, chunk in zip(observations, policy.infer_batch(observations), strict=True):
        alone = policy.infer(one)
        assert (3, 7) == alone.actions.shape == alone.entropy_nats.shape
        np.testing.assert_array_equal(alone.tokens, chunk.tokens)
        np.testing.assert_array_equal(ModelPolicy(pipeline, model).infer(one).tokens, chunk.tokens[:1])


def test_a_policy_samples_when_told_to(model, pipeline) -> None:
    """With a sampling, one observation gets several answers; the same seed repeats them."""

    def answers(seed: int) -> list[list[int]]:
        policy = ModelPolicy(pipeline, model, sampling=Sampling(temperature=2.0, seed=seed))
        return [policy.infer(observation(0)).tokens[0].tolist() for _ in range(3)]

    assert answers(1) == answers(1)
    assert len({tuple(row) for row in answers(1)}) > 1
