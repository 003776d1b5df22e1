"""How long a run has taken, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable


class TrainingClock:
    """Time of a run over all of its starts, and how many samples its steps take in a second.

    Attributes:
        earlier_s: What the starts before this one took [s].
    """

    def __init__(self, batch_size: int, *, now: Callable[[], float] = time.perf_counter) -> None:
        """A start of the run begins now, with its first step; `batch_size` counts the samples of each."""
        self.earlier_s = 0.0
        self._batch_size, self._now = batch_size, now
        self._started_s = self._step_began_s = now()
        self._lately_s, self._num_lately = 0.0, 0

    @property
    def elapsed_s(self) -> float:
        """Of all starts until this moment, with loading, reading, validation and saving [s]."""
        return self.earlier_s + self._now() - self._started_s

    def begin_step(self) -> None:
        """From here on time belongs to a step: first it waits for its batch."""
        self._step_began_s = self._now()

    def end_step(self) -> None:
        """The step has been taken; what follows is none of its time."""
        self._lately_s += self._now() - self._step_began_s
        self._num_lately += 1

    def figures(self) -> dict[str, float]:
        """All time, and samples per second of the steps since the last call, waiting for their batches included."""
        rate = self._num_lately * self._batch_size / self._lately_s
        self._lately_s, self._num_lately = 0.0, 0
        return {"elapsed_s": round(self.elapsed_s, 3), "samples_per_s": round(rate, 2)}
