"""Trials until an interval is narrow enough: when to stop, and an interval that covers although one stopped.

Where looking at an interval decides when to end, no ready interval keeps its promise: for a width of 0.2 and looks
after every 10 of 150 trials, 95 % intervals after Clopper and Pearson cover 94.0 % at the worst success rate, Wilson's
90.5 %. Here the rule is fixed first; then the confidence of an interval after Clopper and Pearson is raised until the
exact coverage of the whole procedure, at every success rate, is what was promised (Chen and Chen 2013, Exact Group
Sequential Methods for Estimating a Binomial Proportion, Journal of Probability and Statistics, 603297; Frey 2010, The
American Statistician 64:242-249).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from magma_ros.errors import InvalidInputError
from magma_ros.sim.statistics import Interval, require_share

MOST_TRIALS = 2_000
"""Beyond this the exact coverage takes too long to work out; a number of trials that is fixed beforehand needs none."""
ERROR_SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Of the allowed error, what each single interval may use up; the first that covers is taken."""

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SequentialResult:
    """Where a sequence of trials ended, and what it says.

    Attributes:
        successes, trials: Until the stop; later trials do not count.
        interval: Of the success rate; covers as often as the plan promises.
        reached_width: False when the trials ran out before the interval was narrow enough.
    """

    successes: int
    trials: int
    interval: Interval
    reached_width: bool


@dataclass(frozen=True, slots=True)
class SequentialPlan:
    """A stopping rule that was fixed before the first trial; `sequential_plan` makes one.

    Attributes:
        width: Wanted distance between the ends of the interval.
        confidence: Promised coverage at every success rate.
        interval_confidence: Of the interval after Clopper and Pearson that keeps the promise.
        worst_coverage: Least exact coverage, over all success rates.
        looks: Numbers of trials after which it may stop; the last one ends it.
        most_rarer: At each look, the most outcomes of the rarer kind at which it stops there; -1 for none.
    """

    width: float
    confidence: float
    interval_confidence: float
    worst_coverage: float
    looks: tuple[int, ...]
    most_rarer: tuple[int, ...]

    def result(self, outcomes: ArrayLike) -> SequentialResult | None:
        """The end of this sequence of trials, or None while more are needed.

        Whatever lies beyond the stop is left out, so that workers which ran ahead change nothing.

        Args:
            outcomes: True for a success, shape (N,), in the order of the seeds without a gap. Not in the order in which
                trials ended: quick ones end first, and are no fair sample. Errors are repeated, not left out.
        """
        successes = np.cumsum(np.asarray(outcomes, bool))
        looks = np.array(self.looks)
        looks = looks[looks <= successes.size]
        counts = successes[looks - 1]
        narrow = np.minimum(counts, looks - counts) <= self.most_rarer[: looks.size]
        if not narrow.any() and looks.size < len(self.looks):
            return None
        stop = int(np.argmax(narrow)) if narrow.any() else len(self.looks) - 1
        low, high = _clopper_pearson(counts[stop], looks[stop], self.interval_confidence)
        return SequentialResult(
            int(counts[stop]), int(looks[stop]), Interval(float(low), float(high)), bool(narrow.any())
        )


def sequential_plan(*, width: float, max_trials: int, look_every: int = 10, confidence: float = 0.95) -> SequentialPlan:
    """Plan trials that end when the interval is at most `width` wide, or after `max_trials`.

    Takes up to a few seconds, most with many trials.

    Args:
        width: Wanted distance between the interval's ends, within (0, 1).
        max_trials: At most so many trials, 1 … MOST_TRIALS.
        look_every: Trials between two looks.
        confidence: Coverage that is promised at every success rate, within (0, 1).

    Raises:
        InvalidInputError: an argument out of its range.
    """
    require_share("width", width)
    require_share("confidence", confidence)
    if not 1 <= max_trials <= MOST_TRIALS:
        raise InvalidInputError(f"max_trials: expected 1 … {MOST_TRIALS}, got {max_trials}")
    if look_every < 1:
        raise InvalidInputError(f"look_every: expected at least 1, got {look_every}")
    looks = np.array([*range(look_every, max_trials, look_every), max_trials], dtype=np.int64)
    for share in ERROR_SHARES:
        each = 1 - share * (1 - confidence)
        most_rarer = _most_rarer(looks, width, each)
        worst = _worst_coverage(looks, most_rarer, each)
        if worst >= confidence:
            break
    else:
        raise InvalidInputError(
            f"confidence {confidence}: not reached with {len(looks)} looks, the worst is {worst:.4f}"
        )
    return SequentialPlan(width, confidence, each, worst, tuple(looks.tolist()), tuple(most_rarer.tolist()))


