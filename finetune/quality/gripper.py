"""Checks of the gripper: its range, and whether it opens when it is told to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from magma_ros.finetune.quality import lag
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track

_LEAST_EPISODES = 3
_MOST = 0.9
_SHUT = 0.2


def opening_range(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Openings outside 0 … 1, commanded or measured."""
    for name, openings in (("commanded", track.actions[:, 6]), ("measured", track.gripper_opening)):
        low, high = float(openings.min()), float(openings.max())
        if low < -limits.gripper_range or high > 1.0 + limits.gripper_range:
            shown = f"{name} openings from {low:.3g} to {high:.3g}, expected 0 (closed) to 1 (open)"
            yield Finding(code="gripper_out_of_range", severity="error", episode=track.index, text=shown)


def inverted(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """A measured opening that goes down where the command goes up."""
    commanded, measured = track.actions[:, 6], track.gripper_opening
    if min(np.ptp(commanded), np.ptp(measured)) < limits.gripper_travel:
        return
    curve = lag.correlogram(measured[:, None], commanded[:, None], reach=lag.reach_for(track.contract.control_rate_hz))
    if curve is None:
        return
    after = curve.values[curve.reach :]
    lowest, highest = float(after.min()), float(after.max())
    if lowest < -limits.gripper_correlation and -lowest > highest:
        shown = f"commanded and measured opening correlate by {lowest:.2f}"
        yield Finding(code="gripper_inverted", severity="error", episode=track.index, text=shown)


def starts_shut(tracks: Sequence[Track], _limits: Thresholds) -> Iterator[Finding]:
    """Nearly all episodes begin with a shut gripper, command and measurement alike, and open it later."""
    if len(tracks) < _LEAST_EPISODES:
        return
    shut = [
        max(track.actions[0, 6], track.gripper_opening[0]) < _SHUT and bool(track.actions[:, 6].max() > 1.0 - _SHUT)
        for track in tracks
    ]
    if sum(shut) >= _MOST * len(tracks):
        shown = (
            f"{sum(shut)} of {len(tracks)} episodes begin with a shut gripper and open it later: right for placing "
            "what is held from the start, else command and measurement are both inverted"
        )
        yield Finding(code="gripper_inverted", severity="warning", text=shown)
