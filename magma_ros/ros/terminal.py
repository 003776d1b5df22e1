"""Single keys from the terminal that a process runs in."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import tty

from magma_ros.errors import TeleopError

_MOST_KEYS = 64
_OTHER_KEY = "\0"
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)")
"""Arrows, function keys and the like, as terminals write them (ECMA-48)."""
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?$")


class Terminal:
    """Hands out keys as they are pressed, unseen; Ctrl-C keeps its meaning.

    Attributes:
        is_closed: Nobody can press a key any more.
    """

    def __init__(self) -> None:
        """Take over standard input.

        Raises:
            TeleopError: it is no terminal.
        """
        self.is_closed = False
        self._begun = ""
        self._file = sys.stdin.fileno()
        if not os.isatty(self._file):
            raise TeleopError(
                "keyboard: expected a terminal as standard input, which `ros2 launch` gives to no node: "
                "use `ros2 run magma_ros teleop_node`, or teleop.launch.py with terminal:='xterm -e'"
            )
        self._before = termios.tcgetattr(self._file)
        tty.setcbreak(self._file)

    def read(self) -> str:
        """What was pressed since the last time, one character for each key; never waits."""
        found = b""
        while not self.is_closed and select.select([self._file], [], [], 0.0)[0]:
            read = self._read()
            self.is_closed = not read
            found += read
        return self._keys(found.decode("ascii", errors="replace"))

    def close(self) -> None:
        """Give the terminal back as it was."""
        if not self.is_closed:
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def _keys(self, text: str) -> str:
        """`text` with one character for each sequence; what may be the beginning of one waits for the next call."""
        begun, self._begun = self._begun, ""
        if not text:
            return _OTHER_KEY if begun else ""
        keys = _SEQUENCE.sub(_OTHER_KEY, begun + text)
        rest = _BEGUN.search(keys)
        if rest is not None:
            self._begun = rest.group()
        return keys.removesuffix(self._begun)

    def _read(self) -> bytes:
        """Nothing means that the terminal is gone."""
        try:
            return os.read(self._file, _MOST_KEYS)
        except OSError:  # what a terminal answers whose other end was closed
            return b""
