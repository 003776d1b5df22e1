"""What other processes import: a worker, and a parent that is killed."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.in_order import InOrder


class Squarer:
    """Squares numbers; ends its process at a negative one."""

    def __init__(self, diary: Path | None = None) -> None:
        self.is_closed = False
        self._diary = diary

    def __call__(self, item: int, /) -> tuple[int, int]:
        """The square, and who made it."""
        if item < 0:
            os._exit(3)
        return item**2, os.getpid()

    def close(self) -> None:
        """It can be seen that this was called."""
        self.is_closed = True
        if self._diary is not None:
            (self._diary / str(os.getpid())).touch()


class Refuser:
    """Squares numbers; refuses a negative one."""

    def __call__(self, item: int, /) -> int:
        """The square."""
        if item < 0:
            raise InvalidInputError(f"expected 0 or more, got {item}")
        return item**2

    def close(self) -> None:
        """It holds nothing."""


def work_and_die(connection: Connection) -> None:
    """As a process of its own: tell who the workers are, wait for a word, and be killed."""
    with closing(InOrder(Squarer, workers=2, error=EnvError)) as row:
        connection.send({pid for _, pid in row.map(range(20))})
        connection.recv()
        os.kill(os.getpid(), signal.SIGKILL)
