"""Checks that numbers are in the units and forms that an episode promises: radians, metres, unit quaternions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from magma_ros.finetune.quality import lag
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track
from magma_ros.types import FloatArray
from magma_ros.wording import counted

_FEW_RAD_PER_STEP = np.pi
"""A rotation vector is never longer; half a turn within a step is nothing that an arm does."""


def joints(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Joint positions in degrees."""
    if track.joint_positions_rad.size and (largest := np.abs(track.joint_positions_rad).max()) > limits.joint_range_rad:
        shown = f"joint positions up to {largest:.4g} rad, which is {largest / (2 * np.pi):.1f} turns: degrees?"
        yield _suspect(track, shown)


def positions(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """End-effector positions in millimetres or centimetres."""
    farthest = float(np.linalg.norm(track.ee_position_m, axis=1).max())
    if farthest > limits.reach_m:
        yield _suspect(track, f"the end effector is measured {farthest:.4g} m from its base: millimetres?")


def quaternions(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Orientations that are no unit quaternions: Euler angles in their columns, or nothing."""
    norms = np.linalg.norm(track.ee_quat_xyzw, axis=1)
    off = np.flatnonzero(np.abs(norms - 1.0) > limits.quat_norm)
    if len(off):
        found = f"norms of {norms[off].min():.3g} to {norms[off].max():.3g}"
        yield _suspect(track, f"the quaternions of {counted(len(off), 'step')} have {found}")


def actions(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Actions in another unit than the measured motion that follows them."""
    longest = float(np.linalg.norm(track.actions[:, 3:6], axis=1).max())
    turns = _gain(track.actions[:-1, 3:6], track.rotation_rad, track, limits, least=limits.still_turn_rad_s)
    if longest > _FEW_RAD_PER_STEP or not 1.0 / limits.unit_gain < turns < limits.unit_gain:
        shown = f"rotations of up to {longest:.4g} rad in one step"
        yield _suspect(track, f"{shown}, {turns:.3g} times what is measured: degrees for radians, or the reverse?")
    ways = _gain(track.actions[:-1, :3], track.translation_m, track, limits, least=limits.still_speed_m_s)
    if not 1.0 / limits.unit_gain < ways < limits.unit_gain:
        shown = f"translations are {ways:.3g} times what is measured"
        yield _suspect(track, f"{shown}: millimetres for metres, or the reverse?")


def _gain(commanded: FloatArray, measured: FloatArray, track: Track, limits: Thresholds, *, least: float) -> float:
    """Size of commanded over measured displacement where one follows the other; 1 where that cannot be said."""
    reach = lag.reach_for(track.contract.control_rate_hz)
    curve = lag.correlogram(measured, commanded, reach=reach)
    if curve is None or curve.values.max() < limits.lag_correlation:
        return 1.0
    if _score(curve, commanded, measured) < limits.unit_score:
        return 1.0
    sizes = [float(np.sqrt((series**2).sum(axis=1).mean())) for series in (commanded, measured)]
    if max(sizes) < least * track.contract.control_period_s or not all(sizes):
        return 1.0
    return sizes[0] / sizes[1]


def _score(curve: lag.Correlogram, commanded: FloatArray, measured: FloatArray) -> float:
    """Standard deviations of Fisher's z by which two series, (N, 3), agree more at their best lag than unrelated ones.

    Their correlation varies less the more directions they go in: between axes that are alike and independent, it is
    worth three times as many samples as along one.
    """
    first, second = commanded - commanded.mean(axis=0), measured - measured.mean(axis=0)
    common = float(((first.T @ first) * (second.T @ second)).sum())
    directions = float((first**2).sum() * (second**2).sum()) / common if common else 1.0
    num_independent = directions * curve.num_independent
    return float(np.arctanh(min(0.999, curve.values.max())) * np.sqrt(max(0.0, num_independent - 3.0)))


def _suspect(track: Track, text: str) -> Finding:
    return Finding(code="units_suspect", severity="error", episode=track.index, text=text)
