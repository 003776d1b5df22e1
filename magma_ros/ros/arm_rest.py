"""Whether the arm rests, from what the motion node says; no node in here."""

from __future__ import annotations

import time
from collections.abc import Callable

from magma_ros.msg import MotionStatus

_REST_S = 0.25
"""So long it must have said so: it speaks ten times a second [s]."""


class ArmRest:
    """Hears the motion node; times are those of `now_s`."""

    def __init__(self, *, now_s: Callable[[], float] = time.monotonic) -> None:
        """Time what is heard with `now_s` [s], which nobody sets."""
        self._now_s = now_s
        self._heard_s: float | None = None
        self._moved_s = now_s()

    def hear(self, message: MotionStatus) -> None:
        """What the motion node says now."""
        self._heard_s = self._now_s()
        if message.speed_m_s > 0 or message.speed_rad_s > 0:
            self._moved_s = self._heard_s

    def has_lasted(self, *, since_s: float, last_step_s: float) -> bool:
        """Whether the arm came to rest after `since_s`, when its last action was given.

        An arm that interpolates each action itself takes `last_step_s` for the last one, of which the motion node does
        not see the speed. Where no motion node was ever heard, nothing moves the arm.
        """
        if self._heard_s is not None and self._heard_s <= since_s + last_step_s:
            return False
        return self._now_s() - max(self._moved_s, since_s) >= _REST_S + last_step_s
