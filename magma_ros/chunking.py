"""From action chunks to one action per tick."""

from __future__ import annotations

import math

from magma_ros.errors import InvalidInputError
from magma_ros.types import Action, ActionChunk

_ROUNDING_SLACK = 1e-6


class RecedingHorizon:
    """Executes the first part of each chunk, then asks again; steps whose time has passed are dropped.

    Action i of a chunk is due i control periods after the chunk's observation. The last action of a fresh chunk is
    never dropped: a late answer is better than none, and how late is too late is the safety filter's to say.
    """

    def __init__(self, execution_horizon: int, *, control_period_s: float) -> None:
        """Execute `execution_horizon` actions of a chunk, one per `control_period_s` [s].

        Raises:
            InvalidInputError: a horizon below 1, or a period that is not a positive number.
        """
        if execution_horizon < 1:
            raise InvalidInputError(f"execution_horizon: expected at least 1, got {execution_horizon}")
        if not (math.isfinite(control_period_s) and control_period_s > 0):
            raise InvalidInputError(f"control_period_s: expected a positive number, got {control_period_s}")
        self.execution_horizon = execution_horizon
        self.control_period_s = control_period_s
        self._chunk: ActionChunk | None = None
        self._next_index = 0
        self._num_executed = 0

    def reset(self) -> None:
        """Forget the chunk."""
        self._chunk, self._next_index, self._num_executed = None, 0, 0

    def needs_chunk(self, now_s: float) -> bool:
        """No action can be given at `now_s` without a new chunk."""
        return self._due_index(now_s) is None

    def push(self, chunk: ActionChunk) -> None:
        """Go on with `chunk` from the next tick; what was left of the previous one is dropped.

        Raises:
            InvalidInputError: its stamp is not a time.
        """
        if not math.isfinite(chunk.stamp_s):
            raise InvalidInputError(f"action chunk: expected a finite stamp, got {chunk.stamp_s}")
        self._chunk, self._next_index, self._num_executed = chunk, 0, 0

    def next_action(self, now_s: float) -> Action | None:
        """The action that is due at `now_s` [s], once; None when a new chunk is needed."""
        index = self._due_index(now_s)
        if self._chunk is None or index is None:
            return None
        self._next_index, self._num_executed = index + 1, self._num_executed + 1
        return self._chunk[index]

    def _due_index(self, now_s: float) -> int | None:
        if self._chunk is None or self._num_executed >= self.execution_horizon:
            return None
        elapsed_s = max(0.0, now_s - self._chunk.stamp_s)
        num_elapsed = math.floor(elapsed_s / self.control_period_s + _ROUNDING_SLACK)
        index = max(self._next_index, num_elapsed)
        if self._num_executed == 0:
            index = min(index, len(self._chunk) - 1)
        return index if index < len(self._chunk) else None
