"""Episodes on disk: one NumPy archive per episode beside a description of the dataset."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magma_ros.contract import ActionContract
from magma_ros.errors import ContractError, EpisodeError, InvalidInputError, NotFiniteError
from magma_ros.types import ACTION_DIM, Action, FloatArray, ImageArray, Observation, Proprio, frozen_array

FORMAT = 2
"""Version of the layout; a reader refuses any other."""

_MAX_EPISODE_BYTES = 4 * 2**30
_FLOAT_SHAPES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "actions": (-1, ACTION_DIM),
        "ee_position_m": (-1, 3),
        "ee_quat_xyzw": (-1, 4),
        "gripper_opening": (-1,),
        "joint_positions_rad": (-1, -1),
        "stamps_s": (-1,),
    }
)
_SCALARS = ("instruction", "seed", "success", "operator")


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One recorded trial of T steps: step t's action is the answer to step t's observation.

    Attributes:
        images: Camera name → pictures, each (T, height, width, 3) uint8 RGB.
        actions: Shape (T, 7), columns as in `Action.to_array`, frame of the dataset's contract.
        ee_position_m, ee_quat_xyzw: Measured end effector in the robot base, (T, 3) [m] and (T, 4).
        gripper_opening: Measured, 0 closed … 1 open, (T,).
        joint_positions_rad: Measured, (T, n) [rad]; n is 0 when nothing measures them.
        stamps_s: Capture times, increasing, (T,) [s].
        instruction: The operator's sentence.
        seed: Of the initial state.
        success: The task was done at the end.
        interventions: True where a person or an expert acted in the place of the policy, (T,); left out: nowhere.
        operator: Who recorded it, or acted; empty when nobody is named.
    """

    images: Mapping[str, ImageArray]
    actions: FloatArray
    ee_position_m: FloatArray
    ee_quat_xyzw: FloatArray
    gripper_opening: FloatArray
    joint_positions_rad: FloatArray
    stamps_s: FloatArray
    instruction: str
    seed: int
    success: bool
    interventions: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    operator: str = ""

    def __post_init__(self) -> None:
        try:
            self._freeze()
        except InvalidInputError as error:
            raise EpisodeError(str(error)) from error
        lengths = {name: len(getattr(self, name)) for name in _FLOAT_SHAPES}
        lengths["interventions"] = len(self.interventions)
        lengths |= {name: len(pictures) for name, pictures in self.images.items()}
        if not self.images or len(set(lengths.values())) != 1 or len(self) == 0:
            raise EpisodeError(f"expected one camera or more and equally many steps everywhere, got {lengths}")
        broken = {name: _first_broken_step(getattr(self, name)) for name in _FLOAT_SHAPES}
        if any(step is not None for step in broken.values()):
            shown = ", ".join(f"{name} from step {step}" for name, step in broken.items() if step is not None)
            raise NotFiniteError(f"expected finite numbers in every array, got others in {shown}")
        if (np.diff(self.stamps_s) <= 0).any():
            raise EpisodeError("stamps_s: expected increasing times")
        if not self.instruction.strip():
            raise EpisodeError("instruction: expected a sentence, got an empty one")

    def _freeze(self) -> None:
        for name, shape in _FLOAT_SHAPES.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), shape=shape, dtype=np.float64, name=name))
        marked = np.asarray(self.interventions)
        if marked.dtype != np.bool_:
            raise InvalidInputError(f"interventions: expected bool, got {marked.dtype}")
        marked = marked if marked.size else np.zeros(len(self.actions), np.bool_)
        marked = frozen_array(marked, shape=(-1,), dtype=np.bool_, name="interventions")
        object.__setattr__(self, "interventions", marked)
        pictures = {}
        for name, array in self.images.items():
            if np.asarray(array).dtype != np.uint8:
                raise InvalidInputError(f"camera {name!r}: expected uint8, got {np.asarray(array).dtype}")
            pictures[name] = frozen_array(array, shape=(-1, -1, -1, 3), dtype=np.uint8, name=f"camera {name!r}")
        object.__setattr__(self, "images", MappingProxyType(pictures))

    def __len__(self) -> int:
        return len(self.actions)

    def observation(self, step: int) -> Observation:
        """What the policy would have seen at `step`."""
        proprio = Proprio(
            ee_position_m=self.ee_position_m[step],
            ee_quat_xyzw=self.ee_quat_xyzw[step],
            gripper_opening=float(self.gripper_opening[step]),
            joint_positions_rad=self.joint_positions_rad[step],
        )
        pictures = {name: array[step] for name, array in self.images.items()}
        return Observation(pictures, self.instruction, float(self.stamps_s[step]), proprio)

    def action(self, step: int, *, frame: str) -> Action:
        """The action taken at `step`; `frame` is the dataset's `contract.frame`."""
        return Action.from_array(self.actions[step], frame=frame)


def _first_broken_step(array: FloatArray) -> int | None:
    """The first row that is not finite; None when all are."""
    rows = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
    return int(rows[0]) if len(rows) else None


