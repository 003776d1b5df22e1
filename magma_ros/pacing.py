"""How often a policy is asked: at its control rate, whatever the camera's."""

from __future__ import annotations

import math

from magma_ros.errors import InvalidInputError

_EARLY_SHARE = 0.15
"""A picture that is early by this share of a period is taken: a camera at the control rate jitters."""


class Pacer:
    """Picks pictures by their capture times so that a faster camera does not make a faster policy."""

    def __init__(self, rate_hz: float) -> None:
        """At most `rate_hz` pictures in a second.

        Raises:
            InvalidInputError: a rate that is not a positive number.
        """
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise InvalidInputError(f"rate_hz: expected a positive number, got {rate_hz}")
        self.period_s = 1.0 / rate_hz
        self._taken_s = self._due_s = -math.inf

    @property
    def next_s(self) -> float:
        """Earliest capture time of the next picture that is acted on [s]; minus infinity when any will do."""
        return self._due_s - _EARLY_SHARE * self.period_s

    def reset(self) -> None:
        """The next picture is due."""
        self._taken_s = self._due_s = -math.inf

    def is_due(self, stamp_s: float) -> bool:
        """Whether the picture of `stamp_s` [s] is to be acted on; then the next one is due a period later.

        Times are those of a grid, not of the last picture, so that a camera whose period does not divide the control
        period keeps the rate on average. Time that runs backwards starts afresh.
        """
        if self._taken_s <= stamp_s < self.next_s:
            return False
        is_on_grid = abs(stamp_s - self._due_s) <= _EARLY_SHARE * self.period_s
        self._taken_s, self._due_s = stamp_s, (self._due_s if is_on_grid else stamp_s) + self.period_s
        return True
