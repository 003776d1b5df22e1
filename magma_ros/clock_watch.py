"""A clock that was set: found beside one that nobody sets."""

from __future__ import annotations

_LARGEST_GAIN_S = 0.5
"""The watched clock may gain this on the steady one between two calls before that is a jump [s]."""


class ClockWatch:
    """Compares a clock with a steady one at one moment after the other."""

    def __init__(self) -> None:
        self._last_s: tuple[float, float] | None = None

    def forget(self) -> None:
        """Nothing is compared with what was before."""
        self._last_s = None

    def jump_s(self, now_s: float, steady_s: float | None) -> float | None:
        """What the clock gained since the last call, if that is more than time can pass; None if it is not [s].

        Args:
            now_s: The watched clock [s].
            steady_s: One that nobody sets [s]; None when the time is simulated and may run at any speed.
        """
        last_s, self._last_s = self._last_s, (now_s, steady_s or 0.0)
        if last_s is None:
            return None
        gained_s = now_s - last_s[0]
        if steady_s is not None:
            gained_s -= steady_s - last_s[1]
        return gained_s if now_s < last_s[0] or abs(gained_s) > _LARGEST_GAIN_S else None
