"""LIBERO's demonstrations: one HDF5 file per task, one group per demonstration (LIBERO's scripts/create_dataset.py).

Pictures, proprioception and action of a row come from one `env.step(action)`, so they were taken *after* the action:
the answer to row j's picture is row j+1's action (`action_rows_late: 1` in the mapping). Positions are in the world of
the simulator; the base's place in it is in the model that each demonstration carries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError, XMLParser

import h5py
import numpy as np
from numpy.typing import NDArray

from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.foreign import ForeignEpisode
from magma_ros.types import FloatArray

POSITION_IN_BASE = "base/ee_pos"
"""A feature of our own: `obs/ee_pos` in the axes and from the origin of the robot's base, (T, 3) [m]."""
_BASE_BODY = "robot0_base"
_MAX_MODEL_CHARACTERS = 16 * 2**20
_AT_REST = {"quat": "1 0 0 0", "pos": "0 0 0"}  # what MuJoCo takes where a body does not say


class LiberoHdf5:
    """Files of LIBERO's layout; implements `ForeignEpisodes`. Features are a demonstration's datasets: `obs/ee_pos`."""

    def __init__(self, paths: Sequence[Path], *, upside_down: bool) -> None:
        """Look at what is in `paths`: files, or folders of them.

        Args:
            paths: Read in the order of their names.
            upside_down: Whether the mapping takes the pictures as upside down; the files must say the same.

        Raises:
            ImportDataError: no file, or one that is not of this layout.
        """
        self._files = hdf5_files(paths)
        self._demos: list[tuple[Path, str, str]] = []
        rates = set()
        for path in self._files:
            with open_hdf5(path) as file:
                data = file["data"]
                instruction = _instruction(data, where=str(path))
                _require_orientation(data, upside_down=upside_down, where=str(path))
                rates.add(_rate_hz(data))
                self._demos += [(path, name, instruction) for name in demo_names(data)]
        if not self._demos:
            raise ImportDataError(f"{[str(path) for path in paths]}: expected demonstrations, found none")
        self._rates = rates

    @property
    def rate_hz(self) -> float | None:
        """Of the environment that the demonstrations were made in; None where the files differ or don't say."""
        return next(iter(self._rates)) if len(self._rates) == 1 else None

    @property
    def origin(self) -> Mapping[str, Any]:
        """The files by name."""
        return {"format": "libero_hdf5", "files": [path.name for path in self._files]}

    def __len__(self) -> int:
        return len(self._demos)

    def read(self, index: int, *, features: Collection[str]) -> ForeignEpisode:
        """As `ForeignEpisodes` says."""
        path, name, instruction = self._demos[index]
        with open_hdf5(path) as file:
            demo = file["data"][name]
            found = {feature: _dataset(demo, feature) for feature in features if feature != POSITION_IN_BASE}
            if POSITION_IN_BASE in features:
                world = _dataset(demo, "obs/ee_pos")
                found[POSITION_IN_BASE] = world - _base_position(demo.attrs, where=f"{path}, {name}")
        pictures = {feature: values for feature, values in found.items() if values.ndim == 4}
        numbers = {feature: _columns(values) for feature, values in found.items() if values.ndim < 4}
        return ForeignEpisode(numbers, pictures, instruction, seed=index)


