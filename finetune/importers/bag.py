"""Recordings of an arm as episodes, one bag each: pictures, state and actions joined by their capture stamps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from magma_ros.arm import Arm
from magma_ros.bag_writer import NOTES_NAME
from magma_ros.contract import ActionContract
from magma_ros.episode_notes import EpisodeNotes
from magma_ros.episodes import Episode
from magma_ros.errors import ImportDataError, InvalidInputError, MagmaRosError
from magma_ros.finetune.importers.bag_contents import Contents
from magma_ros.finetune.importers.bag_gathering import Recorded
from magma_ros.finetune.importers.bag_steps import (
    Actions,
    Steps,
    action_topics,
    answered,
    known_shots,
    moved,
    poses_at,
)
from magma_ros.finetune.importers.mapped import Unusable
from magma_ros.ros.bag_reader import BagReader, absolute_name
from magma_ros.ros.conversions import nanoseconds, time_message
from magma_ros.teleoperation import own_contract
from magma_ros.types import FloatArray

STAMPS_NOTE = "stamps_s"
"""Note of a bag that was exported: the exact capture times, which a message's nanoseconds can't hold, as JSON."""
SEED_NOTE = "seed"
"""Note of a bag that was exported: of the initial state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BagOptions:
    """How recordings are read.

    Attributes:
        actions: What counts as the action; `measured` is for recordings of other stacks.
        namespace: Of the recorded topics.
        instruction: Instead of the recorded one.
        outcome: Instead of the recorded one.
        camera_lag_s: How long after its capture a picture is stamped [s].
    """

    actions: Actions = "commanded"
    namespace: str = ""
    instruction: str = ""
    outcome: Literal["recorded", "success", "failure"] = "recorded"
    camera_lag_s: float = 0.0

    def absolute(self, name: str) -> str:
        """The topic `name` as it is called in the bag."""
        return absolute_name(name, self.namespace)


class BagEpisodes:
    """Bags of one arm; implements `Demonstrations`."""

    def __init__(
        self,
        paths: Sequence[Path],
        arm: Arm,
        *,
        contract: ActionContract | None = None,
        options: BagOptions = BagOptions(),
    ) -> None:
        """Look at what is in `paths`: bags, or folders of them.

        Args:
            paths: Read in the order of their names.
            arm: Whose file maps the topics.
            contract: What the actions mean; left out: as the first bag says or, without a policy, a person's own.
            options: How they are read.

        Raises:
            ImportDataError: there is no bag, or the contract is not in the arm's base.
            RecordingError: a bag is damaged, or a camera of the arm is not in it.
        """
        self._bags, self._arm, self._options = find_bags(paths), arm, options
        self._recorded = [self._open(path) for path in self._bags]
        self._is_given = contract is not None
        self.contract = contract or next(iter(self._recorded[0].gather().contracts), own_contract(arm))
        if self.contract.frame != arm.frames.base:
            raise ImportDataError(
                f"contract: expected the frame {arm.frames.base!r}, the base of arm {arm.name!r}, "
                f"got {self.contract.frame!r}"
            )

    @property
    def rate_hz(self) -> float | None:
        """None: the stamps tell."""
        return None

    @property
    def origin(self) -> Mapping[str, Any]:
        """The bags by name, and how they were read."""
        names = [path.name for path in self._bags]
        return {"format": "mcap", "bags": names, "arm": self._arm.name, **asdict(self._options)}

    def __len__(self) -> int:
        return len(self._bags)

    def other_readings(self, index: int) -> Mapping[str, Episode]:  # noqa: ARG002 - messages say their rotation form
        """None."""
        return {}

    def read(self, index: int) -> Episode | Unusable:
        """As `Demonstrations` says."""
        recorded = self._recorded[index]
        try:
            return self._read(recorded, recorded.gather(), index)
        except MagmaRosError as error:
            raise ImportDataError(f"{self._bags[index]}: {error}") from error

    def _open(self, path: Path) -> Recorded:
        return Recorded(
            BagReader(path), self._arm, absolute=self._options.absolute, camera_lag_s=self._options.camera_lag_s
        )

    def _read(self, recorded: Recorded, contents: Contents, index: int) -> Episode | Unusable:
        if not self._is_given and set(contents.contracts) - {self.contract}:
            raise ImportDataError(f"actions of another contract than the first bag's: {contents.contracts[-1]}")
        if "outcome" in recorded.notes:
            EpisodeNotes.from_dict(recorded.notes)
        instruction = self._instruction(contents, recorded.notes)
        steps = self._steps(contents)
        if not instruction:
            return Unusable("it has no instruction")
        if not steps.shots:
            return Unusable("it has no step")
        places, quats = poses_at(contents.pose_series(), steps.times_s)
        *joints, gripper = contents.joint_series((*self._arm.home.joints, self._arm.gripper.joint))
        return Episode(
            images=recorded.pictures(steps.shots),
            actions=steps.actions,
            ee_position_m=places,
            ee_quat_xyzw=quats,
            gripper_opening=gripper.at(steps.times_s)[:, 0],
            joint_positions_rad=np.concatenate([joint.at(steps.times_s) for joint in joints], axis=1),
            stamps_s=_exact(steps.times_s, recorded.notes),
            instruction=instruction,
            seed=_seed(recorded.notes, index),
            success=self._success(contents, recorded.notes),
            interventions=np.array(steps.by_person),
            operator=recorded.notes.get("operator", ""),
        )

    def _steps(self, contents: Contents) -> Steps:
        shots = known_shots(contents, self._arm)
        if self._options.actions == "measured":
            return moved(contents, shots, self._arm, self.contract)
        names = [self._options.absolute(name) for name in action_topics(self._arm, self._options.actions)]
        topic = next((name for name in names if contents.actions.get(name)), None)
        if topic is None:
            raise ImportDataError(
                f"actions: expected messages on {' or '.join(names)}, got none; "
                "--actions measured takes them from the motion"
            )
        if contents.frames - {self.contract.frame}:
            raise ImportDataError(f"actions: expected the frame {self.contract.frame!r}, got {sorted(contents.frames)}")
        return answered(contents, shots, topic=topic, max_age_s=self._arm.watch.camera_timeout_s)

    def _instruction(self, contents: Contents, notes: Mapping[str, str]) -> str:
        said = self._options.instruction or notes.get("instruction", "")
        if not said and len(contents.instructions) > 1:
            raise ImportDataError(f"expected one instruction, got {contents.instructions}; --instruction chooses")
        return said or next(iter(contents.instructions), "")

    def _success(self, contents: Contents, notes: Mapping[str, str]) -> bool:
        outcome = self._options.outcome if self._options.outcome != "recorded" else notes.get("outcome", "unknown")
        if outcome != "unknown":
            return outcome == "success"
        if contents.success is None:
            raise ImportDataError("outcome: nobody said whether the task was done; --outcome success or failure does")
        return contents.success


