"""A worker that other processes import."""

from __future__ import annotations

import os


class Squarer:
    """Squares numbers; ends its process at a negative one."""

    def __init__(self) -> None:
        self.is_closed = False

    def __call__(self, item: int, /) -> tuple[int, int]:
        """The square, and who made it."""
        if item < 0:
            os._exit(3)
        return item**2, os.getpid()

    def close(self) -> None:
        """It can be seen that this was called."""
        self.is_closed = True
