"""Two policies on the same seeds: is one better, by how much, and how many pairs would show it.

A pair is one initial state that both policies were judged on. What both solve, or neither, shows no difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm

from magma_ros.errors import InvalidInputError
from magma_ros.sim.statistics import Interval, require_share

_InitialState = TypeVar("_InitialState", bound=Hashable)

MOST_PAIRS = 100_000
"""A difference that asks for more is out of reach of any simulation here."""


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Outcomes of two policies on the same initial states.

    Attributes:
        both, only_first, only_second, neither: Pairs in which these policies succeeded.
        num_unpaired: Trials whose counterpart was not judged; they are left out.
        p_value: Of McNemar's exact test that both succeed equally often, two-sided.
        confidence: Of `interval`.
        interval: Of `difference`, after Tango.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    num_unpaired: int
    p_value: float
    confidence: float
    interval: Interval

    @property
    def pairs(self) -> int:
        """Initial states on which both were judged."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def first_rate(self) -> float:
        """Success rate of the first policy over the pairs, 0 … 1."""
        return (self.both + self.only_first) / self.pairs

    @property
    def second_rate(self) -> float:
        """Success rate of the second policy over the pairs, 0 … 1."""
        return (self.both + self.only_second) / self.pairs

    @property
    def difference(self) -> float:
        """Rate of the first minus rate of the second, -1 … 1."""
        return (self.only_first - self.only_second) / self.pairs


