"""A thread that calls something at a steady rate, whatever the executor is busy with."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable


class Ticker:
    """Calls once a period of the steady clock; what is missed is not made up for.

    A timer of rclpy waits for the executor: for each callback before it, and most of a millisecond at every wake-up.
    """

    def __init__(self, tick: Callable[[], None], *, period_s: float) -> None:
        """Begin to call `tick` every `period_s` [s]; when it raises, this process is asked to end (SIGTERM)."""
        self._tick, self._period_s = tick, period_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End after the call under way; none follows."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            due_s = time.monotonic()
            while not self._closing.wait(max(0.0, due_s - time.monotonic())):
                self._tick()
                due_s = max(due_s + self._period_s, time.monotonic())
        finally:
            if not self._closing.is_set():  # without its ticks, a node that lived on would only look alive
                os.kill(os.getpid(), signal.SIGTERM)
