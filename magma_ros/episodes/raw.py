"""Any LeRobot dataset, of versions 3.0, 2.1 and 2.0, with whatever features it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magma_ros import images
from magma_ros.episodes import tables, video
from magma_ros.episodes.catalogue import Feature, RawRow, damage, read_catalogue
from magma_ros.errors import EpisodeError, InvalidInputError
from magma_ros.types import ImageArray

_PICTURES = ("video", "image")


@dataclass(frozen=True, slots=True, eq=False)
class RawEpisode:
    """An episode of T steps under its dataset's own names.

    Attributes:
        columns: Feature → its numbers as they are stored: (T,) where its shape is (1,), else (T, *shape).
        pictures: Feature → (T, height, width, 3) uint8 RGB.
        instructions: The sentence of each step.
        record: What else the dataset's table of episodes says of it; version 3.0 only.
    """

    columns: Mapping[str, NDArray[Any]]
    pictures: Mapping[str, ImageArray]
    instructions: tuple[str, ...]
    record: Mapping[str, Any]


class RawDataset:
    """A LeRobot dataset, opened for reading; its features keep their own names, units and meanings.

    Attributes:
        folder: Where it is.
        version: "v3.0", "v2.1" or "v2.0".
        fps: Steps per second [Hz].
        features: What each step has.
        tasks: The sentences, by their numbers.
        rows: Where each episode is.
        info: Its `info.json`.
    """

    def __init__(self, folder: Path) -> None:
        """Open the dataset in `folder`.

        Raises:
            EpisodeError: there is none, of a version that is not known, or its description is damaged.
        """
        self.folder = folder
        catalogue = read_catalogue(folder)
        self.version, self.fps, self.features = catalogue.version, catalogue.fps, catalogue.features
        self.tasks, self.rows, self.info = catalogue.tasks, catalogue.rows, catalogue.info

    @property
    def camera_keys(self) -> tuple[str, ...]:
        """The features that are pictures."""
        return tuple(name for name, feature in self.features.items() if feature.dtype in _PICTURES)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int, *, cameras: Collection[str] | None = None) -> RawEpisode:
        """Episode `index`; with `cameras`, the pictures of these features alone, which take nearly all of the time.

        Raises:
            EpisodeError: no such episode or camera, or a file of it is missing, cut off, damaged, or another episode's.
        """
        if not 0 <= index < len(self):
            raise EpisodeError(f"{self.folder}: no episode {index}, available 0 to {len(self) - 1}")
        wanted = [name for name in self.camera_keys if cameras is None or name in cameras]
        if cameras is not None and len(wanted) < len(cameras):
            raise EpisodeError(f"{self.folder}: expected the pictures {sorted(cameras)}, available {self.camera_keys}")
        row = self.rows[index]
        with damage(row.data):
            names = [name for name, feature in self.features.items() if feature.dtype not in _PICTURES]
            table = tables.read_rows(row.data, first_row=row.first_row, num_rows=row.length, columns=[*names, *wanted])
            columns = {name: _column(table, name, self.features[name]) for name in names}
            self._require_own(columns, row)
            shown = {name: self._pictures(table, row, name) for name in wanted}
            instructions = tuple(self._instruction(int(number)) for number in columns["task_index"])
        return RawEpisode(columns, shown, instructions, row.record)

    def _pictures(self, table: pa.Table, row: RawRow, name: str) -> ImageArray:
        if self.features[name].dtype == "image":
            return _decoded(table[name], name)
        path, start_s = row.videos[name]
        with damage(path):
            return video.decode(path, start_s=start_s, num_pictures=row.length, rate_hz=self.fps)

    def _instruction(self, number: int) -> str:
        if not 0 <= number < len(self.tasks):
            raise EpisodeError(f"{self.folder}: expected a task below {len(self.tasks)}, got {number}")
        return self.tasks[number]

    def _require_own(self, columns: Mapping[str, NDArray[Any]], row: RawRow) -> None:
        same = (columns["episode_index"] == row.index).all()
        if not same or not np.array_equal(columns["frame_index"], np.arange(row.length)):
            raise EpisodeError(f"{row.data}: expected the {row.length} steps of episode {row.index} in their order")


def _column(table: pa.Table, name: str, feature: Feature) -> NDArray[Any]:
    if name not in table.column_names:
        raise EpisodeError(f"expected a column {name!r}, available {table.column_names}")
    return tables.to_numpy(table[name], shape=feature.shape, name=name)


def _decoded(column: pa.ChunkedArray, name: str) -> ImageArray:
    """The pictures whose files are in `column`."""
    pictures: ImageArray | None = None
    for step, file in enumerate(column):
        data = file["bytes"].as_py()
        if data is None:
            raise EpisodeError(f"{name}: expected the picture of step {step} in the file, got the name of another file")
        try:
            picture = images.to_rgb(images.decode(data), order="rgb")
        except InvalidInputError as error:
            raise EpisodeError(f"{name}: step {step}: {error}") from error
        if pictures is None:
            if len(column) * picture.nbytes > video.MAX_DECODED_BYTES:
                raise EpisodeError(f"{name}: expected at most {video.MAX_DECODED_BYTES} bytes of pictures")
            pictures = np.empty((len(column), *picture.shape), np.uint8)
        if picture.shape != pictures.shape[1:]:
            raise EpisodeError(f"{name}: expected pictures of one size, got {picture.shape} and {pictures.shape[1:]}")
        pictures[step] = picture
    assert pictures is not None  # an episode has a step
    return pictures
