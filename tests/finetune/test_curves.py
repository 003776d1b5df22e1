"""Each step is in the curve once, in the log and in TensorBoard, also after a run was killed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from magma_ros.errors import TrainingError
from magma_ros.finetune.curves import Curves
from tests.finetune.short_runs import curve, short_recipe


def test_a_run_that_goes_on_writes_no_step_twice(tmp_path: Path) -> None:
    """Steps behind the saved one are forgotten, a line cut off in its middle too; numbers keep every bit."""
    recipe = replace(short_recipe(tmp_path, tmp_path), trackers=("tensorboard",))
    with Curves(recipe, from_step=0, writes=True) as curves:
        for step in range(1, 6):
            curves.write(step, {"loss": step / 3})
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')
    with Curves(recipe, from_step=3, writes=True) as curves:
        curves.write(4, {"loss": 7.0, "held_out_loss": 0.1})
    assert [1 / 3, 2 / 3, 1.0, 7.0] == [line["loss"] for line in curve(recipe)]
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(1, 1 / 3), (2, 2 / 3), (3, 1.0), (4, 7.0)] == [
        (event.step, pytest.approx(event.value, rel=1e-6)) for event in board.Scalars("loss")
    ]
    assert [4] == [event.step for event in board.Scalars("held_out_loss")]


def test_other_processes_leave_the_files_alone(tmp_path: Path) -> None:
    """Only one process writes."""
    with Curves(
        replace(short_recipe(tmp_path, tmp_path), trackers=("tensorboard",)), from_step=0, writes=False
    ) as curves:
        curves.write(1, {"loss": 1.0})
    assert [] == list(tmp_path.iterdir())


def test_a_tracker_that_is_not_installed_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing needs wandb unless it is asked for (reference trap T12)."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(TrainingError, match="pip install wandb"):
        Curves(replace(short_recipe(tmp_path, tmp_path), trackers=("wandb",)), from_step=0, writes=True)


def test_runs_in_folders_of_one_name_are_two_runs_of_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has an id of its own, which it keeps when it goes on; people read the folder's name."""
    begun: list[dict[str, object]] = []
    idle = SimpleNamespace(log=lambda *_, **__: None, finish=lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **options: begun.append(options) or idle))
    for folder in ("a", "b", "a"):
        output = tmp_path / folder / "run"
        output.mkdir(parents=True, exist_ok=True)
        with Curves(replace(short_recipe(tmp_path, output), trackers=("wandb",)), from_step=0, writes=True):
            pass
    first, second, again = (options["id"] for options in begun)
    assert first == again
    assert first != second
    assert {"run"} == {options["name"] for options in begun}
