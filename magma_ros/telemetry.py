"""How long things take, how often they happen and how many were turned away, counted in constant memory."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, deque
from itertools import accumulate

from magma_ros.errors import InvalidInputError

SHORTEST_S = 1e-4
"""Below this a latency is only known to be short [s]."""
LONGEST_S = 30.0
"""Above this a latency is only known to be at most the longest seen [s]."""
NUM_STEPS = 256
RESOLUTION = (LONGEST_S / SHORTEST_S) ** (1 / NUM_STEPS) - 1
"""How much too long a percentile can be, as a share of it: 0.0505 between `SHORTEST_S` and `LONGEST_S`."""
UPPER_EDGES_S: tuple[float, ...] = (
    *(SHORTEST_S * (1 + RESOLUTION) ** step for step in range(NUM_STEPS)),
    LONGEST_S,
    math.inf,
)
"""Largest latency of each bucket [s]: the short ones, then 256 of equal ratio, then the long ones."""
MAX_REASONS = 64
OTHER_REASONS = "(other)"


class LatencyHistogram:
    """Counts of latencies in buckets that never change, so that a day takes as much memory as a second.

    One thread adds; any thread may read a `copy()`. What is negative or not finite, which a clock that was set gives,
    is counted in `num_rejected` and nowhere else.

    Attributes:
        counts: How many fell into each bucket of `UPPER_EDGES_S`.
        total_s: Their sum [s].
        max_s: The longest [s]; after `since`, known as well as a percentile is.
    """

    __slots__ = ("counts", "max_s", "num_rejected", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * len(UPPER_EDGES_S)
        self.total_s = 0.0
        self.max_s = 0.0
        self.num_rejected = 0

    def add(self, latency_s: float) -> None:
        """Count one latency [s]."""
        if not 0.0 <= latency_s < math.inf:
            self.num_rejected += 1
            return
        self.max_s = max(self.max_s, latency_s)
        self.total_s += latency_s
        self.counts[bisect_left(UPPER_EDGES_S, latency_s)] += 1

    @property
    def n(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    @property
    def mean_s(self) -> float:
        """Their mean, exact to rounding [s]; 0 before the first."""
        return self.total_s / self.n if self.n else 0.0

    def percentile(self, percent: float) -> float:
        """The latency that at least `percent` of those counted do not exceed [s]; 0 before the first.

        Never too short. Too long by at most `RESOLUTION` of itself or, if it is below `SHORTEST_S`, up to there.

        Raises:
            InvalidInputError: `percent` is not in 0 … 100.
        """
        if not 0.0 <= percent <= 100.0:
            raise InvalidInputError(f"percentile: expected 0 … 100, got {percent}")
        reached = list(accumulate(self.counts))
        if not reached[-1]:
            return 0.0
        rank = max(1, math.ceil(reached[-1] * percent / 100.0))
        return min(UPPER_EDGES_S[bisect_left(reached, rank)], self.max_s)

    def copy(self) -> LatencyHistogram:
        """The counts of this moment."""
        return self.since(LatencyHistogram())

    def since(self, earlier: LatencyHistogram) -> LatencyHistogram:
        """What was counted after the copy `earlier` of this histogram was made."""
        recent = LatencyHistogram()
        recent.counts = [now - then for now, then in zip(list(self.counts), earlier.counts, strict=True)]
        recent.total_s = self.total_s - earlier.total_s
        recent.num_rejected = self.num_rejected - earlier.num_rejected
        recent.max_s = self.max_s
        if earlier.n:
            recent.max_s = recent.percentile(100.0)
        return recent


class Rate:
    """How often something happened in the last `window_s`, from at most `max_ticks` moments."""

    __slots__ = ("_moments_s", "_window_s")

    def __init__(self, *, window_s: float = 5.0, max_ticks: int = 512) -> None:
        self._moments_s: deque[float] = deque(maxlen=max_ticks)
        self._window_s = window_s

    def tick(self, now_s: float) -> None:
        """It happened now [s]; a clock that went back starts the window again."""
        if self._moments_s and now_s < self._moments_s[-1]:
            self._moments_s.clear()
        self._moments_s.append(now_s)

    def hz(self, now_s: float) -> float:
        """Times in a second [Hz], too low by at most one in the window; 0 with fewer than two in it.

        While it does not happen the answer falls, and is 0 once the window has passed.
        """
        recent_s = [moment_s for moment_s in tuple(self._moments_s) if moment_s > now_s - self._window_s]
        if len(recent_s) < 2 or now_s <= recent_s[0]:
            return 0.0
        return (len(recent_s) - 1) / (now_s - recent_s[0])


class ReasonCounts:
    """How often each reason was given; from the 65th different one on they are counted together, as `(other)`."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, reason: str, n: int = 1) -> None:
        """Count `reason` `n` times more."""
        known = reason in self._counts or len(self._counts) < MAX_REASONS
        self._counts[reason if known else OTHER_REASONS] += n

    def by_reason(self) -> dict[str, int]:
        """Reason → how often, the most frequent first."""
        return dict(self._counts.copy().most_common())
