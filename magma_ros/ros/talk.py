"""One question on its way: the policy's thread finds the answer piece by piece, the executor's looks how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

Ask = Callable[[], Iterator[str]]
"""Begins to answer; the first piece may take as long as an inference."""


class Talk:
    """A question and what was said so far; `advance` belongs to one thread, everything else to any.

    Attributes:
        text: The answer so far.
        ended: Set when nothing more will be said.
        fault: Why the answer is not whole, once it has ended; empty for a whole one.
    """

    def __init__(self, ask: Ask) -> None:
        """Answer with `ask`, once somebody has time to."""
        self._ask: Ask | None = ask
        self._pieces: Iterator[str] | None = None
        self._ending = threading.Lock()
        self.text, self.fault = "", ""
        self.ended = threading.Event()

    @property
    def is_first(self) -> bool:
        """Whether nothing was said yet, so that the next piece begins with reading the question."""
        return self._pieces is None

    def advance(self) -> None:
        """Find the next piece, or the end of the answer.

        Raises:
            MagmaRosError: what the policy raised.
        """
        if self._pieces is None:
            assert self._ask is not None
            self._pieces, self._ask = self._ask(), None
        piece = next(self._pieces, None)
        if piece is None:
            self.end("")
        else:
            self.text += piece

    def end(self, fault: str) -> None:
        """Say nothing more; the first reason counts."""
        with self._ending:
            if not self.ended.is_set():
                self.fault = fault
                self.ended.set()
