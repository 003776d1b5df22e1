"""A mapping file: which features of a foreign dataset are ours, and in which units and conventions they stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros import embodiments
from magma_ros.contract import ActionContract, RotationForm
from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.foreign import ForeignEpisode
from magma_ros.geometry import rpy_to_rotation_vector
from magma_ros.json_files import read_object
from magma_ros.schema_faults import schema_faults
from magma_ros.shared_files import find_named, names_in, shared_file
from magma_ros.types import FloatArray
from magma_ros.wording import counted
from magma_ros.yaml_files import read_mapping

FOLDER = "config/imports"
"""Where the mappings that come with this project are, `<name>.yaml` each, beside `schema.json`."""

OrientationForm = Literal["rpy", "rotation_vector", "quat_xyzw", "quat_wxyz"]

_OPTIONAL = ("action_rows_late", "camera_lag_rows", "drop_first", "instruction")
_LARGEST_ANGLE_RAD = 2.0 * np.pi + 0.1


@dataclass(frozen=True, slots=True)
class Numbers:
    """Columns of a feature, and what 1.0 in them means in metres or radians; no columns are all of them."""

    feature: str
    columns: tuple[int, ...]
    unit: float = 1.0

    def of(self, episode: ForeignEpisode) -> FloatArray:
        """The numbers in metres or radians, (T, n).

        Raises:
            ImportDataError: there is no such feature or column.
        """
        values = episode.number(self.feature)
        if self.columns and max(self.columns) >= values.shape[1]:
            raise ImportDataError(
                f"{self.feature}: expected the columns {list(self.columns)}, it has {values.shape[1]} columns"
            )
        chosen = values[:, list(self.columns)] if self.columns else values
        return chosen if self.unit == 1.0 else chosen * self.unit


@dataclass(frozen=True, slots=True)
class Displacement:
    """A rotation from row to row."""

    numbers: Numbers
    form: RotationForm

    def of(self, episode: ForeignEpisode) -> FloatArray:
        """Rotation vectors, (T, 3) [rad]; raises as `Numbers.of`."""
        values = self.numbers.of(episode)
        return rpy_to_rotation_vector(values) if self.form == "rpy" else values


@dataclass(frozen=True, slots=True)
class Orientation:
    """A measured orientation."""

    numbers: Numbers
    form: OrientationForm

    def of(self, episode: ForeignEpisode) -> FloatArray:
        """Quaternions xyzw, (T, 4); recorded quaternions stay as they are, to the bit.

        Raises:
            ImportDataError: as `Numbers.of`; or a quaternion has no direction.
        """
        values = self.numbers.of(episode)
        if self.form in ("rpy", "rotation_vector"):
            if (largest := np.abs(values).max(initial=0.0)) > _LARGEST_ANGLE_RAD:
                raise ImportDataError(
                    f"ee_rotation: expected radians, got up to {largest:.4g}; for degrees, say radians: 0.0174533"
                )
            vectors = rpy_to_rotation_vector(values) if self.form == "rpy" else values
            return np.asarray(Rotation.from_rotvec(np.array(vectors)).as_quat())
        quats = values[:, [1, 2, 3, 0]] if self.form == "quat_wxyz" else values
        if (np.abs(np.linalg.norm(quats, axis=1) - 1.0) > 1e-2).any():
            raise ImportDataError(f"{self.numbers.feature}: expected quaternions of unit norm ({self.form})")
        return quats


@dataclass(frozen=True, slots=True)
class Opening:
    """A gripper's number, and its values where the gripper is closed and open."""

    feature: str
    column: int
    closed: float
    open: float

    def of(self, episode: ForeignEpisode) -> FloatArray:
        """0 closed … 1 open as recorded, not clipped, (T,); raises as `Numbers.of`."""
        values = Numbers(self.feature, (self.column,)).of(episode)[:, 0]
        if (self.closed, self.open) == (0.0, 1.0):
            return values
        return np.asarray((values - self.closed) / (self.open - self.closed))


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """What the features of a foreign dataset mean; fields as the keys of the file (`docs/importing.md`).

    Attributes:
        translation, rotation: Commanded displacement; None where it is taken from the measured poses.
    """

    contract: ActionContract
    images: dict[str, str]
    translation: Numbers | None
    rotation: Displacement | None
    gripper: Opening
    ee_position: Numbers
    ee_rotation: Orientation
    gripper_opening: Opening
    joints: Numbers | None
    success: bool
    action_rows_late: int = 0
    camera_lag_rows: int = 0
    drop_first: int = 0
    instruction: str = "language_instruction"

    @property
    def features(self) -> frozenset[str]:
        """Every feature that is needed."""
        used = {self.gripper.feature, self.ee_position.feature, self.ee_rotation.numbers.feature}
        used |= {self.gripper_opening.feature, *self.images.values()}
        used |= {self.translation.feature} if self.translation else set()
        used |= {self.rotation.numbers.feature} if self.rotation else set()
        return frozenset(used | ({self.joints.feature} if self.joints else set()))

    def alternatives(self) -> dict[str, FeatureMap]:
        """The same numbers read in the other rotation forms of their width, by the key that would have to change."""
        others: dict[str, FeatureMap] = {}
        width = len(self.ee_rotation.numbers.columns)
        forms: tuple[OrientationForm, ...] = ("rpy", "rotation_vector") if width == 3 else ("quat_xyzw", "quat_wxyz")
        for form in forms:
            if form != self.ee_rotation.form:
                others[f"ee_rotation.form: {form}"] = replace(self, ee_rotation=replace(self.ee_rotation, form=form))
        if self.rotation is not None:
            other: RotationForm = "rpy" if self.rotation.form == "rotation_vector" else "rotation_vector"
            others[f"action.rotation.form: {other}"] = replace(self, rotation=replace(self.rotation, form=other))
        return others


