"""Foreign episodes as ours: a mapping applied to what a reader found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from magma_ros.contract import ActionContract
from magma_ros.episodes import Episode
from magma_ros.errors import EpisodeError, ImportDataError, InvalidInputError
from magma_ros.finetune.importers.foreign import ForeignEpisode, ForeignEpisodes
from magma_ros.finetune.importers.mapping import FeatureMap
from magma_ros.geometry import relative_ee_delta
from magma_ros.types import FloatArray, ImageArray

_OVERSHOOT = 0.1
"""An opening that leaves 0 … 1 by less is a calibration's error and clipped; by more, the mapping is wrong."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why an episode of the source can't be one of ours."""

    reason: str


class Demonstrations(Protocol):
    """Episodes of some format, as ours."""

    @property
    def contract(self) -> ActionContract:
        """What their actions mean."""
        ...

    @property
    def rate_hz(self) -> float | None:
        """Rows per second as the source itself says; None where it doesn't."""
        ...

    @property
    def origin(self) -> Mapping[str, Any]:
        """Where they come from and how they were read, as plain JSON."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> Episode | Unusable:
        """Episode `index`, whose `seed` is `index`.

        Raises:
            ImportDataError: it is damaged, or lacks what is needed.
        """
        ...

    def other_readings(self, index: int) -> Mapping[str, Episode]:
        """Episode `index` under other conventions that its numbers could stand in, by what would be declared."""
        ...


class MappedEpisodes:
    """Foreign episodes under a mapping; implements `Demonstrations`."""

    def __init__(self, source: ForeignEpisodes, mapping: FeatureMap, *, instruction: str = "") -> None:
        """Read `source` as `mapping` says; `instruction` is for episodes that have none."""
        self._source, self._mapping, self._instruction = source, mapping, instruction
        self.contract = mapping.contract

    @property
    def rate_hz(self) -> float | None:
        """As `Demonstrations` says."""
        return self._source.rate_hz

    @property
    def origin(self) -> Mapping[str, Any]:
        """As `Demonstrations` says."""
        chosen = {key: getattr(self._mapping, key) for key in ("action_rows_late", "camera_lag_rows", "drop_first")}
        measured = "measured" if self._mapping.translation is None else "commanded"
        return {**self._source.origin, **chosen, "actions": measured, "instruction": self._instruction}

    def __len__(self) -> int:
        return len(self._source)

    def read(self, index: int) -> Episode | Unusable:
        """As `Demonstrations` says."""
        return self._convert(self._source.read(index, features=self._mapping.features), self._mapping, index)

    def other_readings(self, index: int) -> Mapping[str, Episode]:
        """Other rotation forms; none where the actions come from the poses themselves, which agree with any form."""
        if self._mapping.rotation is None:
            return {}
        numbers = self._mapping.features - set(self._mapping.images.values())
        foreign = self._source.read(index, features=numbers)
        blank = np.zeros((len(foreign.number(self._mapping.gripper.feature)), 1, 1, 3), np.uint8)
        foreign = replace(foreign, pictures=dict.fromkeys(self._mapping.images.values(), blank))
        found = {}
        for key, mapping in self._mapping.alternatives().items():
            episode = self._convert(foreign, mapping, index)
            if isinstance(episode, Episode):
                found[key] = episode
        return found

    def _convert(self, foreign: ForeignEpisode, mapping: FeatureMap, index: int) -> Episode | Unusable:
        try:
            return to_episode(
                foreign, mapping, instruction=foreign.instruction.strip() or self._instruction, seed=index
            )
        except (EpisodeError, ImportDataError, InvalidInputError) as error:
            raise ImportDataError(f"episode {index}: {error}") from error


def to_episode(foreign: ForeignEpisode, mapping: FeatureMap, *, instruction: str, seed: int) -> Episode | Unusable:
    """`foreign` as `mapping` reads it; the rows that have no partner after a shift are left out.

    Raises:
        ImportDataError: a feature is missing, or rows differ in number.
        EpisodeError: numbers that are not finite, or stamps that do not increase.
    """
    rows = _rows(foreign, mapping)
    late, lag, first = mapping.action_rows_late, mapping.camera_lag_rows, mapping.drop_first
    num_actions = len(rows["actions"])
    end = min(num_actions - late, len(rows["stamps_s"]) - lag)
    if not instruction:
        return Unusable("it has no instruction")
    if end - first < 2:
        return Unusable("it has fewer than 2 steps")
    numbers: dict[str, Any] = {name: values[first:end] for name, values in rows.items() if name != "actions"}
    return Episode(
        images={camera: _picture(foreign, name)[first + lag : end + lag] for camera, name in mapping.images.items()},
        actions=rows["actions"][first + late : end + late],
        **numbers,
        instruction=instruction,
        seed=seed,
        success=mapping.success,
    )


def _rows(foreign: ForeignEpisode, mapping: FeatureMap) -> dict[str, FloatArray]:
    """Numbers of every row in our units, before any shift; measured actions are one row fewer."""
    position, quats = mapping.ee_position.of(foreign), mapping.ee_rotation.of(foreign)
    gripper = _opening(mapping.gripper.of(foreign))
    if mapping.translation is None or mapping.rotation is None:
        translation, rotation = relative_ee_delta(position[:-1], quats[:-1], position[1:], quats[1:])
        gripper = gripper[:-1]
    else:
        translation, rotation = mapping.translation.of(foreign), mapping.rotation.of(foreign)
    num_rows = len(position)
    stamps = foreign.stamps_s
    rows = {
        "actions": np.concatenate([translation, rotation, gripper[:, None]], axis=1),
        "ee_position_m": position,
        "ee_quat_xyzw": quats,
        "gripper_opening": _opening(mapping.gripper_opening.of(foreign)),
        "joint_positions_rad": np.zeros((num_rows, 0)) if mapping.joints is None else mapping.joints.of(foreign),
        "stamps_s": np.arange(num_rows) / mapping.contract.control_rate_hz if stamps is None else stamps,
    }
    lengths = {name: len(values) for name, values in rows.items() if name != "actions"}
    lengths |= {name: len(_picture(foreign, name)) for name in mapping.images.values()}
    if set(lengths.values()) != {num_rows}:
        raise ImportDataError(f"expected equally many rows everywhere, got {lengths}")
    return rows


def _picture(foreign: ForeignEpisode, feature: str) -> ImageArray:
    if feature not in foreign.pictures:
        raise ImportDataError(f"images: expected one of {sorted(foreign.pictures)}, got {feature!r}")
    return foreign.pictures[feature]


def _opening(values: FloatArray) -> FloatArray:
    small = (values >= -_OVERSHOOT) & (values <= 1.0 + _OVERSHOOT)
    return np.where(small, np.clip(values, 0.0, 1.0), values)