def _clopper_pearson(successes: ArrayLike, trials: ArrayLike, confidence: float) -> tuple[_Floats, _Floats]:
    """Ends of the intervals of Clopper and Pearson (1934, Biometrika 26:404-413)."""
    k, n = np.asarray(successes), np.asarray(trials)
    tail = (1 - confidence) / 2
    low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1), n - k + 1, tail))
    high = np.where(k == n, 1.0, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail))
    return low, high


def _most_rarer(looks: _Ints, width: float, confidence: float) -> _Ints:
    """At each look the largest k <= n/2 whose interval is narrow enough, by bisection: it widens towards n/2."""
    narrow, wide = np.full_like(looks, -1), looks // 2 + 1
    while np.any(wide - narrow > 1):
        middle = np.clip((narrow + wide) // 2, 0, looks // 2)
        low, high = _clopper_pearson(middle, looks, confidence)
        fits = high - low <= width
        narrow, wide = np.where(fits, middle, narrow), np.where(fits, wide, np.maximum(middle, narrow + 1))
    return narrow


def _ends(looks: _Ints, most_rarer: _Ints) -> tuple[_Ints, _Ints, _Floats]:
    """Every (successes, trials) at which the rule can end, with the logarithm of how many sequences lead there."""
    stops_at = dict(zip(looks.tolist(), most_rarer.tolist(), strict=True))
    log_paths, ends = np.zeros(1), []
    for n in range(1, int(looks[-1]) + 1):
        log_paths = np.logaddexp(np.append(log_paths, -np.inf), np.insert(log_paths, 0, -np.inf))
        k = np.arange(n + 1)
        stopped = np.isfinite(log_paths)
        if n != looks[-1]:
            stopped &= np.minimum(k, n - k) <= stops_at.get(n, -1)
        ends.append((k[stopped], np.full(int(stopped.sum()), n), log_paths[stopped]))
        log_paths[stopped] = -np.inf
    successes, trials, logs = (np.concatenate(parts) for parts in zip(*ends, strict=True))
    return successes, trials, logs


def _worst_coverage(looks: _Ints, most_rarer: _Ints, confidence: float) -> float:
    """Least probability that the reported interval holds the success rate.

    Coverage is smooth between neighbouring ends of intervals and jumps there, so it is taken on both sides of each end
    and halfway between them. Success and failure are treated alike: rates up to 0.5 are enough.
    """
    k, n, log_paths = _ends(looks, most_rarer)
    low, high = _clopper_pearson(k, n, confidence)
    breaks = np.unique(np.concatenate([low, high, [0.5]]))
    breaks = breaks[(breaks > 0) & (breaks <= 0.5)]
    rates = np.concatenate([breaks * (1 - 1e-9), breaks * (1 + 1e-9), (breaks[1:] + breaks[:-1]) / 2])
    worst = 1.0
    for some in np.array_split(rates, 1 + rates.size * k.size // 2_000_000):
        p = some[:, np.newaxis]
        probability = np.exp(log_paths + k * np.log(p) + (n - k) * np.log1p(-p))
        worst = min(worst, float(np.sum(probability, axis=1, where=(low <= p) & (p <= high)).min()))
    return worst
