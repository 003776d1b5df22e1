"""Our episodes in a LeRobot dataset: what its numbers mean is in `meta/magma_ros.json`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magma_ros.contract import ActionContract
from magma_ros.episodes.catalogue import damage
from magma_ros.episodes.episode import Episode, require_finite, require_fits
from magma_ros.episodes.features import STATE_NAMES
from magma_ros.episodes.layout import CAMERA_PREFIX, INFO, OURS
from magma_ros.episodes.raw import RawDataset, RawEpisode
from magma_ros.errors import ContractError, EpisodeError
from magma_ros.json_files import read_object
from magma_ros.types import FloatArray

FORMAT = 3
"""Version of what `meta/magma_ros.json` and our columns mean; a reader refuses any other."""


def holds_episodes(folder: Path) -> bool:
    """Whether a writer has begun a dataset in `folder`."""
    return (folder / OURS).exists() and (folder / INFO).exists()


class EpisodeDataset:
    """A folder of episodes, opened for reading."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`.

        Raises:
            EpisodeError: it holds no dataset of ours, or its description cannot be used.
        """
        self.folder = folder
        description = _read_description(folder)
        try:
            self.contract = ActionContract.from_dict(description["contract"])
            self.source: Mapping[str, Any] = MappingProxyType(dict(description["source"]))
        except (KeyError, TypeError, ValueError, ContractError) as error:
            raise EpisodeError(f"{folder}: {OURS} cannot be used: {error!r}") from error
        self.raw = RawDataset(folder)
        if self.raw.fps != self.contract.control_rate_hz:
            rate = self.contract.control_rate_hz
            raise EpisodeError(f"{folder}: expected {rate} steps per second as in the contract, got {self.raw.fps}")

    @property
    def instructions(self) -> tuple[str, ...]:
        """Every sentence, in the order in which they came."""
        return self.raw.tasks

    def __len__(self) -> int:
        return len(self.raw)

    def read(self, index: int, *, cameras: Iterable[str] | None = None) -> Episode:
        """Episode `index`; with `cameras`, the pictures of these alone.

        Raises:
            EpisodeError: no such episode or camera, or its files are missing or damaged.
        """
        raw = self.raw.read(index, cameras=None if cameras is None else [CAMERA_PREFIX + name for name in cameras])
        with damage(self.raw.rows[index].data):
            return _to_episode(raw)

    def read_actions(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Actions of episode `index`, (T, 7), and which of them were interventions, (T,), as in `Episode`; no pictures.

        Raises:
            EpisodeError: as `read`, but for what is wrong with its pictures.
        """
        columns = self.raw.read(index, cameras=()).columns
        actions: FloatArray = columns["action"]
        with damage(self.raw.rows[index].data):
            require_finite({"actions": actions})
        return actions, columns["intervention"]

    def picture_bytes(self, index: int, cameras: Iterable[str]) -> int:
        """What the pictures of `cameras` in episode `index` take in memory, by the dataset's description.

        Raises:
            EpisodeError: one of them is not recorded.
        """
        features = {CAMERA_PREFIX + name: self.raw.features.get(CAMERA_PREFIX + name) for name in cameras}
        missing = sorted(name.removeprefix(CAMERA_PREFIX) for name, feature in features.items() if feature is None)
        if missing:
            recorded = sorted(key.removeprefix(CAMERA_PREFIX) for key in self.raw.camera_keys)
            raise EpisodeError(f"{self.folder}: expected the cameras {missing}, which are not among {recorded}")
        sizes = [math.prod(feature.shape) for feature in features.values() if feature is not None]
        return sum(sizes) * self.raw.rows[index].length

    def verify(self) -> None:
        """Read every episode and compare it with the description.

        Raises:
            EpisodeError: names the first episode that is damaged or does not agree.
        """
        for index in range(len(self)):
            try:
                episode = self.read(index)
            except EpisodeError as error:
                raise EpisodeError(f"{self.folder}: episode {index}: {error}") from error
            require_fits(episode, self.contract, where=f"{self.folder}: episode {index}")


def _to_episode(raw: RawEpisode) -> Episode:
    state, record = raw.columns["observation.state"], raw.record
    if len(set(raw.instructions)) != 1:
        raise EpisodeError(f"expected one instruction in an episode, got {sorted(set(raw.instructions))}")
    if not {f"magma_ros/{name}" for name in ("seed", "success", "operator")} <= record.keys():
        raise EpisodeError(
            "expected a seed, an outcome and an operator in meta/episodes; who else appended this episode?"
        )
    num_named = len(STATE_NAMES)
    return Episode(
        images={name.removeprefix(CAMERA_PREFIX): pictures for name, pictures in raw.pictures.items()},
        actions=raw.columns["action"],
        ee_position_m=state[:, :3],
        ee_quat_xyzw=state[:, 3:7],
        gripper_opening=state[:, 7],
        joint_positions_rad=state[:, num_named:],
        stamps_s=raw.columns["stamp_s"],
        instruction=raw.instructions[0],
        seed=int(record["magma_ros/seed"]),
        success=bool(record["magma_ros/success"]),
        interventions=raw.columns["intervention"],
        operator=str(record["magma_ros/operator"]),
    )


def _read_description(folder: Path) -> dict[str, Any]:
    if not holds_episodes(folder):
        raise EpisodeError(
            f"{folder}: expected {OURS}; LeRobot's own datasets do not say what their numbers mean and are imported"
        )
    description = read_object(folder / OURS, error=EpisodeError)
    if description.get("format") != FORMAT:
        raise EpisodeError(f"{folder}: expected a {OURS} of format {FORMAT}, got {description.get('format')!r}")
    return description
