"""Checks of episodes against each other: outliers, duplicates, instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from scipy.spatial import KDTree

from magma_ros.finetune.quality.findings import Finding, Severity
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track
from magma_ros.types import FloatArray
from magma_ros.wording import counted

_COLUMNS = ("x", "y", "z", "rotation x", "rotation y", "rotation z")
_PATH_POINTS = 16
_LEAST_STEPS = 200
"""Quantiles of 1 % of fewer steps are single steps."""
_LEAST_EPISODES = 20


def outliers(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Finding]:
    """Actions far outside the quantiles of all actions."""
    rows = np.concatenate([track.actions[:, :6] for track in tracks])
    if len(rows) < _LEAST_STEPS:
        return
    low, high = np.quantile(rows, [0.01, 0.99], axis=0)
    span = np.maximum(high - low, _least_span(tracks[0], limits))
    for track in tracks:
        actions = track.actions[:, :6]
        beyond = np.maximum(actions - high, low - actions) / span
        far = beyond > limits.outlier_spans
        if far.any():
            steps = np.flatnonzero(far.any(axis=1))
            names = ", ".join(name for name, column in zip(_COLUMNS, far.T, strict=True) if column.any())
            shown = f"{counted(len(steps), 'action')} up to {beyond.max():.1f} spans outside all others along {names}"
            where = (int(steps[0]), int(steps[-1]))
            yield Finding(code="outlier", severity="warning", episode=track.index, steps=where, text=shown)


def duplicates(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Finding]:
    """Episodes whose numbers agree bit for bit, and those whose motion and pictures nearly do."""
    groups: dict[bytes, list[Track]] = {}
    for track in tracks:
        groups.setdefault(_numbers(track), []).append(track)
    for first, *copies in groups.values():
        for copy in copies:
            shown = f"every action and measurement equals episode {first.index}'s"
            if copy.instruction != first.instruction:
                shown += f", under another instruction: {copy.instruction!r} and {first.instruction!r}"
            yield Finding(code="duplicate_episode", severity="error", episode=copy.index, text=shown)
    originals = [first for first, *_ in groups.values()]
    for first, second in _near(originals, limits):
        shown = f"motion and pictures are almost those of episode {first.index}"
        yield Finding(code="near_duplicate", severity="warning", episode=second.index, text=shown)


def instructions(tracks: Sequence[Track], limits: Thresholds) -> Iterator[Finding]:
    """Instructions that look like slips of the keyboard, are rare, or do not vary."""
    counts = Counter(track.instruction for track in tracks)
    for text in counts:
        if text != " ".join(text.split()):
            yield _instruction(f"{text!r} has spaces at its ends, or several in a row", "warning")
        if any(not character.isprintable() for character in text.strip()):
            yield _instruction(f"{text!r} has characters that cannot be printed", "warning")
    ordered = sorted(counts, key=_plain)
    for _, alike in groupby(ordered, key=_plain):
        wordings = list(alike)
        if len(wordings) > 1:
            shown = "; ".join(f"{text!r} {counted(counts[text], 'time')}" for text in wordings)
            yield _instruction(f"differ in letter case, spaces or full stops only: {shown}", "warning")
    if len(counts) == 1 and len(tracks) >= _LEAST_EPISODES:
        shown = f"all {len(tracks)} episodes have one instruction: a policy may learn not to read it"
        yield _instruction(shown, "note")
    for text, count in counts.items():
        if len(tracks) >= _LEAST_EPISODES and len(counts) > 1 and count < limits.rare_share * len(tracks):
            yield _instruction(f"{text!r} has {count} of {len(tracks)} episodes", "note")


def unused_instructions(listed: Sequence[str]) -> Iterator[Finding]:
    """Instructions that the dataset lists and that are empty."""
    if any(not text.strip() for text in listed):
        yield _instruction("the dataset lists an empty instruction", "error")


def _numbers(track: Track) -> bytes:
    """Actions and measured state, bit for bit; pictures are encoded anew by a copy, and stamps may be shifted."""
    arrays = (track.actions, track.ee_position_m, track.ee_quat_xyzw, track.gripper_opening, track.joint_positions_rad)
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def _near(tracks: Sequence[Track], limits: Thresholds) -> Iterator[tuple[Track, Track]]:
    """Pairs of episodes with nearly the same path, gripper and first and last pictures; the earlier one first."""
    moving = [track for track in tracks if track.way_m.sum() > 0.0]
    if len(moving) < 2:
        return
    paths = np.stack([_path(track) for track in moving])
    for i, j in sorted(KDTree(paths).query_pairs(limits.duplicate_m * np.sqrt(_PATH_POINTS))):
        if _looks_alike(moving[i], moving[j], limits):
            yield moving[i], moving[j]


def _path(track: Track) -> FloatArray:
    """Positions at even times, and the duration as a length: a second counts as a centimetre."""
    even = np.linspace(0.0, len(track) - 1.0, _PATH_POINTS)
    path = [np.interp(even, np.arange(len(track)), column) for column in track.ee_position_m.T]
    return np.concatenate([np.concatenate(path), [0.01 * len(track) / track.contract.control_rate_hz]])


def _looks_alike(first: Track, second: Track, limits: Thresholds) -> bool:
    shared = set(first.cameras) & set(second.cameras)
    levels = [np.abs(first.cameras[n].signature - second.cameras[n].signature).mean() for n in shared]
    return bool(levels) and max(levels) < limits.duplicate_levels


def _least_span(track: Track, limits: Thresholds) -> FloatArray:
    """What standing still spans: an axis that is hardly used has no honest quantiles."""
    period_s = track.contract.control_period_s
    return np.repeat([limits.still_speed_m_s * period_s, limits.still_turn_rad_s * period_s], 3)


def _plain(text: str) -> str:
    return " ".join(text.lower().rstrip(". ").split())


def _instruction(text: str, severity: Severity) -> Finding:
    return Finding(code="instruction_suspect", severity=severity, text=text)