def find_bags(paths: Sequence[Path]) -> list[Path]:
    """The bags among `paths` and in the folders among them, by name: folders with `metadata.yaml`, or MCAP files.

    Raises:
        ImportDataError: none, or one that was never closed.
    """
    found: list[Path] = []
    for path in paths:
        candidates = sorted(path.iterdir()) if path.is_dir() and not _is_bag(path) else [path]
        for one in candidates:
            if (one / NOTES_NAME).is_file() and not _is_bag(one):
                raise ImportDataError(
                    f"{one}: the recorder was killed before it closed it: `mcap recover` its file and import what "
                    "it gives, or remove the folder"
                )
        found += [one for one in candidates if _is_bag(one)]
    if not found:
        raise ImportDataError(f"{[str(path) for path in paths]}: expected bags, found none")
    return found


def _is_bag(path: Path) -> bool:
    return path.suffix == ".mcap" if path.is_file() else (path / "metadata.yaml").is_file()


def _seed(notes: Mapping[str, str], index: int) -> int:
    said = notes.get(SEED_NOTE, str(index))
    if not said.removeprefix("-").isdecimal():
        raise ImportDataError(f"note {SEED_NOTE!r}: expected a whole number, got {said[:40]!r}")
    return int(said)


def _exact(times_s: FloatArray, notes: Mapping[str, str]) -> FloatArray:
    """The exact times where the bag notes them: those that are the messages' to the nanosecond."""
    if STAMPS_NOTE not in notes:
        return times_s
    try:
        exact = np.array(json.loads(notes[STAMPS_NOTE]), np.float64).ravel().tolist()
        by_moment = {nanoseconds(time_message(stamp)): stamp for stamp in exact}
    except (TypeError, ValueError, InvalidInputError) as error:
        raise ImportDataError(f"note {STAMPS_NOTE!r}: expected times as JSON: {error}") from error
    return np.array([by_moment.get(nanoseconds(time_message(stamp)), stamp) for stamp in times_s.tolist()])
