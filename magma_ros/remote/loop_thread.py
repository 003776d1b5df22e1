"""Coroutines for callers that have no event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from magma_ros.errors import PolicyError

_Result = TypeVar("_Result")


class LoopThread:
    """An event loop in a thread of its own, so that connections are probed and closed while nobody asks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote_policy", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of `work`; when the caller is interrupted, `work` is cancelled.

        Raises:
            PolicyError: the thread was closed, before or meanwhile.
        """
        if self._is_closed:
            work.close()
            raise PolicyError("the remote policy was closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise PolicyError("the remote policy was closed before its answer") from None
        finally:
            future.cancel()

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Run `last`, cancel what else runs, then end the thread."""
        if self._is_closed:
            last.close()
            return
        self._is_closed = True
        try:
            asyncio.run_coroutine_threadsafe(self._end(last), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @staticmethod
    async def _end(last: Coroutine[Any, Any, None]) -> None:
        await last
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
