"""LeRobot datasets of others, v2.0 to v3.0, as foreign episodes: `magma_ros.episodes.RawDataset` reads the files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.episodes import RawDataset
from magma_ros.errors import EpisodeError, ImportDataError
from magma_ros.finetune.importers.foreign import ForeignEpisode
from magma_ros.types import FloatArray


class LeRobotEpisodes:
    """A dataset's folder; implements `ForeignEpisodes`. Features are those of `meta/info.json`."""

    def __init__(self, folder: Path) -> None:
        """Look at what is in `folder`.

        Raises:
            ImportDataError: it is no LeRobot dataset.
        """
        try:
            self._dataset = RawDataset(folder)
        except EpisodeError as error:
            raise ImportDataError(str(error)) from error

    @property
    def rate_hz(self) -> float | None:
        """The dataset's fps."""
        return self._dataset.fps

    @property
    def origin(self) -> Mapping[str, Any]:
        """Version of the layout, and the robot if it is named."""
        robot = self._dataset.info.get("robot_type")
        return {"format": f"lerobot {self._dataset.version}", "robot_type": robot}

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, index: int, *, features: Collection[str]) -> ForeignEpisode:
        """As `ForeignEpisodes` says; an episode with several tasks has the sentence of its first step."""
        unknown = sorted(set(features) - set(self._dataset.features))
        if unknown:
            raise ImportDataError(f"features: expected some of {sorted(self._dataset.features)}, got {unknown}")
        try:
            raw = self._dataset.read(index, cameras=[name for name in self._dataset.camera_keys if name in features])
        except EpisodeError as error:
            raise ImportDataError(str(error)) from error
        numbers = {name: _columns(raw.columns[name], name) for name in features if name not in raw.pictures}
        pictures = {name: raw.pictures[name] for name in features if name in raw.pictures}
        stamps = np.asarray(raw.columns["timestamp"], np.float64).ravel()
        return ForeignEpisode(numbers, pictures, next(iter(raw.instructions), ""), seed=index, stamps_s=stamps)


def _columns(values: Any, name: str) -> FloatArray:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.number) and array.dtype != np.bool_:
        raise ImportDataError(f"{name}: expected numbers, got {array.dtype}")
    return np.asarray(array, np.float64).reshape(len(array), -1)
