"""Frozen values that flow through the house; arrays are copied in and handed out read-only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from magma_ros.errors import InvalidInputError

FloatArray = NDArray[np.float64]
ImageArray = NDArray[np.uint8]

ACTION_DIM = 7
"""Columns of an action array: translation (3) [m], rotation vector (3) [rad], gripper opening (1)."""


def frozen_array(values: ArrayLike, *, shape: tuple[int, ...], dtype: DTypeLike, name: str) -> NDArray[Any]:
    """A read-only copy of `values`; a dimension of -1 in `shape` matches any length.

    Raises:
        InvalidInputError: another shape, or values that do not convert to `dtype`.
    """
    try:
        array = np.array(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}: expected {np.dtype(dtype)} values of shape {shape}: {error}") from error
    fits = array.ndim == len(shape) and all(want in (-1, got) for want, got in zip(shape, array.shape, strict=True))
    if not fits:
        raise InvalidInputError(f"{name}: expected shape {shape}, got {array.shape}")
    array.setflags(write=False)
    return array


def frozen_image(image: ArrayLike, *, name: str) -> ImageArray:
    """A read-only copy of a picture, (height, width, 3) uint8; other types are refused, not converted.

    Raises:
        InvalidInputError: another dtype or shape.
    """
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise InvalidInputError(f"{name}: expected uint8, got {array.dtype}")
    return frozen_array(array, shape=(-1, -1, 3), dtype=np.uint8, name=name)


@dataclass(frozen=True, slots=True)
class Proprio:
    """Measured robot state.

    Attributes:
        ee_position_m: End effector in the robot base frame, shape (3,) [m].
        ee_quat_xyzw: Its orientation in the base frame, shape (4,), unit norm, ROS order.
        gripper_opening: 0 closed … 1 open.
        joint_positions_rad: Arm joints from base to wrist, shape (n,) [rad]; empty when not measured.
    """

    ee_position_m: FloatArray
    ee_quat_xyzw: FloatArray
    gripper_opening: float
    joint_positions_rad: FloatArray

    def __post_init__(self) -> None:
        for name, shape in (("ee_position_m", (3,)), ("ee_quat_xyzw", (4,)), ("joint_positions_rad", (-1,))):
            value = frozen_array(getattr(self, name), shape=shape, dtype=np.float64, name=name)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "gripper_opening", float(self.gripper_opening))


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a frame is and how it is turned, in another frame that the name of the variable tells (`pose_ee_in_base`).

    Attributes:
        position_m: Shape (3,) [m].
        quat_xyzw: Shape (4,), ROS order; q and -q are one orientation, and who uses it sees to its unit norm.
    """

    position_m: FloatArray
    quat_xyzw: FloatArray

    def __post_init__(self) -> None:
        for name, shape in (("position_m", (3,)), ("quat_xyzw", (4,))):
            value = frozen_array(getattr(self, name), shape=shape, dtype=np.float64, name=name)
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class StampedPose:
    """A measured pose and when it was measured, in the caller's clock [s]."""

    pose: Pose
    stamp_s: float


class PicturesOnDemand(Mapping[str, ImageArray]):
    """Pictures by camera, each drawn when it is looked at, after which it stays; equal to none but itself.

    For simulators whose policies do not look at every step or camera. `draw` must give what a camera saw when this was
    made.
    """

    def __init__(self, cameras: Sequence[str], draw: Callable[[str], ImageArray]) -> None:
        self._draw = draw
        self._drawn: dict[str, ImageArray | None] = dict.fromkeys(cameras)

    def __getitem__(self, camera: str) -> ImageArray:
        """The picture of `camera`.

        Raises:
            InvalidInputError: what was drawn is no picture.
        """
        picture = self._drawn[camera]
        if picture is None:
            picture = self._drawn[camera] = frozen_image(self._draw(camera), name=f"image {camera!r}")
        return picture

    def __contains__(self, camera: object) -> bool:
        return camera in self._drawn  # Mapping's own would draw it

    def __iter__(self) -> Iterator[str]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Observation:
    """What one tick sees.

    Attributes:
        images: Camera name → RGB picture, each (height, width, 3) uint8; `PicturesOnDemand` are left undrawn.
        instruction: The operator's sentence.
        stamp_s: Capture time of the oldest image, in the caller's clock [s].
        proprio: Measured robot state, or None when nothing measures it.
    """

    images: Mapping[str, ImageArray]
    instruction: str
    stamp_s: float
    proprio: Proprio | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.images, PicturesOnDemand):
            images = {name: frozen_image(image, name=f"image {name!r}") for name, image in self.images.items()}
            object.__setattr__(self, "images", MappingProxyType(images))

    def seen_by(self, cameras: Collection[str]) -> Observation:
        """The same with the pictures of `cameras` alone, or as it is if it lacks one; nothing is drawn for it."""
        if not set(cameras) < set(self.images):
            return self
        kept = [camera for camera in self.images if camera in cameras]
        return replace(self, images=PicturesOnDemand(kept, self.images.__getitem__))

    def __reduce__(self) -> tuple[Any, ...]:
        """It pickles, drawn, which a read-only mapping alone does not."""
        return type(self), (dict(self.images), self.instruction, self.stamp_s, self.proprio)


