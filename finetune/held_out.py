"""What a run is judged by: frames that it never trains on, the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from magma_ros.finetune.batches import TrainingBatch, collate
from magma_ros.finetune.dataset import EpisodeSource
from magma_ros.finetune.devices import Devices
from magma_ros.finetune.material import Material
from magma_ros.finetune.recipe import Recipe
from magma_ros.model.processing import MagmaProcessor
from magma_ros.pipeline import Pipeline


class HeldOut:
    """Held-out frames, spread evenly over their episodes; nothing varies them."""

    def __init__(
        self, recipe: Recipe, material: Material, pipeline: Pipeline, processor: MagmaProcessor, devices: Devices
    ) -> None:
        """Choose this process's frames, of which every process has equally many, and keep them and nothing else."""
        self._processor = processor
        sources = [
            EpisodeSource(pipeline, chosen, end_of_turn_id=processor.end_of_turn_id, memory_bytes=0)
            for chosen in material.held_out
        ]
        places = [(source, index) for source in sources for index in range(len(source))]
        count = min(recipe.num_held_out_frames, len(places)) // devices.count * devices.count
        chosen = np.linspace(0, len(places) - 1, count).round().astype(int).tolist()
        mine = [places[index] for index in chosen[devices.places]]
        self._samples = [source.sample(index, np.random.default_rng(0)) for source, index in mine]
        self._size = max(1, recipe.batch_size // (devices.count * recipe.accumulate))

    def __bool__(self) -> bool:
        """Whether there is anything to judge by."""
        return bool(self._samples)

    def batches(self) -> Iterator[TrainingBatch]:
        """All frames of this process."""
        for start in range(0, len(self._samples), self._size):
            yield collate(self._processor, self._samples[start : start + self._size])
