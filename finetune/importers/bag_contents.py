"""What one recording holds of an arm, as numbers over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from magma_ros.contract import ActionContract
from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.series import Series
from magma_ros.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """An action as it was recorded.

    Attributes:
        stamp_s: Of its header: the picture that it answers, or the moment of a person's decision [s].
        row: As `Action.to_array`, (7,).
        by_person: A person had the arm when it was received.
    """

    stamp_s: float
    row: FloatArray
    by_person: bool


@dataclass(frozen=True, slots=True)
class Shot:
    """Pictures that were taken together.

    Attributes:
        stamp_s: Of the oldest [s].
        places: Camera → how many pictures of it are before this one in the recording.
        by_person: A person had the arm when the last of them was received.
    """

    stamp_s: float
    places: Mapping[str, int]
    by_person: bool


@dataclass(slots=True)
class Contents:
    """What was recorded, in the order in which it was received.

    Attributes:
        actions: By absolute topic.
        joints: Joint → (stamp [s], position [rad]; the gripper's as an opening).
        poses: Stamp [s] → end effector in the base, position and quaternion xyzw, (7,).
        shots: By their stamps.
        instructions: Those that a policy followed, each once.
        contracts: Those that a policy named, each once.
        frames: Whose axes the actions use.
        success: The simulated world's last verdict; None where nobody said.
        refused: Measured state that was malformed, by reason.
    """

    actions: dict[str, list[Taken]] = field(default_factory=dict)
    joints: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    poses: dict[float, FloatArray] = field(default_factory=dict)
    shots: list[Shot] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    contracts: list[ActionContract] = field(default_factory=list)
    frames: set[str] = field(default_factory=set)
    success: bool | None = None
    refused: Counter[str] = field(default_factory=Counter)

    def pose_series(self) -> Series:
        """End effector in the base, (n, 7).

        Raises:
            ImportDataError: nothing measures it.
        """
        if not self.poses:
            raise ImportDataError(
                f"expected a measured pose of the end effector, got none; refused {dict(self.refused)}"
            )
        return Series.of(list(self.poses), list(self.poses.values()))

    def joint_series(self, names: Collection[str]) -> list[Series]:
        """One for each of the joints, (n, 1).

        Raises:
            ImportDataError: nothing measures one of them.
        """
        missing = [name for name in names if not self.joints.get(name)]
        if missing:
            raise ImportDataError(
                f"expected the joints {missing}, got {sorted(self.joints)}; refused {dict(self.refused)}"
            )
        return [Series.of(*zip(*self.joints[name], strict=True)) for name in names]
