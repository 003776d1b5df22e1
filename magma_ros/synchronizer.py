"""Approximate-time synchroniser: messages of several streams whose capture stamps lie close together, as one set.

Judged by stamps alone, so the order of arrival between streams does not matter. The newest complete set is given as
soon as its last message is here; what is older than a set is never used after it. A stream whose clock goes back
(a bag that starts over, a reset simulator, one stamp of the far future before it) starts afresh.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from magma_ros.errors import InvalidInputError

QUEUE_LENGTH = 20
"""Messages of one stream that wait for the others: 0.3 s of a camera of 60 Hz."""

DUPLICATE_STAMP = "duplicate_stamp"
"""The message has the stamp of the one before it."""
CLOCK_BACKWARDS = "clock_backwards"
"""Waited, and then its stream's clock went back."""
QUEUE_FULL = "queue_full"
"""Waited longest in a full queue: the other streams are silent, slow, or of another clock."""
UNMATCHED = "unmatched"
"""Waited, and then a newer message of its stream was used."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Stamped(Generic[Value]):
    """A value and its capture time [s]."""

    stamp_s: float
    value: Value


class Synchronizer(Generic[Value]):
    """Joins the messages of named streams by their stamps.

    Attributes:
        dropped: How many messages were in no set, by the reasons at the top of this module.
    """

    def __init__(self, streams: Sequence[str], *, slop_s: float, queue_length: int = QUEUE_LENGTH) -> None:
        """Make sets of one message of each of `streams` whose stamps differ by at most `slop_s` [s].

        Raises:
            InvalidInputError: no stream, two of one name, a slop below zero, or queues that hold nothing.
        """
        if not streams or len(set(streams)) != len(streams):
            raise InvalidInputError(f"streams: expected at least one, with different names, got {list(streams)}")
        if not slop_s >= 0 or queue_length < 1:
            raise InvalidInputError(f"expected a slop from 0 and queues from 1, got {slop_s} s and {queue_length}")
        self.dropped: Counter[str] = Counter()
        self._slop_s, self._queue_length = slop_s, queue_length
        self._queues: dict[str, deque[Stamped[Value]]] = {stream: deque() for stream in streams}
        self._newest_s: dict[str, float] = {}

    def offer(self, stream: str, stamp_s: float, value: Value) -> dict[str, Stamped[Value]] | None:
        """The set that this message completes, by stream in the order of the constructor; None while there is none.

        Raises:
            InvalidInputError: no such stream.
        """
        if stream not in self._queues:
            raise InvalidInputError(f"stream: expected one of {list(self._queues)}, got {stream!r}")
        newest_s = self._newest_s.get(stream, -float("inf"))
        if stamp_s == newest_s:
            self.dropped[DUPLICATE_STAMP] += 1
            return None
        queue = self._queues[stream]
        if stamp_s < newest_s:
            self.dropped[CLOCK_BACKWARDS] += len(queue)
            queue.clear()
        elif len(queue) == self._queue_length:
            self.dropped[QUEUE_FULL] += 1
            queue.popleft()
        queue.append(Stamped(stamp_s, value))
        self._newest_s[stream] = stamp_s
        return self._newest_set()

    def _newest_set(self) -> dict[str, Stamped[Value]] | None:
        """The set whose oldest stamp is newest, taken off the queues with everything before it.

        No queue held a set before the latest message, so that message is in it.
        """
        if not all(self._queues.values()):
            return None
        starts = sorted({message.stamp_s for queue in self._queues.values() for message in queue}, reverse=True)
        for start_s in starts:
            found = {stream: self._first_since(start_s, stream) for stream in self._queues}
            members = {stream: member for stream, member in found.items() if member is not None}
            if len(members) == len(found) and max(m.stamp_s for m in members.values()) - start_s <= self._slop_s:
                self._take(members)
                return members
        return None

    def _first_since(self, start_s: float, stream: str) -> Stamped[Value] | None:
        return next((message for message in self._queues[stream] if message.stamp_s >= start_s), None)

    def _take(self, members: dict[str, Stamped[Value]]) -> None:
        for stream, member in members.items():
            queue = self._queues[stream]
            while queue.popleft() is not member:
                self.dropped[UNMATCHED] += 1