def hdf5_files(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths` and in the folders among them, by name.

    Raises:
        ImportDataError: a path that is neither, or nothing at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ImportDataError(f"{path}: expected an HDF5 file or a folder of them, found nothing")
        found += sorted((*path.glob("**/*.hdf5"), *path.glob("**/*.h5"))) if path.is_dir() else [path]
    if not found:
        raise ImportDataError(f"{[str(path) for path in paths]}: expected HDF5 files, found none")
    return found


def open_hdf5(path: Path) -> Any:
    """The open file, with a group `data`.

    Raises:
        ImportDataError: it is damaged or of another layout.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ImportDataError(f"{path}: expected an HDF5 file: {error}") from error
    if not isinstance(file.get("data"), h5py.Group):
        names = sorted(file)
        file.close()
        raise ImportDataError(f"{path}: expected a group 'data' as LIBERO has it, got {names}")
    return file


def demo_names(data: Any) -> list[str]:
    """The demonstrations in a group `data`, in the order of their numbers."""
    names = [name for name in data if re.fullmatch(r"demo_\d+", name)]
    return sorted(names, key=lambda name: int(name[5:]))


def json_attribute(group: Any, name: str, *, where: str) -> Any:
    """An attribute that holds JSON.

    Raises:
        ImportDataError: it is missing or no JSON.
    """
    try:
        return json.loads(group.attrs[name])
    except (KeyError, TypeError, ValueError) as error:
        raise ImportDataError(f"{where}: expected JSON in the attribute {name!r} of 'data': {error!r}") from error


def _instruction(data: Any, *, where: str) -> str:
    """The sentence, which some files have as a list of characters."""
    info = json_attribute(data, "problem_info", where=where)
    sentence = info.get("language_instruction", "") if isinstance(info, dict) else ""
    joined = "".join(sentence) if isinstance(sentence, list) and all(isinstance(s, str) for s in sentence) else sentence
    if not isinstance(joined, str):
        raise ImportDataError(f"{where}: problem_info: expected a language_instruction, got {sentence!r}")
    return joined.strip().strip('"')


def _require_orientation(data: Any, *, upside_down: bool, where: str) -> None:
    """Refuse pictures that stand otherwise than the contract's `rotate_180` says; robosuite notes which way they do."""
    noted = data.attrs.get("macros_image_convention")
    if noted not in ("opengl", "opencv"):
        raise ImportDataError(
            f"{where}: picture orientation: expected the attribute macros_image_convention to be 'opengl' (turned) "
            f"or 'opencv', got {noted!r}; look at a picture, set rotate_180 of the contract's cameras and the attribute"
        )
    if (noted == "opengl") != upside_down:
        raise ImportDataError(
            f"{where}: picture orientation: the file says {noted!r}, so rotate_180 of the contract's cameras must be "
            f"{noted == 'opengl'}, the mapping says {upside_down}"
        )


def _rate_hz(data: Any) -> float | None:
    if "env_args" not in data.attrs:
        return None
    args = json_attribute(data, "env_args", where=data.file.filename)
    rate = args.get("env_kwargs", {}).get("control_freq") if isinstance(args, dict) else None
    return float(rate) if isinstance(rate, int | float) and rate > 0 else None


def _dataset(demo: Any, name: str) -> NDArray[Any]:
    found = demo.get(name)
    if not isinstance(found, h5py.Dataset):
        available: list[str] = []
        demo.visititems(lambda key, item: available.append(key) if isinstance(item, h5py.Dataset) else None)
        raise ImportDataError(f"{demo.name}: feature: expected one of {sorted(available)}, got {name!r}")
    try:
        return np.asarray(found[()])
    except OSError as error:
        raise ImportDataError(f"{demo.file.filename}{demo.name}/{name}: damaged: {error}") from error


def _columns(values: NDArray[Any]) -> FloatArray:
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _base_position(attributes: Any, *, where: str) -> FloatArray:
    """Where the robot's base stands in the world, (3,) [m], from the demonstration's MuJoCo model."""
    model = attributes.get("model_file", "")
    if not isinstance(model, str) or not 0 < len(model) <= _MAX_MODEL_CHARACTERS:
        raise ImportDataError(
            f"{where}: expected the attribute model_file, which says where the robot's base is; else map obs/ee_pos "
            f"in place of {POSITION_IN_BASE} (positions are then in the simulator's world)"
        )
    search = _BodySearch()
    parser = XMLParser(target=search)  # noqa: S314 - no entity is declared: `_BodySearch` refuses a DOCTYPE
    try:
        parser.feed(model)
        parser.close()
    except ParseError as error:
        raise ImportDataError(f"{where}: model_file: expected MuJoCo's XML: {error}") from error
    try:
        base = search.found or {"pos": ""}
        numbers = [[float(word) for word in base.get(key, default).split()] for key, default in _AT_REST.items()]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or numbers[0] != [1.0, 0.0, 0.0, 0.0] or len(numbers[1]) != 3:
        raise ImportDataError(f"{where}: model_file: expected an unturned body {_BASE_BODY!r}, got {search.found}")
    return np.array(numbers[1])


class _BodySearch:
    """An XML parser's target that keeps the attributes of the robot's base and nothing else."""

    def __init__(self) -> None:
        self.found: dict[str, str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "body" and attributes.get("name") == _BASE_BODY:
            self.found = dict(attributes)

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass

    def doctype(self, *_: Any) -> None:
        raise ParseError("a DOCTYPE")

    def close(self) -> None:
        pass
