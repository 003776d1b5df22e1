"""Loads a policy beside the one that acts, on a thread of its own; no node in here."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from magma_ros.errors import MagmaRosError
from magma_ros.ros.policy_setup import Setup

Prepare = Callable[[str, Callable[[], object], Callable[[], bool]], Setup]
"""Loads the policy of a name: calls what makes room for it just before it takes any, and may ask if it is given up."""


class PolicyLoader:
    """One policy at a time; `begin`, `result` and `abandon` are called on one thread, and none of them waits."""

    def __init__(self, prepare: Prepare, *, log_error: Callable[[str], object]) -> None:
        """Load with `prepare`; what nobody foresaw goes to `log_error` with its traceback."""
        self._prepare, self._log_error = prepare, log_error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="policy loader")
        self._loading: Future[Setup] | None = None
        self._given_up = threading.Event()

    def begin(self, name: str, *, make_room: Callable[[], object]) -> None:
        """Load the policy `name`; `make_room` runs on the thread."""
        self._given_up = threading.Event()
        self._loading = self._thread.submit(self._prepare, name, make_room, self._given_up.is_set)

    def result(self) -> Setup | str | None:
        """The policy, once; why there is none; or None while it is loading."""
        if self._loading is None or not self._loading.done():
            return None
        done, self._loading = self._loading, None
        error = done.exception()
        if error is None:
            return done.result()
        if isinstance(error, MagmaRosError):
            return str(error)
        self._log_error("".join(traceback.format_exception(error)))
        return f"loading failed: {type(error).__name__}: {error}"

    def abandon(self) -> None:
        """Nobody wants what is loading any more: loading ends if it can, else what it brings is closed."""
        self._given_up.set()
        if self._loading is not None:
            self._loading.add_done_callback(_close)
        self._loading = None


def _close(loaded: Future[Setup]) -> None:
    if loaded.exception() is None:
        loaded.result().policy.close()
