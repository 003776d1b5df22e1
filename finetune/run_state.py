"""What a run needs to go on, written so that a process may be killed at any moment.

`state/step-00000200/` holds `progress.json` and a file of tensors for each process that holds a part of them. It
appears whole, by renaming; the older one is removed afterwards. Tensors that were shared out are put together by rows,
so that a run goes on with another number of processes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from magma_ros.errors import TrainingError
from magma_ros.finetune.devices import Devices
from magma_ros.json_files import read_object
from magma_ros.whole_files import names_to_disk, to_disk
from magma_ros.wording import counted

FOLDER = "state"
PROGRESS = "progress.json"


def save_state(
    output: Path, *, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any], devices: Devices
) -> None:
    """Keep the state after `step` in the run folder `output`; every process of the run calls it.

    Args:
        output: Seen by all processes under the same path.
        step: Optimiser steps that were done.
        tensors: What this process holds of each.
        progress: Plain JSON values.
        devices: The processes.
    """
    final = output / FOLDER / f"step-{step:08d}"
    partial = final.with_suffix(".partial")
    if devices.is_first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    devices.wait_for_all()
    if devices.shards or devices.is_first:
        path = partial / f"part-{devices.rank:05d}.safetensors"
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, path)
        to_disk(path)
    devices.wait_for_all()
    if devices.is_first:
        num_parts = devices.count if devices.shards else 1
        document = {**progress, "step": step, "num_parts": num_parts}
        (partial / PROGRESS).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        to_disk(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.replace(final)
        names_to_disk(final.parent)
        for older in set(final.parent.iterdir()) - {final}:
            shutil.rmtree(older)


class SavedState:
    """The newest whole state of a run folder."""

    def __init__(self, folder: Path, devices: Devices) -> None:
        """Open the state in `folder`.

        Raises:
            TrainingError: files are missing or damaged.
        """
        self.folder = folder
        self.progress = read_object(folder / PROGRESS, error=TrainingError)
        self.step = int(self.progress["step"])
        self._devices = devices
        parts = [folder / f"part-{index:05d}.safetensors" for index in range(int(self.progress["num_parts"]))]
        own = parts[devices.rank : devices.rank + 1]
        self._is_mine = devices.shards and len(parts) == devices.count
        try:
            self._files = [safe_open(path, framework="pt") for path in (own if self._is_mine else parts)]
        except (OSError, SafetensorError) as fault:
            raise TrainingError(f"{folder}: expected {counted(len(parts), 'file')} of tensors: {fault}") from fault
        self._names = set(self._files[0].keys())  # type: ignore[no-untyped-call] # untyped there

    @classmethod
    def newest(cls, output: Path, devices: Devices) -> SavedState | None:
        """That of the run folder `output`; None when nothing was saved yet."""
        found = sorted(path for path in (output / FOLDER).glob("step-*") if path.suffix != ".partial")
        return cls(found[-1], devices) if found else None

    def read(self, name: str) -> Tensor:
        """What this process holds of the tensor `name`, on the CPU.

        Raises:
            TrainingError: the state has no such tensor: it is another run's.
        """
        if name not in self._names:
            raise TrainingError(f"{self.folder}: expected the tensor {name!r}, found {len(self._names)} others")
        parts: list[Tensor] = [file.get_tensor(name) for file in self._files]  # type: ignore[no-untyped-call] # same
        if self._is_mine:
            return parts[0]
        return self._devices.own_rows(parts[0] if len(parts) == 1 else torch.cat(parts))
