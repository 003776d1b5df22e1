"""The coming batches, prepared in other threads while the network works on this one, or between its steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


def prepared(make: Callable[[int], _T], steps: Iterable[int], *, threads: int) -> Iterator[_T]:
    """`make(step)` for each step, in order; a few are made ahead, or none by the caller's own thread if `threads` is 0.

    Which thread makes one, and when, changes nothing as long as `make` depends on its step alone. An error of `make` is
    raised in its step's turn.
    """
    if threads == 0:
        yield from map(make, steps)
        return
    waiting: deque[Future[_T]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="loader") as pool:
        try:
            for step in steps:
                waiting.append(pool.submit(make, step))
                if len(waiting) > threads + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
