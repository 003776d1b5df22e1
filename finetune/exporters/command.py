"""What `magma-ros data export` does: a dataset of ours in, files of another format out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import tyro

from magma_ros import arms
from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import EpisodeError
from magma_ros.finetune.exporters.lerobot_v21 import export_v21
from magma_ros.finetune.exporters.libero_hdf5 import export_hdf5
from magma_ros.finetune.progress import progress_bar
from magma_ros.wording import counted

Format = Literal["mcap", "hdf5", "lerobot-v2.1"]

_ARM = "sim"


def export_data(
    form: tyro.conf.Positional[Format], folder: tyro.conf.Positional[Path], *, output: Path, arm: str = _ARM
) -> None:
    """Write a dataset in another format; LeRobot v3.0 is the dataset itself.

    Args:
        form: rosbag2 MCAP (a bag an episode), HDF5 in LIBERO's layout (a file an instruction), LeRobot v2.1.
        folder: The dataset.
        output: Folder that gets the files.
        arm: MCAP: name or file of the arm whose topics are written.
    """
    if form != "mcap" and arm != _ARM:
        raise EpisodeError(f"{form} has no use for the option arm, whose topics mcap has; got {arm!r}")
    dataset = EpisodeDataset(folder)
    with progress_bar(len(dataset)) as tell:
        summary = _export(form, dataset, output, arm, tell)
    print(f"{counted(len(dataset), 'episode')}, {summary}, in {output}", flush=True)


def _export(form: Format, dataset: EpisodeDataset, output: Path, arm: str, tell: Callable[[int], None]) -> str:
    if form == "hdf5":
        report = export_hdf5(dataset, output, on_episode=tell)
        beyond = f"{counted(report.num_beyond, 'step')} beyond what LIBERO's controller does"
        return f"{counted(len(report.files), 'file')}, {beyond}"
    if form == "lerobot-v2.1":
        return counted(export_v21(dataset.folder, output, on_episode=tell), "step")
    from magma_ros.finetune.exporters.bag import export_bags  # noqa: PLC0415 - ROS need not be installed

    return counted(len(export_bags(dataset, output, arms.load(arm), on_episode=tell)), "bag")
