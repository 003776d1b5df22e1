"""Decoding is greedy over the action ids, whatever the cache, the padding and the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magma_ros import prompts
from magma_ros.errors import PolicyError
from magma_ros.model.adapter import MagmaModel
from magma_ros.types import ModelInput
from tests.model.random_checkpoints import random_model

INSTRUCTIONS = ("put carrot on plate", "stack the green block on the yellow block", "stop")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MagmaModel:
    """A random nano model."""
    return random_model(tmp_path_factory.mktemp("nano"), seed=3)


def inputs(sizes: list[tuple[int, int]]) -> list[ModelInput]:
    """One random picture of each (height, width), with a different instruction each."""
    generator = np.random.default_rng(5)
    return [
        ModelInput(
            (generator.integers(0, 256, (*size, 3), dtype=np.uint8),),
            prompts.robot_action_prompt(INSTRUCTIONS[index % 3], use_image_start_end=True),
        )
        for index, size in enumerate(sizes)
    ]


def plain_greedy(model: MagmaModel, item: ModelInput) -> list[int]:
    """Seven tokens by running the whole sequence anew for each, without a cache."""
    batch = model.processor([item])
    last = model.network.config.base_vocab_size
    chosen: list[int] = []
    for _ in range(7):
        longer = batch.followed_by(torch.tensor([chosen], dtype=torch.int64).reshape(1, -1))
        with torch.inference_mode():
            logits = model.network.language_model.lm_head(model.network(longer)[:, -1])[0]
        chosen.append(last - 256 + int(logits[last - 256 : last].argmax()))
    return chosen


def test_cached_and_batched_decoding_equals_plain_greedy(model: MagmaModel) -> None:
    """Rows of different prompts and grids, padded and cached, give the tokens of each row run alone without a cache."""
    items = inputs([(64, 64), (64, 128), (50, 40), (128, 128)])
    expected = [plain_greedy(model, item) for item in items]
    assert expected == model.generate_actions(items).tolist()
    assert len({tuple(row) for row in expected}) > 1


def test_seven_action_ids_for_every_input(model: MagmaModel) -> None:
    """Only the last 256 ids of the base vocabulary can be chosen, and always seven of them."""
    ids = model.generate_actions(inputs([(64, 64)] * 3))
    base = model.network.config.base_vocab_size
    assert (3, 7) == ids.shape
    assert np.int64 == ids.dtype
    assert base - 256 <= ids.min() <= ids.max() < base


def test_scores_that_are_not_finite_raise(model: MagmaModel) -> None:
    """A broken network gives an error, never a token."""
    weight = model.network.language_model.lm_head.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[model.network.config.base_vocab_size - 3] = torch.nan
    with pytest.raises(PolicyError, match="not finite"):
        model.generate_actions(inputs([(64, 64)]))
    with torch.no_grad():
        weight.copy_(kept)