@dataclass(frozen=True, slots=True)
class Action:
    """End-effector displacement over one control step, and where the gripper should be after it.

    Attributes:
        translation_m: Displacement along the axes of `frame`, shape (3,) [m].
        rotation_vector_rad: Axis times angle along the axes of `frame`, about the end effector, shape (3,) [rad].
        gripper_opening: Absolute goal, 0 closed … 1 open.
        frame: Name of the frame whose axes the displacement uses.
    """

    translation_m: FloatArray
    rotation_vector_rad: FloatArray
    gripper_opening: float
    frame: str

    def __post_init__(self) -> None:
        for name in ("translation_m", "rotation_vector_rad"):
            value = frozen_array(getattr(self, name), shape=(3,), dtype=np.float64, name=name)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "gripper_opening", float(self.gripper_opening))

    @classmethod
    def from_array(cls, row: ArrayLike, *, frame: str) -> Action:
        """The action in one row of an action array: [translation_m, rotation_vector_rad, gripper_opening]."""
        values = frozen_array(row, shape=(ACTION_DIM,), dtype=np.float64, name="action")
        return cls(values[:3], values[3:6], float(values[6]), frame)

    def to_array(self) -> FloatArray:
        """[translation_m, rotation_vector_rad, gripper_opening], shape (7,); a new array."""
        return np.concatenate([self.translation_m, self.rotation_vector_rad, [self.gripper_opening]])


@dataclass(frozen=True, slots=True)
class ActionChunk:
    """The actions of one inference.

    Attributes:
        actions: Shape (action_horizon, 7), columns as in `Action.to_array`.
        frame: Frame of every displacement.
        stamp_s: `stamp_s` of the observation that it was computed from [s].
        tokens: The model's token ids, shape (action_horizon, 7); empty when no model spoke.
        entropy_nats: See `ActionPrediction`, shape (action_horizon, 7); empty when not known.
    """

    actions: FloatArray
    frame: str
    stamp_s: float
    tokens: NDArray[np.int64]
    entropy_nats: FloatArray = field(default_factory=lambda: np.empty((0, ACTION_DIM)))

    def __post_init__(self) -> None:
        actions = frozen_array(self.actions, shape=(-1, ACTION_DIM), dtype=np.float64, name="actions")
        if len(actions) == 0:
            raise InvalidInputError("actions: expected at least one action in a chunk, got none")
        object.__setattr__(self, "actions", actions)
        tokens = frozen_array(self.tokens, shape=(-1, ACTION_DIM), dtype=np.int64, name="tokens")
        object.__setattr__(self, "tokens", tokens)
        entropy = frozen_array(self.entropy_nats, shape=(-1, ACTION_DIM), dtype=np.float64, name="entropy_nats")
        object.__setattr__(self, "entropy_nats", entropy)

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, index: int) -> Action:
        return Action.from_array(self.actions[index], frame=self.frame)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the model is shown: the seam in front of it, readable by a person.

    Attributes:
        images: Pictures in prompt order, each (height, width, 3) uint8 RGB.
        prompt: The whole rendered text, with one image placeholder per picture.
    """

    images: tuple[ImageArray, ...]
    prompt: str

    def __post_init__(self) -> None:
        images = tuple(frozen_image(image, name=f"image {index}") for index, image in enumerate(self.images))
        object.__setattr__(self, "images", images)


@dataclass(frozen=True, slots=True)
class ActionPrediction:
    """The model's answer to one or several inputs: n actions, those of the first input first.

    Attributes:
        tokens: Ids, shape (n, 7).
        expected: Mean normalized number over all bins, given the tokens before, in [-1, 1], shape (n, 7); finer than
            a bin, and between two of them when the model wavers.
        entropy_nats: Of the distribution over the action ids, 0 (certain) … ln 256 (no idea), shape (n, 7).
        num_passes: Runs of the language model for all of them together, the one over the prompt included.
    """

    tokens: NDArray[np.int64]
    expected: FloatArray
    entropy_nats: FloatArray
    num_passes: int

    def __post_init__(self) -> None:
        for name, dtype in (("tokens", np.int64), ("expected", np.float64), ("entropy_nats", np.float64)):
            value = frozen_array(getattr(self, name), shape=(-1, ACTION_DIM), dtype=dtype, name=name)
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class SafeAction:
    """An action that passed every check; `limited_by` names the limits that shortened it."""

    action: Action
    limited_by: tuple[str, ...] = ()
