"""Checks of the times at which the steps of an episode were captured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track, stretches

_WINDOW = 4
"""Intervals over which the rate is measured: jitter averages out, and a gap spoils few of the windows."""


def gaps(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Steps between which frames are missing."""
    period_s = max(track.contract.control_period_s, _typical_period_s(track))
    intervals = np.diff(track.stamps_s)
    for first, last in stretches(intervals >= limits.gap_periods * period_s):
        longest_s = float(intervals[first : last + 1].max())
        yield Finding(
            code="gap",
            severity="error" if longest_s >= limits.long_gap_periods * period_s else "warning",
            episode=track.index,
            steps=(first, last + 1),
            text=f"{longest_s:.3g} s between two steps, {longest_s / period_s:.1f} periods",
        )


def rate(track: Track, limits: Thresholds) -> Iterator[Finding]:
    """Steps at another rate than the contract's, or unevenly spaced."""
    typical, period = _typical_period_s(track), track.contract.control_period_s
    if abs(typical / period - 1.0) > limits.rate_share:
        shown = f"steps come at {1 / typical:.4g} Hz, the contract says {track.contract.control_rate_hz:.4g} Hz"
        yield Finding(code="irregular_rate", severity="error", episode=track.index, text=shown)
    elif len(track) > _WINDOW:
        jitter = float(np.quantile(np.abs(np.diff(track.stamps_s) - typical), 0.8))
        if jitter > limits.jitter_share * typical:
            shown = f"a fifth of the intervals depart from {typical:.3g} s by {jitter:.3g} s or more"
            yield Finding(code="irregular_rate", severity="warning", episode=track.index, text=shown)


def _typical_period_s(track: Track) -> float:
    """Median over short windows; the contract's where there are too few steps to tell."""
    if len(track) <= _WINDOW:
        return track.contract.control_period_s
    return float(np.median(track.stamps_s[_WINDOW:] - track.stamps_s[:-_WINDOW])) / _WINDOW
