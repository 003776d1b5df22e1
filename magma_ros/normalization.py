"""Statistics of an embodiment's actions, and scaling by them to the range of the action tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from magma_ros.errors import InvalidInputError, NormalizationError
from magma_ros.json_files import read_object
from magma_ros.types import ACTION_DIM, FloatArray, frozen_array

_EPSILON = 1e-8
"""Added to the range when normalizing, as in the data that Magma was trained on."""

_JSON_NAMES = {
    "mask": "mask",
    "mean": "mean",
    "std": "std",
    "maximum": "max",
    "minimum": "min",
    "q01": "q01",
    "q99": "q99",
}
_OPTIONAL = ("mean", "std", "minimum", "maximum")


@dataclass(frozen=True, slots=True, eq=False)
class NormStats:
    """Per-column statistics of the model's numbers, each shape (7,), in their own units.

    Attributes:
        q01, q99: 1 % and 99 % quantiles; they become -1 and 1.
        mask: True where a column is scaled; False where it passes as it is (the gripper).
        mean, std, minimum, maximum: Recorded for people; scaling does not use them. None where nobody published them.
    """

    q01: FloatArray
    q99: FloatArray
    mask: NDArray[np.bool_]
    mean: FloatArray | None = None
    std: FloatArray | None = None
    minimum: FloatArray | None = None
    maximum: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("q01", "q99", "mean", "std", "minimum", "maximum"):
            if getattr(self, name) is not None or name not in _OPTIONAL:
                object.__setattr__(self, name, _column_values(getattr(self, name), name=name))
        object.__setattr__(self, "mask", _column_mask(self.mask))
        for low, high in (("q01", "q99"), ("minimum", "maximum")):
            lows, highs = getattr(self, low), getattr(self, high)
            if lows is not None and highs is not None and (lows > highs).any():
                raise NormalizationError(f"expected {low} <= {high} in every column, got {lows} and {highs}")
        if self.std is not None and (self.std < 0).any():
            raise NormalizationError(f"std: expected no negative value, got {self.std}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NormStats) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict()))

    def normalize(self, values: ArrayLike) -> FloatArray:
        """Scaled columns of `values`, shape (..., 7), in [-1, 1]; columns without a mask unchanged, constant columns 0.

        Raises:
            InvalidInputError: another shape, or a value that is not finite.
        """
        numbers = _finite_numbers(values)
        span = self.q99 - self.q01
        scaled = np.clip(2.0 * (numbers - self.q01) / (span + _EPSILON) - 1.0, -1.0, 1.0)
        return np.where(self.mask, np.where(span == 0.0, 0.0, scaled), numbers)

    def unnormalize(self, normalized: ArrayLike) -> FloatArray:
        """The inverse of `normalize` inside the quantiles, shape (..., 7); a constant column gives its constant.

        Raises:
            InvalidInputError: another shape, or a value that is not finite.
        """
        numbers = _finite_numbers(normalized)
        return np.where(self.mask, 0.5 * (numbers + 1.0) * (self.q99 - self.q01) + self.q01, numbers)

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain JSON values under upstream's names, without those that are None; `from_dict` reads them to the bit."""
        known = {json_name: getattr(self, name) for name, json_name in _JSON_NAMES.items()}
        return {json_name: values.tolist() for json_name, values in known.items() if values is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NormStats:
        """The statistics in `data`; `mask`, `q01` and `q99` are needed, and keys beyond our seven are ignored.

        Raises:
            NormalizationError: a key is missing or its values cannot be used.
        """
        missing = sorted({json_name for name, json_name in _JSON_NAMES.items() if name not in _OPTIONAL} - set(data))
        if missing:
            raise NormalizationError(f"action statistics: missing {missing}, available {sorted(data)}")
        return cls(**{name: data[json_name] for name, json_name in _JSON_NAMES.items() if json_name in data})


def fit(actions: ArrayLike, *, mask: ArrayLike) -> NormStats:
    """Statistics of `actions`, shape (n, 7) with n at least 1, in the model's numbers.

    Raises:
        InvalidInputError: another shape, or a value that is not finite.
        NormalizationError: no action at all.
    """
    rows = _finite_numbers(actions)
    if rows.ndim != 2 or len(rows) == 0:
        raise NormalizationError(f"actions: expected shape (n, {ACTION_DIM}) with n >= 1, got {rows.shape}")
    q01, q99 = np.quantile(rows, [0.01, 0.99], axis=0)
    return NormStats(
        q01, q99, _column_mask(mask), rows.mean(axis=0), rows.std(axis=0), rows.min(axis=0), rows.max(axis=0)
    )


def load(path: Path, *, embodiment: str) -> NormStats:
    """The statistics of `embodiment` in a `dataset_statistics.json` file.

    Raises:
        NormalizationError: the file cannot be read or has no such embodiment.
    """
    data = read_object(path, error=NormalizationError)
    if embodiment not in data:
        raise NormalizationError(f"{path}: no statistics for embodiment {embodiment!r}, available {sorted(data)}")
    action = data[embodiment].get("action") if isinstance(data[embodiment], dict) else None
    if not isinstance(action, dict):
        raise NormalizationError(f"{path}: expected {embodiment!r} to hold 'action' statistics")
    return NormStats.from_dict(action)


def save(path: Path, stats: Mapping[str, NormStats]) -> None:
    """Write the statistics of each embodiment in upstream's `dataset_statistics.json` layout."""
    document = {embodiment: {"action": one.to_dict()} for embodiment, one in stats.items()}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _column_values(values: ArrayLike, *, name: str) -> FloatArray:
    try:
        array = frozen_array(values, shape=(ACTION_DIM,), dtype=np.float64, name=name)
    except InvalidInputError as error:
        raise NormalizationError(str(error)) from error
    if not np.isfinite(array).all():
        raise NormalizationError(f"{name}: expected finite numbers, got {array}")
    return array


def _column_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    array = np.array(mask)
    if array.shape != (ACTION_DIM,) or array.dtype != np.bool_:
        raise NormalizationError(f"mask: expected {ACTION_DIM} true/false values, got {array.tolist()}")
    array.setflags(write=False)
    return array


def _finite_numbers(values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 1 or array.shape[-1] != ACTION_DIM:
        raise InvalidInputError(f"expected shape (..., {ACTION_DIM}), got {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidInputError(f"expected finite numbers, got {array.tolist()}")
    return array