class EpisodeDataset:
    """A folder of episodes, opened for reading."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`.

        Raises:
            EpisodeError: it holds no readable description, or an episode's number is missing.
        """
        self.folder = folder
        description = _read_description(folder)
        try:
            self.contract = ActionContract.from_dict(description["contract"])
            self.instructions: tuple[str, ...] = tuple(description["instructions"])
            self.source: Mapping[str, Any] = MappingProxyType(dict(description["source"]))
        except (KeyError, TypeError, ValueError, ContractError) as error:
            raise EpisodeError(f"{folder}: dataset.json cannot be used: {error!r}") from error
        self._num_episodes = _count_episodes(folder)

    def __len__(self) -> int:
        return self._num_episodes

    def read(self, index: int) -> Episode:
        """Episode `index`.

        Raises:
            EpisodeError: no such episode, or its file is damaged.
        """
        if not 0 <= index < len(self):
            raise EpisodeError(f"{self.folder}: no episode {index}, available 0 to {len(self) - 1}")
        return _read_archive(_archive_path(self.folder, index))

    def verify(self) -> None:
        """Read every episode and compare it with the description.

        Raises:
            EpisodeError: names the first episode that is damaged or does not agree.
        """
        for index in range(len(self)):
            episode = self.read(index)
            _require_fits(episode, self.contract, where=f"{self.folder}: episode {index}")
            if episode.instruction not in self.instructions:
                raise EpisodeError(f"{self.folder}: episode {index}: unlisted instruction {episode.instruction!r}")


class EpisodeWriter:
    """Appends episodes to a folder, which it creates; each appears whole or not at all."""

    def __init__(self, folder: Path, *, contract: ActionContract, source: Mapping[str, Any]) -> None:
        """Start or go on with the dataset in `folder`; `source` (plain JSON) says where its episodes come from.

        Raises:
            EpisodeError: the folder holds episodes under another contract.
        """
        self.folder = folder
        self._contract = contract
        self._source = dict(source)
        self._instructions: list[str] = []
        self._num_episodes = 0
        if (folder / "dataset.json").exists():
            present = EpisodeDataset(folder)
            if present.contract != contract:
                raise EpisodeError(f"{folder}: holds episodes of another action contract, {present.contract}")
            self._instructions, self._num_episodes = list(present.instructions), len(present)
        (folder / "episodes").mkdir(parents=True, exist_ok=True)
        self._write_description()

    def __len__(self) -> int:
        return self._num_episodes

    def append(self, episode: Episode) -> int:
        """Write `episode` and give its number.

        Raises:
            EpisodeError: it does not agree with the contract.
        """
        _require_fits(episode, self._contract, where=str(self.folder))
        if episode.instruction not in self._instructions:
            self._instructions.append(episode.instruction)
            self._write_description()
        index = self._num_episodes
        target = _archive_path(self.folder, index)
        arrays = {name: getattr(episode, name) for name in (*_FLOAT_SHAPES, *_SCALARS, "interventions")}
        arrays |= {f"images/{name}": pictures for name, pictures in episode.images.items()}
        partial = target.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
        partial.replace(target)
        self._num_episodes += 1
        return index

    def _write_description(self) -> None:
        document = {
            "format": FORMAT,
            "contract": self._contract.to_dict(),
            "instructions": self._instructions,
            "source": self._source,
        }
        partial = self.folder / "dataset.json.partial"
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.folder / "dataset.json")


def _archive_path(folder: Path, index: int) -> Path:
    return folder / "episodes" / f"{index:06d}.npz"


def _count_episodes(folder: Path) -> int:
    names = sorted(path.name for path in (folder / "episodes").glob("*.npz"))
    numbers = [int(name[:-4]) for name in names if re.fullmatch(r"\d{6}\.npz", name)]
    if numbers != list(range(len(names))):
        raise EpisodeError(f"{folder}: expected episodes numbered from 000000 without a gap, got {names[:3]} …")
    return len(numbers)


def _require_fits(episode: Episode, contract: ActionContract, *, where: str) -> None:
    wanted = {camera.name for camera in contract.cameras}
    if not wanted <= set(episode.images):
        raise EpisodeError(f"{where}: expected the cameras {sorted(wanted)}, got {sorted(episode.images)}")
    for name, columns, longest in (
        ("translation", slice(0, 3), contract.max_translation_m),
        ("rotation", slice(3, 6), contract.max_rotation_rad),
    ):
        length = float(np.linalg.norm(episode.actions[:, columns], axis=1).max())
        if length > longest * (1.0 + 1e-6):
            raise EpisodeError(f"{where}: expected a {name} of at most {longest} per step, got {length:.6g}")


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EpisodeError(f"{folder}: cannot read dataset.json: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise EpisodeError(f"{folder}: expected a dataset.json of format {FORMAT}")
    return description


def _read_archive(path: Path) -> Episode:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_EPISODE_BYTES:
                raise EpisodeError(f"{path}: expected at most {_MAX_EPISODE_BYTES} bytes of arrays")
        with np.load(path, allow_pickle=False) as arrays:
            pictures = {name.removeprefix("images/"): arrays[name] for name in arrays if name.startswith("images/")}
            floats = {name: arrays[name] for name in _FLOAT_SHAPES}
            instruction, seed, success, operator = (arrays[name].item() for name in _SCALARS)
            interventions = arrays["interventions"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise EpisodeError(f"{path}: damaged episode: {error}") from error
    return Episode(
        images=pictures,
        instruction=str(instruction),
        seed=int(seed),
        success=bool(success),
        interventions=interventions,
        operator=str(operator),
        **floats,
    )