def load(name_or_path: Path | str) -> FeatureMap:
    """The mapping in a YAML file, or of one of the `available` names.

    Raises:
        ImportDataError: there is no such file or name, or it holds something else; names every fault.
        ContractError: its contract cannot be used.
    """
    path = find_named(name_or_path, folder=FOLDER, suffix=".yaml", what="mapping", error=ImportDataError)
    document = read_mapping(path, error=ImportDataError)
    faults = schema_faults(document, schema()) or _faults(document)
    if faults:
        raise ImportDataError("\n  ".join([f"{path}: {counted(len(faults), 'fault')}", *faults]))
    mapping = _build(document)
    missing = sorted({camera.name for camera in mapping.contract.cameras} - set(mapping.images))
    if missing:
        raise ImportDataError(
            f"{path}: images: expected a feature for every camera of the contract, {missing} have none"
        )
    return mapping


def available() -> list[str]:
    """Names of the mappings that come with this project."""
    return names_in(FOLDER, suffix=".yaml")


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a mapping; not to be changed.

    Raises:
        ImportDataError: it is not where the project's data files are.
    """
    return read_object(shared_file(f"{FOLDER}/schema.json", error=ImportDataError), error=ImportDataError)


def _faults(document: dict[str, Any]) -> list[str]:
    """What the schema can't say."""
    found = []
    action, turn = document["action"], document["ee_rotation"]
    given = {"translation", "rotation"} & set(action)
    if given != ({"translation", "rotation"} if action["from"] == "commanded" else set()):
        found.append("action: expected translation and rotation where it is from 'commanded', neither from 'measured'")
    is_quaternion = turn["form"].startswith("quat")
    if len(turn["columns"]) != (4 if is_quaternion else 3) or ("radians" in turn) == is_quaternion:
        found.append("ee_rotation: expected 4 columns for a quaternion; else 3 columns and what 1.0 means in radians")
    for key, opening in (("action.gripper", action["gripper"]), ("gripper_opening", document["gripper_opening"])):
        if opening["closed"] == opening["open"]:
            found.append(f"{key}: expected different numbers for closed and open, got {opening['open']}")
    return found


def _build(document: dict[str, Any]) -> FeatureMap:
    contract, action, turn = document["contract"], document["action"], document["ee_rotation"]
    named = isinstance(contract, str)
    return FeatureMap(
        contract=embodiments.load(contract).contract if named else ActionContract.from_dict(contract),
        images=dict(document["images"]),
        translation=_numbers(action["translation"]) if "translation" in action else None,
        rotation=Displacement(_numbers(action["rotation"]), action["rotation"]["form"])
        if "rotation" in action
        else None,
        gripper=Opening(**action["gripper"]),
        ee_position=_numbers(document["ee_position"]),
        ee_rotation=Orientation(_numbers(turn), turn["form"]),
        gripper_opening=Opening(**document["gripper_opening"]),
        joints=_numbers(document["joints"]) if "joints" in document else None,
        success=document["success"],
        **{key: document[key] for key in _OPTIONAL if key in document},
    )


def _numbers(data: dict[str, Any]) -> Numbers:
    unit = data.get("metres", data.get("radians", 1.0))
    return Numbers(data["feature"], tuple(data.get("columns", ())), float(unit))
