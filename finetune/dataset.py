"""Episodes to training batches, through the same `Pipeline` that serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magma_ros import normalization
from magma_ros.contract import ActionContract
from magma_ros.episodes import Episode, EpisodeDataset
from magma_ros.errors import EpisodeError
from magma_ros.normalization import NormStats
from magma_ros.pipeline import Pipeline, to_model_numbers
from magma_ros.types import FloatArray, ModelInput

ACTION_MASK = (True, True, True, True, True, True, False)
"""Numbers that are scaled by the statistics; the gripper passes as 0 … 1 (reference: upstream's Bridge statistics)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame as the network is trained on it: what it sees, and the seven ids that it should answer."""

    model_input: ModelInput
    target: NDArray[np.int64]


def sample_of(pipeline: Pipeline, episode: Episode, step: int) -> Sample:
    """The training sample of one recorded step.

    Raises:
        InvalidInputError, ContractError: the frame or its action does not fit the pipeline.
    """
    action = episode.action(step, frame=pipeline.contract.frame)
    return Sample(pipeline.encode(episode.observation(step)), pipeline.encode_target(action))


class FrameDataset:
    """Every step of some episode folders as samples, held in memory."""

    def __init__(self, pipeline: Pipeline, folders: Sequence[Path]) -> None:
        self._samples: list[Sample] = []
        self._order: tuple[tuple[int, int], NDArray[np.int64]] | None = None
        for dataset in open_datasets(folders):
            pipeline.contract.require_same_motion(dataset.contract, who=str(dataset.folder))
            for episode in read_all(dataset):
                self._samples += [sample_of(pipeline, episode, step) for step in range(len(episode))]

    def __len__(self) -> int:
        return len(self._samples)

    def batch(self, size: int, *, seed: int, step: int) -> list[Sample]:
        """`size` samples drawn for training step `step`; the same arguments draw the same samples.

        Each pass over the data visits every sample once in a seeded order.
        """
        return [self._samples[self._drawn(step * size + offset, seed)] for offset in range(size)]

    def _drawn(self, position: int, seed: int) -> int:
        epoch, index = divmod(position, len(self))
        if self._order is None or self._order[0] != (seed, epoch):
            self._order = ((seed, epoch), np.random.default_rng([seed, epoch]).permutation(len(self)))
        return int(self._order[1][index])


def open_datasets(folders: Sequence[Path]) -> list[EpisodeDataset]:
    """The episode folders, opened.

    Raises:
        EpisodeError: none given, or one that is empty or cannot be used.
    """
    datasets = [EpisodeDataset(folder) for folder in folders]
    if not datasets or any(len(dataset) == 0 for dataset in datasets):
        raise EpisodeError(f"expected folders with at least one episode each, got {[str(f) for f in folders]}")
    return datasets


def read_all(dataset: EpisodeDataset) -> Iterator[Episode]:
    """Each episode of `dataset` in order."""
    return (dataset.read(index) for index in range(len(dataset)))


def fit_norm_stats(folders: Sequence[Path], contract: ActionContract) -> NormStats:
    """Statistics of the recorded actions in the contract's own numbers."""
    rows: list[FloatArray] = []
    for dataset in open_datasets(folders):
        contract.require_same_motion(dataset.contract, who=str(dataset.folder))
        for episode in read_all(dataset):
            steps = (episode.action(step, frame=contract.frame) for step in range(len(episode)))
            rows += [to_model_numbers(action, contract) for action in steps]
    return normalization.fit(np.stack(rows), mask=ACTION_MASK)
