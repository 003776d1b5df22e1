"""A state appears whole or not at all, and fits another number of processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from magma_ros.errors import TrainingError
from magma_ros.finetune import run_state
from magma_ros.finetune.devices import Devices
from magma_ros.finetune.run_state import SavedState, save_state


@dataclass
class Place:
    """One of the processes of a run, played by a thread."""

    rank: int = 0
    count: int = 1
    shards: bool = False
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def wait_for_all(self) -> None:
        self.barrier.wait(timeout=30)

    def own_rows(self, whole: Tensor) -> Tensor:
        return Devices.own_rows(cast("Devices", self), whole)


def alone() -> Devices:
    """The only process."""
    return cast("Devices", Place())


def sharing(count: int) -> list[Devices]:
    """Processes that hold a part of every tensor each."""
    barrier = threading.Barrier(count)
    return [cast("Devices", Place(rank, count, shards=True, barrier=barrier)) for rank in range(count)]


def test_what_was_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    """Tensors, step and progress of the newest state; the older one is gone."""
    for step in (3, 6):
        tensors = {"a": torch.arange(5.0) / step, "b": torch.ones(2, 3)}
        save_state(tmp_path, step=step, tensors=tensors, progress={"elapsed_s": 1.5}, devices=alone())
    saved = SavedState.newest(tmp_path, alone())
    assert saved is not None
    assert (6, 1.5) == (saved.step, saved.progress["elapsed_s"])
    assert torch.equal(torch.arange(5.0) / 6, saved.read("a"))
    assert ["step-00000006"] == [path.name for path in (tmp_path / "state").iterdir()]


def test_a_run_that_is_killed_while_saving_keeps_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written last, the older state is whole; the next save clears the rest away."""
    save_state(tmp_path, step=3, tensors={"a": torch.zeros(2)}, progress={}, devices=alone())
    for victim in ("save_file", "to_disk"):
        with monkeypatch.context() as patch:
            patch.setattr(run_state, victim, _power_cut)
            with pytest.raises(KeyboardInterrupt):
                save_state(tmp_path, step=6, tensors={"a": torch.ones(2)}, progress={}, devices=alone())
        saved = SavedState.newest(tmp_path, alone())
        assert saved is not None
        assert 3 == saved.step
    save_state(tmp_path, step=6, tensors={"a": torch.ones(2)}, progress={}, devices=alone())
    assert ["step-00000006"] == [path.name for path in (tmp_path / "state").iterdir()]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shared_out_tensors_fit_another_number_of_processes(tmp_path: Path, count: int) -> None:
    """Saved by two processes, read by one, two and three: every row is somewhere once, in order."""
    tensors = {"matrix": torch.randn(5, 2), "vector": torch.randn(3), "short": torch.randn(1)}

    def save(here: Devices) -> None:
        parts = {name: here.own_rows(tensor) for name, tensor in tensors.items()}
        save_state(tmp_path, step=4, tensors=parts, progress={}, devices=here)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(save, sharing(2)))
    states = [SavedState.newest(tmp_path, reader) for reader in (sharing(count) if count > 1 else [alone()])]
    for name, tensor in tensors.items():
        assert torch.equal(tensor, torch.cat([state.read(name) for state in states if state is not None]))


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    """A tensor that is not there, and a file that is not there, are errors with the folder's name."""
    assert SavedState.newest(tmp_path, alone()) is None
    save_state(tmp_path, step=3, tensors={"a": torch.zeros(2)}, progress={}, devices=alone())
    saved = SavedState.newest(tmp_path, alone())
    assert saved is not None
    with pytest.raises(TrainingError, match="expected the tensor 'b'"):
        saved.read("b")
    next((tmp_path / "state").rglob("*.safetensors")).unlink()
    with pytest.raises(TrainingError, match="expected 1 file of tensors"):
        SavedState.newest(tmp_path, alone())


def _power_cut(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
