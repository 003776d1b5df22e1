"""Random choices that a seed repeats, on every device and whether or not a draft was verified."""

from __future__ import annotations

import math

import numpy as np

from magma_ros.errors import InvalidInputError
from magma_ros.types import FloatArray


class Sampling:
    """A temperature and one stream of random numbers.

    A token is drawn as the largest score plus Gumbel noise times the temperature, which is a draw from the softmax of
    the scores over the temperature (Gumbel, 1954). Noise that is fixed before the model runs makes the draw a greedy
    choice, so everything that is exact for greedy decoding is exact for a sampled one.
    """

    def __init__(self, *, temperature: float, seed: int) -> None:
        """Begin the stream of `seed`.

        Raises:
            InvalidInputError: a temperature that is not a finite number above zero, or a negative seed.
        """
        if not (math.isfinite(temperature) and temperature > 0):
            raise InvalidInputError(f"temperature: expected a finite number above zero, got {temperature}")
        if seed < 0:
            raise InvalidInputError(f"seed: expected zero or more, got {seed}")
        self.temperature = temperature
        self._generator = np.random.default_rng(seed)

    def noise(self, shape: tuple[int, ...]) -> FloatArray:
        """The next numbers of the stream, to be added to scores of that shape."""
        return self.temperature * self._generator.gumbel(size=shape)
