"""Checks of what the cameras show: repeated and empty pictures, and pictures of another moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from magma_ros.finetune.quality import lag
from magma_ros.finetune.quality.findings import Finding, Severity
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import CameraTrack, Track, stretches
from magma_ros.types import FloatArray

_LEAST_MOVING = 8


def frozen(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Pictures that repeat while the arm moves."""
    moving = ~track.measured_still(limits)
    for name, camera in track.cameras.items():
        typical = float(np.median(camera.change[moving])) if moving.sum() >= _LEAST_MOVING else 0.0
        repeated = _repeated(camera, typical, limits)
        held = [
            (first, last)
            for first, last in stretches(repeated, at_least=limits.frozen_steps)
            if track.way_m[first : last + 1].sum() > limits.frozen_way_m
        ]
        for first, last in held:
            way_mm = 1000 * track.way_m[first : last + 1].sum()
            shown = f"camera {name!r} repeats one picture {last - first + 1} times while the arm moves {way_mm:.0f} mm"
            steps = (first, last + 1)
            yield Finding(code="frozen_frames", severity="error", episode=track.index, steps=steps, text=shown)
        single = int((repeated & moving).sum())
        if not held and moving.sum() >= _LEAST_MOVING and single > limits.repeat_share * moving.sum():
            shown = f"camera {name!r} repeats its picture in {single} of {moving.sum()} moving steps: a slower camera?"
            yield Finding(code="frozen_frames", severity="warning", episode=track.index, text=shown)


def empty(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Pictures in which nothing can be seen."""
    for name, camera in track.cameras.items():
        useless = _empty(camera, limits)
        if useless.mean() > limits.flat_share:
            first, last = (int(step) for step in np.flatnonzero(useless)[[0, -1]])
            shown = (
                f"camera {name!r}: {useless.sum()} of {len(track)} pictures are black, white or of one colour "
                f"(mean grey level {camera.brightness[useless].mean():.0f} of 255)"
            )
            severity: Severity = "error" if useless.all() else "warning"
            yield Finding(code="dark_picture", severity=severity, episode=track.index, steps=(first, last), text=shown)


def camera_lag(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Finding]:
    """Cameras whose pictures change before or after the arm moves; with few episodes it may be no more than a hint."""
    hints = replace(limits, lag_score=limits.lag_score_hint)
    for name in _cameras(tracks):
        curves = {track.index: curve for track in tracks if (curve := sight(track, name, limits)) is not None}
        for index, found in lag.estimates(curves):
            alone = index is not None
            certain = _is_late(found, tracks, limits, alone=alone)
            if certain or (not alone and _is_late(found, tracks, hints, alone=False)):
                shown = _lag_text(name, found, tracks)
                yield Finding(code="camera_lag", severity="error" if certain else "warning", episode=index, text=shown)
                if not alone:
                    break


def sync(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Finding]:
    """Pairs of cameras of which one shows everything later than the other."""
    period_s = tracks[0].contract.control_period_s
    for one, other in combinations(_cameras(tracks), 2):
        both = [track for track in tracks if one in track.cameras and other in track.cameras]
        found = lag.estimate([curve for track in both if (curve := _pair(track, one, other)) is not None])
        if found is not None and _is_late(found, tracks, limits, alone=False):
            first, second = (one, other) if found.steps > 0 else (other, one)
            shown = (
                f"camera {first!r} shows everything {abs(found.steps):.1f} steps "
                f"({1000 * abs(found.steps) * period_s:.0f} ms) after {second!r} (correlation {found.correlation:.2f})"
            )
            yield Finding(code="sync_error", severity="error", text=shown)


def sight(track: Track, camera: str, limits: Thresholds) -> lag.Correlogram | None:
    """How the change of a camera's pictures follows the arm's motion; None where one of them rests."""
    if camera not in track.cameras or track.measured_still(limits).all():
        return None
    seen, moved = _change(track.cameras[camera]), np.sqrt(track.way_m)[:, None]
    return lag.correlogram(seen, moved, reach=lag.reach_for(track.contract.control_rate_hz))


def _repeated(camera: CameraTrack, typical: float, limits: Thresholds) -> NDArray[np.bool_]:
    """Pictures that are followed by the same one, (T-1,); empty ones apart."""
    repeated = camera.change <= max(limits.frozen_levels, limits.frozen_share * typical)
    key_frames = camera.change <= limits.key_frame_share * typical
    repeated[1:-1] |= key_frames[1:-1] & repeated[:-2] & repeated[2:]
    nothing = _empty(camera, limits)
    return np.asarray(repeated & ~(nothing[:-1] & nothing[1:]))


def _empty(camera: CameraTrack, limits: Thresholds) -> NDArray[np.bool_]:
    """Pictures that are black, white or of one colour, (T,)."""
    dark, bright = camera.brightness < limits.dark_level, camera.brightness > limits.bright_level
    return np.asarray(dark | bright | (camera.contrast < limits.flat_levels))


def _pair(track: Track, one: str, other: str) -> lag.Correlogram | None:
    reach = lag.reach_for(track.contract.control_rate_hz)
    return lag.correlogram(_change(track.cameras[one]), _change(track.cameras[other]), reach=reach)


def _change(camera: CameraTrack) -> FloatArray:
    """As a column, its square root: a fast sweep weighs no more than many slow ones."""
    return np.sqrt(camera.change)[:, None]


def _cameras(tracks: Sequence[Track]) -> list[str]:
    return list(dict.fromkeys(name for track in tracks for name in track.cameras))


def _is_late(found: lag.Lag, tracks: Sequence[Track], limits: Thresholds, *, alone: bool) -> bool:
    least = max(limits.lag_steps, limits.lag_s / tracks[0].contract.control_period_s)
    return lag.is_certain(found, limits, alone=alone) and abs(found.steps) >= least


def _lag_text(camera: str, found: lag.Lag, tracks: Sequence[Track]) -> str:
    after = "after" if found.steps > 0 else "before"
    episodes = f"{found.num_series} {'episode' if found.num_series == 1 else 'episodes'}"
    return (
        f"camera {camera!r} shows the arm's motion {abs(found.steps):.1f} steps "
        f"({1000 * abs(found.steps) * tracks[0].contract.control_period_s:.0f} ms) {after} it is measured "
        f"(correlation {found.correlation:.2f}, {found.score:.1f} standard deviations over no lag, {episodes})"
    )
