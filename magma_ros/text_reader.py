"""Reading a text of a fixed form from its beginning to its end; every fault names its place."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NoReturn

from magma_ros.errors import MarkTextError

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_MOST_DIGITS = 9
_MOST_SHOWN = 24


class TextReader:
    """Where in a text a reader is; white space around the text is nothing.

    Every method raises `MarkTextError` where the text goes on otherwise.
    """

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._at = len(self._text) - len(self._text.lstrip())

    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._text)

    def skip(self, wanted: str) -> bool:
        """Whether `wanted` comes next, which is then behind."""
        if not self._text.startswith(wanted, self._at):
            return False
        self._at += len(wanted)
        return True

    def expect(self, wanted: str) -> None:
        """Go past `wanted`."""
        if not self.skip(wanted):
            self._fail(repr(wanted))

    def expect_end(self) -> None:
        """Make sure that nothing is left."""
        if not self.is_at_end():
            self._fail("the end of the text")

    def integer(self, lowest: int, highest: int, *, unlike: Collection[int] = ()) -> int:
        """Go past a whole number from `lowest` to `highest`, in ASCII digits, no leading zeros, not in `unlike`."""
        found = _INTEGER.match(self._text, self._at)
        if found is None or len(found.group()) > _MOST_DIGITS or not lowest <= int(found.group()) <= highest:
            self._fail(f"a whole number from {lowest} to {highest}")
        if int(found.group()) in unlike:
            self._fail(f"a number other than {sorted(unlike)}")
        self._at = found.end()
        return int(found.group())

    def _fail(self, wanted: str) -> NoReturn:
        rest = self._text[self._at :]
        got = shown(rest) if rest else "the end of the text"
        raise MarkTextError(f"character {self._at}: expected {wanted}, got {got}")


def shown(text: str) -> str:
    """The beginning of `text` in quotes, for a message."""
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")
