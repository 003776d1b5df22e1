"""Running one node until a signal: the only place that handles SIGINT and SIGTERM.

Launch and a terminal may each send SIGINT, so a node can get it twice; rclpy's own handler would shut the context down
at once and a second KeyboardInterrupt inside `destroy_node` would end the process with a failure. Here a signal only
raises a flag: the callback under way finishes, the node says its last word on a living context, and later signals
change nothing.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Protocol, TypeVar

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import ok, try_shutdown

from magma_ros import exit_codes
from magma_ros.errors import MagmaRosError

_WAKE_S = 0.1
"""Longest time until a signal is noticed on an idle graph [s]."""

_LAST_WORDS = 10
"""Callbacks that may still run after `close`, such as the result of a goal that it ended."""

_SWITCH_INTERVAL_S = 0.0002
"""Longest time that a thread of Python keeps the lock when another wants it [s]; Python's own is 5 ms."""


class Closable(Protocol):
    """A node that has something to do before it is destroyed."""

    def close(self) -> None:
        """Leave the arm still and end every thread; the context is still alive."""
        ...


class StopFlag:
    """Raised by SIGINT and SIGTERM, from the moment it is made until the process ends."""

    def __init__(self) -> None:
        self.is_set = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._raise)

    def ignore_from_now(self) -> None:
        """Drop later signals: while Python shuts down it would give them their default meaning, death by signal."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        self.is_set = True


NodeType = TypeVar("NodeType", bound=Closable)


def run(make_node: Callable[[], NodeType], *, args: Sequence[str] | None = None) -> int:
    """Spin the node that `make_node` builds on one thread until SIGINT or SIGTERM; returns the exit status.

    A `MagmaRosError` while building it is logged and gives `exit_codes.REFUSED`. Nothing but the process's
    exit may follow.
    """
    stop = StopFlag()
    rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    try:
        try:
            node = make_node()
        except MagmaRosError as error:
            get_logger("magma_ros").fatal(str(error))
            return exit_codes.REFUSED
        keep_quick()
        _spin(node, stop)
        return exit_codes.OK
    finally:
        try_shutdown()
        stop.ignore_from_now()


def keep_quick() -> None:
    """Take what is there now out of garbage collection, and let a callback interrupt a busy thread sooner.

    A full collection over a loaded network's objects takes tens of milliseconds, in which no callback runs.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def _spin(node: Closable, stop: StopFlag) -> None:
    assert isinstance(node, Node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stop.is_set and ok():
            executor.spin_once(timeout_sec=_WAKE_S)
    finally:
        node.close()
        for _ in range(_LAST_WORDS):
            executor.spin_once(timeout_sec=0.0)
        executor.shutdown()
        node.destroy_node()
