"""One recorded trial, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from magma_ros.contract import ActionContract
from magma_ros.errors import EpisodeError, InvalidInputError, NotFiniteError
from magma_ros.types import ACTION_DIM, Action, FloatArray, ImageArray, Observation, Proprio, frozen_array

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
        require_finite({name: getattr(self, name) for name in _FLOAT_SHAPES})
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


def require_finite(arrays: Mapping[str, FloatArray]) -> None:
    """Refuse arrays, by name, of which a row holds something else than finite numbers.

    Raises:
        NotFiniteError: their names and first such steps.
    """
    broken = {name: _first_broken_step(array) for name, array in arrays.items()}
    if any(step is not None for step in broken.values()):
        shown = ", ".join(f"{name} from step {step}" for name, step in broken.items() if step is not None)
        raise NotFiniteError(f"expected finite numbers in every array, got others in {shown}")


def _first_broken_step(array: FloatArray) -> int | None:
    """The first row that is not finite; None when all are."""
    rows = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
    return int(rows[0]) if len(rows) else None


def require_fits(episode: Episode, contract: ActionContract, *, where: str) -> None:
    """Refuse an episode that lacks a camera of `contract`, or has a longer step than `contract` allows.

    Raises:
        EpisodeError: `where` and what does not fit.
    """
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