def compare_paired(
    first: Mapping[_InitialState, bool], second: Mapping[_InitialState, bool], *, confidence: float = 0.95
) -> PairedComparison:
    """Compare two policies, trial by trial.

    Test and interval are found by different approximations of the same question: near p = 0.05 one may exclude zero and
    the other not.

    Args:
        first: True for a success, of each judged trial, by what names its initial state, such as (task, seed).
        second: Likewise.
        confidence: Of the interval, within (0, 1).

    Raises:
        InvalidInputError: no initial state that both were judged on.
    """
    shared = first.keys() & second.keys()
    if not shared:
        raise InvalidInputError(
            f"pairs: expected trials of the same initial states, got {len(first)} and {len(second)} with none in common"
        )
    both = sum(first[key] and second[key] for key in shared)
    only_first = sum(first[key] and not second[key] for key in shared)
    only_second = sum(second[key] and not first[key] for key in shared)
    return PairedComparison(
        both=both,
        only_first=only_first,
        only_second=only_second,
        neither=len(shared) - both - only_first - only_second,
        num_unpaired=len(first) + len(second) - 2 * len(shared),
        p_value=mcnemar_p_value(only_first, only_second),
        confidence=confidence,
        interval=tango_interval(only_first, only_second, len(shared), confidence=confidence),
    )


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test: are the pairs that differ a fair coin's throws?

    McNemar 1947, Psychometrika 12:153-157; exact as in Mosteller 1952, Biometrics 8:220-226. 1 when no pair differs.

    Raises:
        InvalidInputError: a count below 0.
    """
    _require_counts(only_first, only_second, only_first + only_second)
    return min(1.0, 2 * float(binom.cdf(min(only_first, only_second), only_first + only_second, 0.5)))


def tango_interval(only_first: int, only_second: int, pairs: int, *, confidence: float = 0.95) -> Interval:
    """Score interval of the difference between two paired rates, first minus second.

    Tango 1998, Statistics in Medicine 17:891-908; recommended by Fagerland, Lydersen and Laake 2014, in the same
    journal, 33:2850-2875. It does not collapse when no pair differs.

    Args:
        only_first: Pairs in which the first policy alone succeeded.
        only_second: In which the second alone did.
        pairs: All pairs, at least one.
        confidence: Wanted coverage, within (0, 1).

    Raises:
        InvalidInputError: an argument out of its range.
    """
    require_share("confidence", confidence)
    _require_counts(only_first, only_second, pairs)
    if pairs == 0:
        raise InvalidInputError("pairs: expected at least one, got none")
    z, difference, least = float(norm.ppf(0.5 + confidence / 2)), (only_first - only_second) / pairs, 1e-12

    def excess(hypothesis: float, bound: float) -> float:
        return _tango_score(hypothesis, only_first, only_second, pairs) - bound

    low = -1.0 if only_second == pairs else float(brentq(excess, -1 + least, difference - least, args=(z,)))
    high = 1.0 if only_first == pairs else float(brentq(excess, difference + least, 1 - least, args=(-z,)))
    return Interval(low, high)


def mcnemar_power(pairs: int, *, only_first: float, only_second: float, significance: float = 0.05) -> float:
    """Probability that McNemar's exact test finds the difference, worked out over all numbers of differing pairs.

    Args:
        pairs: Initial states that both policies are run from.
        only_first: Probability that the first policy alone succeeds on a pair.
        only_second: That the second alone does; together at most 1.
        significance: Largest p-value that counts as found, within (0, 1).

    Raises:
        InvalidInputError: an argument out of its range.
    """
    require_share("significance", significance)
    differing = only_first + only_second
    if pairs < 1 or min(only_first, only_second) < 0 or not 0 < differing <= 1:
        raise InvalidInputError(
            f"power: expected pairs >= 1 and probabilities that are together within (0, 1], "
            f"got {pairs} pairs, {only_first} and {only_second}"
        )
    count = np.arange(pairs + 1)
    least = binom.ppf(significance / 2, count, 0.5)
    least -= binom.cdf(least, count, 0.5) > significance / 2
    share = only_first / differing
    found = binom.cdf(least, count, share) + binom.sf(count - least - 1, count, share)
    return float(binom.pmf(count, pairs, differing) @ found)


def pairs_for_difference(
    first_rate: float,
    second_rate: float,
    *,
    differing: float | None = None,
    power: float = 0.8,
    significance: float = 0.05,
) -> int:
    """Number of pairs from which McNemar's exact test finds a difference of rates with the wanted power.

    Args:
        first_rate: Success rate that is expected of the first policy, 0 … 1.
        second_rate: Of the second.
        differing: Share of pairs with different outcomes. None takes that of policies whose outcomes have nothing to do
            with each other; what is hard for one is usually hard for the other, and fewer pairs do.
        power: Wanted probability of finding it, within (0, 1).
        significance: Largest p-value that counts as found, within (0, 1).

    Raises:
        InvalidInputError: an argument out of its range, equal rates, or more than MOST_PAIRS pairs.
    """
    require_share("power", power)
    difference = first_rate - second_rate
    if not (0 <= first_rate <= 1 and 0 <= second_rate <= 1 and difference != 0):
        raise InvalidInputError(f"rates: expected two different ones within 0 … 1, got {first_rate} and {second_rate}")
    if differing is None:
        differing = first_rate * (1 - second_rate) + second_rate * (1 - first_rate)
    largest = min(first_rate + second_rate, 2 - first_rate - second_rate)
    if not abs(difference) - 1e-9 <= differing <= largest + 1e-9:
        raise InvalidInputError(f"differing: expected {abs(difference):.3f} … {largest:.3f}, got {differing}")
    only_first, only_second = max(0.0, (differing + difference) / 2), max(0.0, (differing - difference) / 2)

    def finds(pairs: int) -> bool:
        chance = mcnemar_power(pairs, only_first=only_first, only_second=only_second, significance=significance)
        return chance >= power

    return _least(finds)


def _least(enough: Callable[[int], bool]) -> int:
    """Smallest number that is enough, by doubling and bisection."""
    high = 1
    while not enough(high):
        if high >= MOST_PAIRS:
            raise InvalidInputError(
                f"pairs: expected at most {MOST_PAIRS} for this difference and power, more are needed"
            )
        high = min(2 * high, MOST_PAIRS)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _tango_score(hypothesis: float, only_first: int, only_second: int, pairs: int) -> float:
    """Standardised distance of the seen difference from `hypothesis`, with the likeliest probabilities under it."""
    b, c, n = only_first, only_second, pairs
    linear = -b - c + (2 * n - b + c) * hypothesis
    constant = -c * hypothesis * (1 - hypothesis)
    second_alone = (math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * second_alone + hypothesis * (1 - hypothesis))
    return (b - c - n * hypothesis) / math.sqrt(max(variance, 1e-300))


def _require_counts(only_first: int, only_second: int, pairs: int) -> None:
    if min(only_first, only_second) < 0 or only_first + only_second > pairs:
        raise InvalidInputError(
            f"pairs: expected counts >= 0, together at most all pairs, got {only_first} and {only_second} of {pairs}"
        )
