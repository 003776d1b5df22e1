"""Which pictures of a recording are steps, and what was done after each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from magma_ros.arm import Arm
from magma_ros.contract import ActionContract
from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.bag_contents import Contents, Shot
from magma_ros.finetune.importers.series import Series
from magma_ros.geometry import relative_ee_delta
from magma_ros.pacing import Pacer
from magma_ros.ros import interface
from magma_ros.types import ACTION_DIM, FloatArray

Actions = Literal["commanded", "policy", "measured"]
"""What passed every check and moved the arm; what the policy wanted; how the arm moved until the next picture."""

_LOG = logging.getLogger(__name__)
_SAME_MOMENT_S = 1e-6
"""Stamps that went through 64-bit floats of today's date agree to 0.3 µs."""
_LATE_PERIODS = 1.5
"""A next picture that comes later shows more than one control step: the measured displacement is no action."""
_MOST_UNPAIRED = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Steps of an episode.

    Attributes:
        shots: The pictures, T of them.
        actions: What was done after each, (T, 7).
        by_person: Whether a person did it, T of them.
    """

    shots: Sequence[Shot]
    actions: FloatArray
    by_person: Sequence[bool]

    @property
    def times_s(self) -> FloatArray:
        """Capture times, (T,) [s]."""
        return np.array([shot.stamp_s for shot in self.shots])


def action_topics(arm: Arm, actions: Actions) -> list[str]:
    """Relative names of the topics that may hold such actions, the better one first."""
    if actions == "policy":
        return [interface.POLICY_ACTION.name]
    return [interface.TAKEN_ACTION.name, *([arm.output.topic] if arm.output.kind == "ee_delta" else [])]


def known_shots(contents: Contents, arm: Arm) -> list[Shot]:
    """The pictures at whose times everything was measured.

    Raises:
        ImportDataError: nothing measures the pose or a joint.
    """
    times = np.array([shot.stamp_s for shot in contents.shots])
    known = np.ones(len(times), np.bool_)
    for series in (contents.pose_series(), *contents.joint_series((*arm.home.joints, arm.gripper.joint))):
        known &= series.covers(times, max_gap_s=arm.watch.max_state_age_s)
    return [shot for shot, is_known in zip(contents.shots, known, strict=True) if is_known]


def answered(contents: Contents, shots: Sequence[Shot], *, topic: str, max_age_s: float) -> Steps:
    """Each action on `topic` with the newest picture before it; an action without a new picture is left out, and told.

    Raises:
        ImportDataError: that is so for more than a fifth of the actions.
    """
    times = np.array([shot.stamp_s for shot in shots])
    chosen: list[tuple[int, int]] = []
    last = -1
    actions = contents.actions[topic]
    for number, taken in enumerate(actions):
        newest = int(np.searchsorted(times, taken.stamp_s + _SAME_MOMENT_S)) - 1
        if newest > last and taken.stamp_s - times[newest] <= max_age_s:
            chosen.append((newest, number))
            last = newest
    left_out = (
        f"{topic}: {len(actions) - len(chosen)} of {len(actions)} actions have no new picture and state before them"
    )
    if len(actions) - len(chosen) > _MOST_UNPAIRED * len(actions):
        raise ImportDataError(f"{left_out}: is the camera slower than the control rate, or stamped late?")
    if len(chosen) < len(actions):
        _LOG.warning("%s and are left out", left_out)
    rows = np.array([actions[number].row for _, number in chosen]).reshape(-1, ACTION_DIM)
    return Steps([shots[newest] for newest, _ in chosen], rows, [actions[number].by_person for _, number in chosen])


def moved(contents: Contents, shots: Sequence[Shot], arm: Arm, contract: ActionContract) -> Steps:
    """Pictures at the control rate; where the arm went, and how open the gripper was, until the next of them."""
    pacer = Pacer(contract.control_rate_hz)
    due = [shot for shot in shots if pacer.is_due(shot.stamp_s)]
    if len(due) < 2:
        return Steps([], np.zeros((0, ACTION_DIM)), [])
    times = np.array([shot.stamp_s for shot in due])
    places, quats = poses_at(contents.pose_series(), times)
    opening = contents.joint_series([arm.gripper.joint])[0].at(times)
    translation, rotation = relative_ee_delta(places[:-1], quats[:-1], places[1:], quats[1:])
    whole = np.diff(times) <= _LATE_PERIODS * contract.control_period_s
    rows = np.concatenate([translation, rotation, opening[1:]], axis=1)[whole]
    kept = [shot for shot, is_whole in zip(due[:-1], whole, strict=True) if is_whole]
    return Steps(kept, rows, [shot.by_person for shot in kept])


def poses_at(poses: Series, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions (T, 3) [m] and quaternions (T, 4) of a series of both."""
    quats = Series(poses.times_s, poses.values[:, 3:])
    return poses.at(times_s)[:, :3], quats.quats_at(times_s)
