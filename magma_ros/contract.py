"""The action contract: what the numbers of an action mean, as data bound to a checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from magma_ros.errors import ContractError

RotationForm = Literal["rpy", "rotation_vector"]
GripperPolarity = Literal["open_is_one", "open_is_zero"]
Reference = Literal["target", "measured"]
Resampling = Literal["area", "bicubic", "lanczos3"]


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One camera that the policy sees.

    Attributes:
        name: Key of the picture in an observation.
        height_px, width_px: Size that the pipeline resizes it to before the model sees it.
        rotate_180: The recorded picture is upside down and is turned by the pipeline (LIBERO).
        resampling: How it is resized, see `images.resize`; a network acts best on the pixels that it was trained on.
    """

    name: str
    height_px: int
    width_px: int
    rotate_180: bool = False
    resampling: Resampling = "area"

    def __post_init__(self) -> None:
        if not self.name or self.height_px < 1 or self.width_px < 1:
            raise ContractError(f"camera: expected a name and a size of at least 1 px, got {self}")
        if self.resampling not in get_args(Resampling):
            raise ContractError(f"resampling: expected one of {get_args(Resampling)}, got {self.resampling!r}")


@dataclass(frozen=True, slots=True)
class ActionContract:
    """Units are always metres and radians; everything else that seven numbers can mean is here.

    Attributes:
        embodiment: Robot, cameras and action convention; the key of the statistics.
        frame: Frame whose axes the displacement uses.
        rotation_form: Form of columns 3..5 in the model's numbers: fixed-axis roll-pitch-yaw or axis times angle.
        gripper_polarity: Meaning of column 6 in the model's numbers.
        reference: What the displacement is added to: the previous target or the measured pose.
        control_rate_hz: Actions per second that the numbers were recorded at [Hz].
        max_translation_m, max_rotation_rad: Longest honest step; anything longer is refused, not shortened.
        cameras: Pictures in prompt order.
    """

    embodiment: str
    frame: str
    rotation_form: RotationForm
    gripper_polarity: GripperPolarity
    reference: Reference
    control_rate_hz: float
    max_translation_m: float
    max_rotation_rad: float
    cameras: tuple[CameraSpec, ...]

    def __post_init__(self) -> None:
        for name, allowed in (
            ("rotation_form", get_args(RotationForm)),
            ("gripper_polarity", get_args(GripperPolarity)),
            ("reference", get_args(Reference)),
        ):
            if getattr(self, name) not in allowed:
                raise ContractError(f"{name}: expected one of {allowed}, got {getattr(self, name)!r}")
        for name in ("control_rate_hz", "max_translation_m", "max_rotation_rad"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise ContractError(f"{name}: expected a finite number above zero, got {value!r}")
        if not self.embodiment or not self.frame:
            raise ContractError(f"expected a named embodiment and frame, got {self.embodiment!r}, {self.frame!r}")
        names = [camera.name for camera in self.cameras]
        if not names or len(set(names)) != len(names):
            raise ContractError(f"cameras: expected at least one, with different names, got {names}")

    @property
    def control_period_s(self) -> float:
        """Time between two actions [s]."""
        return 1.0 / self.control_rate_hz

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back."""
        return {**asdict(self), "cameras": [asdict(camera) for camera in self.cameras]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ActionContract:
        """The contract in `data`.

        Raises:
            ContractError: a field is missing, unknown or has a value that is not allowed.
        """
        known = {field.name for field in fields(cls)}
        if set(data) != known:
            missing, unknown = sorted(known - set(data)), sorted(set(data) - known)
            raise ContractError(f"action contract: missing fields {missing}, unknown fields {unknown}")
        try:
            cameras = tuple(CameraSpec(**camera) for camera in data["cameras"])
        except TypeError as error:
            raise ContractError(f"cameras: {error}") from error
        return cls(**{**data, "cameras": cameras})

    def require_same_motion(self, other: ActionContract, *, who: str) -> None:
        """Refuse `other` when the same seven numbers would move its arm differently.

        Raises:
            ContractError: names each field that differs; `who` says whose contract `other` is.
        """
        names = ("embodiment", "frame", "rotation_form", "gripper_polarity", "reference", "control_rate_hz")
        differing = [n for n in names if getattr(self, n) != getattr(other, n)]
        if differing:
            shown = ", ".join(f"{n}: {getattr(self, n)!r} here, {getattr(other, n)!r} there" for n in differing)
            raise ContractError(f"the action contract of {who} differs: {shown}")
