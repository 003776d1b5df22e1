"""Sources of training samples, and which of their samples stands in which place of which batch.

A batch depends on the seed, the step and its size alone: not on the number of devices that share it, not on restarts.
Places are dealt to the sources in rounds of `ROUND` places, of which each source has its share exactly and which the
seed shuffles; each source is passed through once, in a seeded order, before it begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from magma_ros.errors import InvalidInputError
from magma_ros.types import ModelInput

ROUND = 1024
"""Places in which every source has its share exactly, to one place."""

_DEAL, _ORDER, _SAMPLE = 0, 1, 2  # what a generator is seeded for


@dataclass(frozen=True, slots=True)
class Sample:
    """What the network is shown and what it should go on with.

    Attributes:
        model_input: Pictures, and the prompt in front of the answer.
        answer: Token ids that follow the prompt, the end of the turn included, shape (n,): seven for each action of the
            pipeline's `action_horizon` and `<|eot_id|>`; of a conversation the answer, or several with the turns
            between them.
        is_action: The ids are actions, seven each.
        trained: Which ids of `answer` are trained, shape (n,); None where all of them are.
    """

    model_input: ModelInput
    answer: NDArray[np.int64]
    is_action: bool
    trained: NDArray[np.bool_] | None = None

    @property
    def num_trained(self) -> int:
        """Ids that are trained."""
        return len(self.answer) if self.trained is None else int(self.trained.sum())

    @property
    def length(self) -> int:
        """What makes a row long or short: letters of the prompt and ids of the answer, without the pictures."""
        return len(self.model_input.prompt) + len(self.answer)


class Source(Protocol):
    """Numbered samples from one place."""

    @property
    def name(self) -> str:
        """What curves and errors call it."""
        ...

    @property
    def weight(self) -> float:
        """Its places in a batch, relative to the other sources' weights."""
        ...

    def __len__(self) -> int: ...

    def order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """A permutation of 0 … len - 1 for one pass, such that reading in that order is cheap."""
        ...

    def sample(self, index: int, generator: np.random.Generator) -> Sample:
        """Sample `index`; `generator` decides its augmentation, and the same one makes the same sample."""
        ...


class Mixture:
    """Batches from several sources, by their weights."""

    def __init__(self, sources: Sequence[Source], *, seed: int) -> None:
        """Mix `sources`.

        Raises:
            InvalidInputError: no source, an empty one, a weight that is not above zero, or one so small that it gets
                no place at all.
        """
        self.sources = tuple(sources)
        self._seed = seed
        if not self.sources:
            raise InvalidInputError("mixture: expected at least one source, got none")
        for source in self.sources:
            if len(source) == 0 or not 0.0 < source.weight < float("inf"):
                raise InvalidInputError(
                    f"source {source.name!r}: expected samples and a weight above 0, "
                    f"got {len(source)} samples, weight {source.weight}"
                )
        self._shares = _shares(np.array([source.weight for source in self.sources]))
        if not self._shares.all():
            lost = [source.name for source, share in zip(self.sources, self._shares, strict=True) if share == 0]
            raise InvalidInputError(f"mixture: the weights of {lost} give them less than one place in {ROUND}")
        self._dealt = lru_cache(maxsize=4)(self._deal)
        self._order = lru_cache(maxsize=2 * len(self.sources))(self._draw_order)

    def __len__(self) -> int:
        """Samples of all sources together."""
        return sum(len(source) for source in self.sources)

    @property
    def shares(self) -> dict[str, float]:
        """Source → share of the places of a batch."""
        return {source.name: share / ROUND for source, share in zip(self.sources, self._shares.tolist(), strict=True)}

    def batch(self, size: int, *, step: int, places: slice = slice(None)) -> list[Sample]:
        """The samples of training step `step`, source by source, so that devices get like shares of each.

        Args:
            size: Places in the batch, over all devices and accumulated parts.
            step: From 0.
            places: The places that are made here; the others cost nothing. With `slice(start + rank, end, num_ranks)`
                devices get like shares of each source.
        """
        dealt = sorted(self._dealt_to(step * size + place) for place in range(size))
        return [self._sample(step, place, *dealt[place]) for place in range(size)[places]]

    def _sample(self, step: int, place: int, source_index: int, number: int) -> Sample:
        source = self.sources[source_index]
        turn, position = divmod(number, len(source))
        index = int(self._order(source_index, turn)[position])
        return source.sample(index, np.random.default_rng([self._seed, _SAMPLE, step, place]))

    def _dealt_to(self, place: int) -> tuple[int, int]:
        """Whose place this one of all steps' places is, and how many that source had before."""
        round_index, within = divmod(place, ROUND)
        sources, before = self._dealt(round_index)
        source = int(sources[within])
        return source, round_index * int(self._shares[source]) + int(before[within])

    def _deal(self, round_index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source of each place of a round, and how many places of the round that source had before, (ROUND,) each."""
        generator = np.random.default_rng([self._seed, _DEAL, round_index])
        sources = generator.permutation(np.repeat(np.arange(len(self.sources)), self._shares))
        before = np.zeros(ROUND, np.int64)
        for index, share in enumerate(self._shares.tolist()):
            before[sources == index] = np.arange(share)
        return sources, before

    def _draw_order(self, source_index: int, turn: int) -> NDArray[np.int64]:
        return self.sources[source_index].order(np.random.default_rng([self._seed, _ORDER, source_index, turn]))


def _shares(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of each source in a round; the largest remainders are rounded up."""
    exact = ROUND * weights / weights.sum()
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: ROUND - int(shares.sum())]
    shares[largest] += 1
    return shares
