"""Checks of commanded against measured motion: pauses, blocked motion, offsets, limits, jumps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from magma_ros.finetune.quality import lag
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track, stretches
from magma_ros.types import FloatArray
from magma_ros.wording import counted

_ROUNDING = 1.0 + 1e-6


def idle(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Pauses: nothing is commanded, the gripper included, and nothing moves."""
    rate_hz = track.contract.control_rate_hz
    asks = np.abs(np.diff(track.actions[:, 6], prepend=track.actions[0, 6])) > limits.gripper_travel
    still = track.commands_still(limits)[:-1] & track.measured_still(limits) & ~asks[:-1]
    for first, last in stretches(still, at_least=limits.idle_s * rate_hz):
        shown = f"nothing moves for {(last - first + 1) / rate_hz:.1f} s"
        yield Finding(code="idle", severity="warning", episode=track.index, steps=(first, last), text=shown)


def stuck(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Stretches in which motion is commanded and none is measured."""
    asked = np.linalg.norm(track.actions[:-1, :3], axis=1)
    asked = asked + limits.lever_m * np.linalg.norm(track.actions[:-1, 3:6], axis=1)
    moving = ~track.commands_still(limits)[:-1] & track.measured_still(limits)
    blocked = moving & (track.way_m < limits.stuck_share * asked)
    rate_hz = track.contract.control_rate_hz
    for first, last in stretches(blocked, at_least=max(3.0, limits.stuck_s * rate_hz)):
        total, way = asked[first : last + 1].sum(), track.way_m[first : last + 1].sum()
        shown = f"{1000 * total:.0f} mm of motion are commanded and {1000 * way:.1f} mm measured"
        yield Finding(code="stuck", severity="warning", episode=track.index, steps=(first, last), text=shown)


def out_of_contract(track: Track, _limits: Thresholds) -> Iterator[Finding]:
    """Cameras that the contract names and the episode lacks; steps longer than the contract's."""
    missing = [camera.name for camera in track.contract.cameras if camera.name not in track.cameras]
    if missing:
        shown = f"no camera {', '.join(missing)}; available {', '.join(track.cameras)}"
        yield Finding(code="out_of_contract", severity="error", episode=track.index, text=shown)
    for name, unit, lengths, longest in _step_lengths(track):
        beyond = np.flatnonzero(lengths > longest * _ROUNDING)
        if len(beyond):
            most = f"up to {lengths.max():.4g} {unit}"
            shown = f"{counted(len(beyond), 'step')} with a {name} beyond {longest:g} {unit}, {most}"
            steps = (int(beyond[0]), int(beyond[-1]))
            yield Finding(code="out_of_contract", severity="error", episode=track.index, steps=steps, text=shown)


def saturated(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Many steps exactly as long as the contract allows."""
    num_moving = int((~track.commands_still(limits)).sum())
    for name, unit, lengths, longest in _step_lengths(track):
        at_limit = int(((lengths > 0.99 * longest) & (lengths <= longest * _ROUNDING)).sum())
        if num_moving and at_limit > limits.saturated_share * num_moving:
            shown = f"the {name} of {at_limit} of {num_moving} moving steps is at the limit of {longest:g} {unit}"
            yield Finding(code="saturated", severity="warning", episode=track.index, text=shown)


def jumps(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Measured displacements that no arm makes in one step."""
    longest = limits.jump_ratio * track.contract.max_translation_m
    lengths = np.linalg.norm(track.translation_m, axis=1)
    for first, last in stretches(lengths > longest):
        shown = f"the measured position jumps by {lengths[first : last + 1].max():.3g} m in one step"
        yield Finding(code="outlier", severity="warning", episode=track.index, steps=(first, last + 1), text=shown)


def response(track: Track) -> lag.Correlogram | None:
    """How measured displacement follows commanded displacement; None where one of them does not move."""
    commanded = track.actions[:-1, :3]
    return lag.correlogram(track.translation_m, commanded, reach=lag.reach_for(track.contract.control_rate_hz))


def offset(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Finding]:
    """Actions shifted against the measured motion: of the dataset or, where it has none, of single episodes."""
    curves = {track.index: curve for track in tracks if (curve := response(track)) is not None}
    for index, found in lag.estimates(curves):
        finding = _offset_finding(found, tracks[0].contract.control_period_s, limits, episode=index)
        if finding is not None:
            yield finding
            if index is None:
                return


def _offset_finding(found: lag.Lag, period_s: float, limits: Thresholds, *, episode: int | None) -> Finding | None:
    if not lag.is_certain(found, limits, alone=episode is not None):
        return None
    early = found.steps < -limits.offset_early_steps
    late = found.steps > max(limits.offset_late_steps, limits.offset_late_s / period_s)
    if not early and not late:
        return None
    shown = (
        f"measured motion {'precedes' if early else 'follows'} its action by {abs(found.steps):.1f} steps "
        f"({1000 * abs(found.steps) * period_s:.0f} ms; correlation {found.correlation:.2f}, "
        f"{found.num_series} {'episode' if found.num_series == 1 else 'episodes'})"
    )
    return Finding(code="action_state_offset", severity="error" if early else "warning", episode=episode, text=shown)


def _step_lengths(track: Track) -> tuple[tuple[str, str, FloatArray, float], ...]:
    """Of translation and rotation: name, unit, length of each action's, and the contract's longest."""
    return (
        ("translation", "m", np.linalg.norm(track.actions[:, :3], axis=1), track.contract.max_translation_m),
        ("rotation", "rad", np.linalg.norm(track.actions[:, 3:6], axis=1), track.contract.max_rotation_rad),
    )
