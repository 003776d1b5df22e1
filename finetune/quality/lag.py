"""By how many steps one series follows another: correlation at each lag, refined below a step, with its certainty.

Fisher's z makes correlations nearly normal; Bartlett's formula says how many independent samples two series that are
correlated in themselves are worth; the difference of two correlations with one common series is tested after Steiger
(Psychological Bulletin 87, 1980), without his correction for large correlations, which is smaller than the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.types import FloatArray

_LEAST_OVERLAP = 12
"""Samples that a correlation needs: with fewer, a standard deviation of z is above a third."""
_LEAST_REACH = 5
_LARGEST = 0.999
_LEAST_PEERS = 5
_LEAST_COMMON = 0.3
"""Correlation that episodes must have in common before one of them is judged."""
_LEAST_GAIN = 0.15
"""Of z, by which a lag must be better than none in an episode that others are compared with: clean ones gain 0.05."""
_LEAST_SPREAD = 0.1
"""Of a difference of z between episodes, which a handful of them may underestimate; demonstrations give 0.1 to 0.2."""


@dataclass(frozen=True, slots=True, eq=False)
class Correlogram:
    """How a series follows another in one episode, for lags -n … n.

    Attributes:
        values: Correlation of `later[i + lag]` with `earlier[i]` at each lag, (2n+1,).
        echo: Correlation of `earlier` with itself shifted by each lag, (2n+1,).
        num_independent: Independent samples that the series are worth.
    """

    values: FloatArray
    echo: FloatArray
    num_independent: float

    @property
    def reach(self) -> int:
        """The largest lag, n."""
        return len(self.values) // 2


@dataclass(frozen=True, slots=True)
class Lag:
    """By how much a series follows another.

    Attributes:
        steps: Positive where it comes later; refined below a step.
        correlation: At that lag.
        score: By how many standard deviations it explains more than no lag, by itself or as one of many; 0 where no lag
            is best, or the largest that was looked at, which may be no peak.
        num_series: Episodes that it was estimated from.
    """

    steps: float
    correlation: float
    score: float
    num_series: int


def is_certain(found: Lag, limits: Thresholds, *, alone: bool) -> bool:
    """Whether a lag, of one episode alone or of all together, is more than chance."""
    least = limits.lag_score_alone if alone else limits.lag_score
    return found.correlation >= limits.lag_correlation and found.score >= least


def reach_for(rate_hz: float) -> int:
    """Lags that are looked at: up to 0.6 s, and five steps at least."""
    return max(_LEAST_REACH, math.ceil(0.6 * rate_hz))


def correlogram(later: FloatArray, earlier: FloatArray, *, reach: int) -> Correlogram | None:
    """Correlations of two series of vectors, (N, d), at lags up to `reach`; None if too short, or one never changes."""
    num_steps = len(later)
    if num_steps < reach + _LEAST_OVERLAP:
        return None
    later, earlier = (_standard(_without_trend(series, reach)) for series in (later, earlier))
    if not later.any() or not earlier.any():
        return None
    lags = range(-reach, reach + 1)
    values, echo = ([_shifted(series, earlier, lag) for lag in lags] for series in (later, earlier))
    own = np.array([_shifted(later, later, lag) for lag in lags])
    bartlett = max(1.0, float((own * np.array(echo)).sum()))
    return Correlogram(np.array(values), np.array(echo), num_steps / bartlett)


def estimate(curves: Sequence[Correlogram]) -> Lag | None:
    """The lag that `curves`, of one reach, have in common; None where they are worth too little."""
    curves = [curve for curve in curves if curve.num_independent > 4.0]
    if not curves:
        return None
    weights = np.array([curve.num_independent - 3.0 for curve in curves])
    scores = np.arctanh(np.clip([curve.values for curve in curves], -_LARGEST, _LARGEST))
    pooled = weights @ scores / weights.sum()
    best, middle = int(np.argmax(pooled)), curves[0].reach
    is_peak = best not in (0, middle, 2 * middle)
    score = _certainty(curves, weights, scores, best) if is_peak else 0.0
    return Lag(best - middle + _vertex(pooled, best), float(np.tanh(pooled[best])), score, len(curves))


def estimates(curves: Mapping[int, Correlogram]) -> Iterator[tuple[int | None, Lag]]:
    """The lag that episodes have in common (None), then each episode's own, which its peers help to judge.

    One episode of fifty steps is worth some fifteen independent samples, too few to be sure of two steps. But where the
    others agree that there is no lag, one that is better with a lag stands out by its difference to them. Where the
    episodes as a whole show no relation, none of them is judged.
    """
    common = estimate(list(curves.values()))
    if common is None:
        return
    yield None, common
    if common.correlation < _LEAST_COMMON:
        return
    for (index, curve), score in zip(curves.items(), _standing_out(list(curves.values())), strict=True):
        alone = estimate([curve])
        if alone is not None:
            yield index, replace(alone, score=max(alone.score, score if alone.score > 0.0 else 0.0))


def _standing_out(curves: Sequence[Correlogram]) -> FloatArray:
    """By how many robust standard deviations each series gains more from its best lag than the others do; 0 for few."""
    if len(curves) < _LEAST_PEERS:
        return np.zeros(len(curves))
    scores, middle = np.arctanh(np.clip([curve.values for curve in curves], -_LARGEST, _LARGEST)), curves[0].reach
    gains = np.delete(scores, middle, axis=1).max(axis=1) - scores[:, middle]
    spread = 1.4826 * float(np.median(np.abs(gains - np.median(gains))))
    return np.asarray(np.where(gains > _LEAST_GAIN, (gains - np.median(gains)) / max(spread, _LEAST_SPREAD), 0.0))


def _certainty(curves: Sequence[Correlogram], weights: FloatArray, scores: FloatArray, best: int) -> float:
    """Standard deviations by which the best lag is better than none: within the episodes, and from one to the other."""
    gains = scores[:, best] - scores[:, curves[0].reach]
    variances = np.array([2.0 * (1.0 - min(curve.echo[best], 0.9)) for curve in curves]) / weights
    within = float((weights * gains).sum() / math.sqrt((weights**2 * variances).sum()))
    if len(curves) < 5 or not gains.std():
        return within
    return min(within, float(gains.mean() / (gains.std(ddof=1) / math.sqrt(len(curves)))))


def _vertex(values: FloatArray, best: int) -> float:
    """Where the parabola through the best value and its neighbours is highest, -0.5 … 0.5 beside the best."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, at, after = values[best - 1 : best + 2]
    bend = before - 2.0 * at + after
    return 0.0 if bend >= 0.0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def _without_trend(series: FloatArray, reach: int) -> FloatArray:
    """Minus a moving average over twice the lags that are looked at, which reaching and retreating would fill."""
    window = np.hanning(4 * reach + 1)[1:-1]
    weights = np.convolve(np.ones(len(series)), window, "same")[: len(series)]
    trend = [np.convolve(column, window, "same")[: len(series)] / weights for column in series.T]
    return np.asarray(series - np.stack(trend, axis=1))


def _standard(series: FloatArray) -> FloatArray:
    """Without its mean, with a mean squared length of 1; zero where nothing changes."""
    centred = series - series.mean(axis=0)
    size = math.sqrt(float((centred**2).sum(axis=1).mean()))
    return np.asarray(centred / size) if size > 1e-9 else np.zeros_like(centred)


def _shifted(later: FloatArray, earlier: FloatArray, lag: int) -> float:
    """Correlation over the steps that both have."""
    num_common = len(later) - abs(lag)
    first, second = later[max(lag, 0) :][:num_common], earlier[max(-lag, 0) :][:num_common]
    size = math.sqrt(float((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / size) if size > 0.0 else 0.0
