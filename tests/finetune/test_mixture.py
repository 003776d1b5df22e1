"""Batches hold each source's share, visit every sample once a pass, and depend on seed, step and size alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.mixture import ROUND, Mixture, Sample
from magma_ros.types import ModelInput


@dataclass(frozen=True)
class Numbers:
    """Samples whose answer is their number and what their generator drew."""

    name: str
    count: int
    weight: float = 1.0

    def __len__(self) -> int:
        return self.count

    def order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        return generator.permutation(self.count)

    def sample(self, index: int, generator: np.random.Generator) -> Sample:
        answer = np.array([index, generator.integers(2**40)])
        return Sample(ModelInput((), self.name), answer, is_action=False)


def drawn(mixture: Mixture, size: int, steps: range, **options) -> list[tuple[str, int, int]]:
    """(source, number, what its generator drew) of each place in turn."""
    samples = [sample for step in steps for sample in mixture.batch(size, step=step, **options)]
    return [(sample.model_input.prompt, *sample.answer.tolist()) for sample in samples]


def test_each_pass_visits_every_sample_once() -> None:
    """72 samples in 9 batches of 8: each once, in another order in the next pass, in the same one for the same seed."""
    first = [number for _, number, _ in drawn(Mixture([Numbers("a", 72)], seed=1), 8, range(9))]
    second = [number for _, number, _ in drawn(Mixture([Numbers("a", 72)], seed=1), 8, range(9, 18))]
    assert {1} == set(Counter(first).values())
    assert sorted(first) == sorted(second) == list(range(72))
    assert first != second
    assert first == [number for _, number, _ in drawn(Mixture([Numbers("a", 72)], seed=1), 8, range(9))]
    assert first != [number for _, number, _ in drawn(Mixture([Numbers("a", 72)], seed=2), 8, range(9))]


def test_sources_get_places_by_their_weights() -> None:
    """Weights 3 and 1 give 768 and 256 of each 1024 places, mixed within, whatever the sources' lengths."""
    mixture = Mixture([Numbers("much", 5, 3.0), Numbers("little", 700, 1.0)], seed=0)
    assert {"much": 0.75, "little": 0.25} == mixture.shares
    places = drawn(mixture, 32, range(2 * ROUND // 32))
    for start in (0, ROUND):
        counts = Counter(name for name, _, _ in places[start : start + ROUND])
        assert {"much": 768, "little": 256} == dict(counts)
    assert 2 <= sum(name == "little" for name, _, _ in places[:32]) <= 16
    little = [number for name, number, _ in places if name == "little"]
    assert len(little) == len(set(little))
    assert {153, 154} == set(Counter(number for name, number, _ in places[:ROUND] if name == "much").values())


@given(st.lists(st.floats(1.0, 50.0), min_size=1, max_size=8))
def test_a_round_has_each_share_to_one_place(weights: list[float]) -> None:
    """For any weights the shares add up to 1 and are less than a place from the exact ones."""
    mixture = Mixture([Numbers(str(index), 1, weight) for index, weight in enumerate(weights)], seed=0)
    exact = np.array(weights) / sum(weights)
    got = np.array(list(mixture.shares.values()))
    assert 1.0 == pytest.approx(got.sum())
    assert np.abs(got - exact).max() < 1.0 / ROUND


def test_devices_and_parts_together_make_the_whole_batch() -> None:
    """Every third place on each of three devices, or the halves of accumulation: the samples of the whole batch."""
    sources = [Numbers("a", 50), Numbers("b", 7, 0.5)]
    whole = drawn(Mixture(sources, seed=3), 12, range(4, 5))
    thirds = [drawn(Mixture(sources, seed=3), 12, range(4, 5), places=slice(rank, None, 3)) for rank in range(3)]
    assert whole == [thirds[place % 3][place // 3] for place in range(12)]
    halves = [drawn(Mixture(sources, seed=3), 12, range(4, 5), places=slice(at, at + 6)) for at in (0, 6)]
    assert whole == halves[0] + halves[1]


def test_neighbours_come_from_one_source() -> None:
    """Within a batch the places of a source are beside each other, so that the parts of a batch are of like length."""
    mixture = Mixture([Numbers("a", 50), Numbers("b", 50)], seed=0)
    for step in range(5):
        names = [name for name, _, _ in drawn(mixture, 16, range(step, step + 1))]
        assert sorted(names) == names
        assert {"a", "b"} == set(names)


def test_a_batch_does_not_depend_on_those_before_it() -> None:
    """Step 1000 of a mixture that drew every step and of one that begins there are one and the same."""
    sources = [Numbers("a", 50), Numbers("b", 7, 0.5)]
    walked = Mixture(sources, seed=3)
    walk = drawn(walked, 6, range(1000, 1003))
    assert walk[6:12] == drawn(Mixture(sources, seed=3), 6, range(1001, 1002))
    assert walk[:6] == drawn(walked, 6, range(1000, 1001))


def test_every_place_has_randomness_of_its_own() -> None:
    """The one sample of a source is varied anew in each place of each step, and otherwise for another seed."""
    draws = [draw for _, _, draw in drawn(Mixture([Numbers("a", 1)], seed=0), 8, range(8))]
    draws += [draw for _, _, draw in drawn(Mixture([Numbers("a", 1)], seed=1), 8, range(8))]
    assert 128 == len(set(draws))


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ([], "at least one source"),
        ([Numbers("a", 0)], "'a': expected samples and a weight above 0, got 0 samples"),
        ([Numbers("a", 3, 0.0)], "weight 0.0"),
        ([Numbers("a", 3, float("nan"))], "weight nan"),
        ([Numbers("a", 3, 1.0), Numbers("b", 3, 1e-4)], r"the weights of \['b'\] give them less than one place"),
    ],
)
def test_sources_that_would_never_be_drawn_are_refused(sources: list[Numbers], complaint: str) -> None:
    """None, an empty one, and weights that give no place."""
    with pytest.raises(InvalidInputError, match=complaint):
        Mixture(sources, seed=0)


def test_trained_ids_are_counted() -> None:
    """All of an answer, or those that are marked."""
    sample = Sample(ModelInput((), "x"), np.arange(5), is_action=False)
    assert 5 == sample.num_trained
    assert 2 == replace(sample, trained=np.array([True, False, False, True, False])).num_trained
