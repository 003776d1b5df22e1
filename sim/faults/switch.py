"""A fault that one process orders and another carries out, through a mapped file: no fault can hold the order up."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

from magma_ros.errors import EnvError

_SIZE, _NAME_AT = 128, 16
_BEGAN = struct.Struct("<d")
_BEGAN_AT = 8
_POLL_S = 0.001


class Switch:
    """One order at a time; byte 0 is the length of its name and is written last, so that no half name is read.

    Times are of CLOCK_MONOTONIC, which all processes of a machine share [s].
    """

    def __init__(self, file: Path) -> None:
        """Share `file`, which is made where there is none."""
        if not file.exists():
            file.write_bytes(bytes(_SIZE))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _SIZE)

    def order(self, fault: str) -> None:
        """Ask for `fault` from now on; an empty one ends it."""
        name = fault.encode("ascii")
        assert len(name) <= _SIZE - _NAME_AT
        self._memory[0] = 0
        _BEGAN.pack_into(self._memory, _BEGAN_AT, 0.0)
        self._memory[_NAME_AT : _NAME_AT + len(name)] = name
        self._memory[0] = len(name)

    @property
    def ordered(self) -> str:
        """The fault that is wanted; empty when none is."""
        return bytes(self._memory[_NAME_AT : _NAME_AT + self._memory[0]]).decode("ascii")

    def begin(self, fault: str) -> None:
        """Note that `fault` is there now; only the first call after its order counts.

        Who looked for an order just before it came has not carried it out yet, and does not know of it.
        """
        if fault and fault == self.ordered and self._began_s == 0.0:
            _BEGAN.pack_into(self._memory, _BEGAN_AT, time.monotonic())

    @property
    def _began_s(self) -> float:
        began_s: float = _BEGAN.unpack_from(self._memory, _BEGAN_AT)[0]
        return began_s

    def wait_until_begun(self, *, timeout_s: float = 2.0) -> float:
        """When the ordered fault began [s].

        Raises:
            EnvError: it did not within `timeout_s`.
        """
        end_s = time.monotonic() + timeout_s
        while self._began_s == 0.0:
            if time.monotonic() > end_s:
                raise EnvError(f"fault {self.ordered!r}: expected to begin within {timeout_s} s, it did not")
            time.sleep(_POLL_S)
        return self._began_s
