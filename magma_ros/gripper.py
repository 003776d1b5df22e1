"""When a wanted gripper opening becomes a goal: hysteresis against noise, dwell against chatter."""

from __future__ import annotations

import math

from magma_ros.arm import Gripper
from magma_ros.errors import InvalidInputError

_ROUNDING = 1e-9  # of differences: 0.7 - 0.5 is a change of 0.2


class GripperFilter:
    """Goals of one gripper; all times are in one clock of the caller's.

    `offer` takes what an action wants, `tick` is called between actions. Both return the joint's position of a new
    goal, or None. A wanted opening becomes a goal when it is `hysteresis` or more from the last goal, and `dwell_s` or
    more after it. One that comes too soon is kept: the *last* one wanted becomes the goal at the first call after the
    dwell, unless it is near the last goal again by then. The first one offered is a goal at once.

    While the arm is held call `drop` in the place of `tick`, so that nothing of before moves the gripper afterwards.

    Attributes:
        num_suppressed: Offers that were a change and came too soon.
    """

    def __init__(self, gripper: Gripper) -> None:
        self._gripper = gripper
        self.num_suppressed = 0
        self.reset()

    def reset(self) -> None:
        """Forget the last goal and what was wanted; the next offer is a goal at once."""
        self._goal: float | None = None
        self._goal_s = self._now_s = -math.inf
        self._wanted: float | None = None

    def drop(self) -> None:
        """Forget an opening that waits for its time; what the gripper was last told stays."""
        self._wanted = self._goal

    def offer(self, opening: float, now_s: float) -> float | None:
        """Want `opening` from now on; the joint's position if that is a new goal, in the gripper's unit.

        Args:
            opening: 0 closed … 1 open.
            now_s: The present [s].

        Raises:
            InvalidInputError: an opening outside 0 … 1, a time that is not finite or runs backwards.
        """
        if not 0.0 <= opening <= 1.0:
            raise InvalidInputError(f"gripper opening: expected 0 (closed) to 1 (open), got {opening!r}")
        self._advance(now_s)
        self._wanted = opening
        self.num_suppressed += self._is_change() and not self._is_over(now_s)
        return self._next(now_s)

    def tick(self, now_s: float) -> float | None:
        """The joint's position of the opening that had to wait, once its time has come.

        Raises:
            InvalidInputError: a time that is not finite or runs backwards.
        """
        self._advance(now_s)
        return self._next(now_s)

    def _next(self, now_s: float) -> float | None:
        if not (self._is_change() and self._is_over(now_s)):
            return None
        self._goal, self._goal_s = self._wanted, now_s
        assert self._goal is not None
        closed, opened = self._gripper.closed_position, self._gripper.open_position
        return closed + (opened - closed) * self._goal

    def _is_change(self) -> bool:
        if self._wanted is None or self._wanted == self._goal:
            return False
        return self._goal is None or abs(self._wanted - self._goal) >= self._gripper.hysteresis - _ROUNDING

    def _is_over(self, now_s: float) -> bool:
        return now_s - self._goal_s >= self._gripper.dwell_s - _ROUNDING

    def _advance(self, now_s: float) -> None:
        if not (math.isfinite(now_s) and now_s >= self._now_s):
            raise InvalidInputError(f"now_s: expected a finite time of {self._now_s} or later, got {now_s!r}")
        self._now_s = now_s
