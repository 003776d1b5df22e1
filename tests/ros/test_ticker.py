"""A steady beat on a thread of its own."""

import subprocess
import sys
import threading
import time

import pytest

from magma_ros.ros.ticker import Ticker


def test_it_ticks_at_its_rate_until_it_is_closed():
    """Ten ticks of 20 ms take 0.18 s, and none comes after `close`."""
    times_s, tenth = [], threading.Event()

    def tick():
        times_s.append(time.monotonic())
        if len(times_s) == 10:
            tenth.set()

    ticker = Ticker(tick, period_s=0.02)
    assert tenth.wait(10)
    ticker.close()
    count = len(times_s)
    assert times_s[9] - times_s[0] == pytest.approx(0.18, abs=0.1)
    time.sleep(0.06)
    assert count == len(times_s)


def test_a_late_tick_is_not_made_up_for():
    """After a tick that took five periods the next one comes at once, and then one a period again."""
    times_s, sixth = [], threading.Event()

    def tick():
        times_s.append(time.monotonic())
        if len(times_s) == 1:
            time.sleep(0.25)
        if len(times_s) == 6:
            sixth.set()

    ticker = Ticker(tick, period_s=0.05)
    assert sixth.wait(10)
    ticker.close()
    assert times_s[5] - times_s[1] >= 0.15


def test_a_tick_that_fails_ends_the_process():
    """A node whose ticks have ended must not go on looking alive: its process is asked to end, as by a signal."""
    child = subprocess.run([sys.executable, "-c", _FAILS], check=False, timeout=60)
    assert child.returncode == 7


_FAILS = """
import signal, sys, time
from magma_ros.ros.ticker import Ticker
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
Ticker(lambda: 1 / 0, period_s=0.01)
time.sleep(60)
"""
