"""A run is judged by the same frames every time, and holds nothing but them."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from magma_ros.episodes import EpisodeDataset
from magma_ros.finetune import dataset
from magma_ros.finetune.devices import Devices
from magma_ros.finetune.held_out import HeldOut
from magma_ros.finetune.material import find_material
from magma_ros.finetune.start import find_start, make_pipeline
from tests.finetune.short_runs import short_recipe


def test_frames_are_kept_and_their_episodes_are_not(
    episodes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each held-out episode is read once for all evaluations, and given up when its frames were taken."""
    recipe = short_recipe(episodes_folder, tmp_path, held_out_share=0.3, num_held_out_frames=9)
    material = find_material(recipe)
    start = find_start(recipe, material, writes=True)
    reads: list[int] = []
    read = EpisodeDataset.read
    monkeypatch.setattr(
        EpisodeDataset, "read", lambda self, number, **wanted: reads.append(number) or read(self, number, **wanted)
    )
    held_out = HeldOut(
        replace(recipe, batch_size=4),
        material,
        make_pipeline(recipe, start, material),
        start.processor(),
        Devices("ddp"),
    )
    assert list(material.held_out[0].numbers or ()) == reads
    gc.collect()
    assert [] == [one for one in gc.get_objects() if type(one) is dataset._Shown]
    first, second = list(held_out.batches()), list(held_out.batches())
    assert [4, 4, 1] == [len(batch.inputs.ids) for batch in first]
    assert all(torch.equal(one.inputs.pixels, other.inputs.pixels) for one, other in zip(first, second, strict=True))
    assert 4 == len(reads)
