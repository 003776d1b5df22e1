"""Random choices follow the softmax and repeat with their seed."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.sampling import Sampling


@pytest.mark.parametrize("temperature", [0.7, 2.0])
def test_the_noisy_maximum_follows_the_softmax(temperature: float) -> None:
    """Of 20000 draws each choice takes its share of the softmax of the scores over the temperature, within 1.5 %."""
    scores = np.array([1.0, 0.0, -1.0, 0.5])
    noise = Sampling(temperature=temperature, seed=0).noise((20000, 4))
    shares = np.bincount((scores + noise).argmax(axis=1), minlength=4) / 20000
    weights = np.exp(scores / temperature)
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.015)


def test_a_seed_begins_one_stream() -> None:
    """Equal seeds give equal numbers in order, and the stream goes on."""
    first, second = Sampling(temperature=1.0, seed=3), Sampling(temperature=1.0, seed=3)
    numbers = first.noise((5,))
    np.testing.assert_array_equal(numbers, second.noise((5,)))
    assert not np.array_equal(numbers, first.noise((5,)))


@pytest.mark.parametrize(
    ("temperature", "seed"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (float("inf"), 1), (1.0, -1)]
)
def test_what_cannot_be_drawn_from_is_refused(temperature: float, seed: int) -> None:
    """A temperature of zero is greedy decoding, which is another call; negative seeds have no stream."""
    with pytest.raises(InvalidInputError, match="expected"):
        Sampling(temperature=temperature, seed=seed)
