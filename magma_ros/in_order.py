"""Work on a row of items in several processes or on a Ray cluster, with the results in the order of the items."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.util import Finalize
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar

from magma_ros import ray_cluster
from magma_ros.errors import MagmaRosError

Item_contra = TypeVar("Item_contra", contravariant=True)
Made_co = TypeVar("Made_co", covariant=True)
Item = TypeVar("Item")
Made = TypeVar("Made")


class Worker(Protocol[Item_contra, Made_co]):
    """Makes something of one item after the other."""

    def __call__(self, item: Item_contra, /) -> Made_co:
        """What is made of `item`, whatever came before it."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class InOrder(Generic[Item, Made]):
    """Workers in processes of their own, each with what `make_worker` made there; a single one works in this one."""

    def __init__(
        self, make_worker: Callable[[], Worker[Item, Made]], *, workers: int, error: type[MagmaRosError]
    ) -> None:
        """Start them; with more than one, `make_worker`, the items and the results must pickle.

        Args:
            make_worker: Makes the worker of a process.
            workers: Processes; 1 is this one.
            error: What is raised when a process ends by itself.
        """
        self._error = error
        self._here = make_worker() if workers <= 1 else None
        self._num_ahead = 2 * workers
        self._pool = (
            None
            if self._here is not None
            else ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(make_worker,))
        )

    def map(self, items: Iterable[Item]) -> Generator[Made, None, None]:
        """What was made of each item, in their order; a few are worked on ahead, and dropped when this is closed.

        Raises:
            MagmaRosError: as the worker, or as `error`: a worker's process ended.
        """
        if self._pool is None:
            assert self._here is not None
            yield from map(self._here, items)
            return
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(_work, item))
                if len(waiting) > self._num_ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise self._error(f"a worker's process ended by itself; {_GO_ON}") from error
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """End the workers; what they are at is finished first."""
        if self._here is not None:
            self._here.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class RayInOrder(Generic[Item, Made]):
    """As `InOrder`, with workers on a Ray cluster; an item whose worker goes away is worked on again elsewhere."""

    def __init__(
        self, make_worker: Callable[[], Worker[Item, Made]], *, address: str, workers: int, error: type[MagmaRosError]
    ) -> None:
        """Connect; `make_worker`, the items and the results must pickle.

        Args:
            make_worker: Makes the worker of a process; the folders that it reads and writes are the same everywhere.
            address: As in `ray_cluster.connect`.
            workers: Items that are worked on at a time; each takes one of Ray's CPUs.
            error: What is raised when no cluster answers, or an item could not be finished.

        Raises:
            MagmaRosError: as `error`; Ray is not installed, or nobody answers.
        """
        self._ray = ray_cluster.connect(address, num_cpus=workers, error=error)
        self._task, self._make_worker = self._ray.remote(num_cpus=1)(_work_on_ray), make_worker
        self._num_ahead, self._error = 2 * workers, error

    def map(self, items: Iterable[Item]) -> Generator[Made, None, None]:
        """What was made of each item, in their order; a few are worked on ahead, and dropped when this is closed.

        Raises:
            MagmaRosError: as the worker, or as `error`: an item lost its worker again and again.
        """
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(self._task.remote(self._make_worker, item))
                if len(waiting) > self._num_ahead:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for reference in waiting:
                self._ray.cancel(reference)

    def close(self) -> None:
        """Leave the cluster; Ray that was started here ends with it."""
        self._ray.shutdown()

    def _result(self, reference: Any) -> Made:
        errors = self._ray.exceptions
        try:
            made: Made = self._ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, MagmaRosError):
                raise error.cause from error
            raise
        except errors.RayError as error:
            raise self._error(f"an item could not be finished on Ray: {error}; {_GO_ON}") from error
        return made


def open_workers(
    make_worker: Callable[[], Worker[Item, Made]], *, workers: int, ray_address: str | None, error: type[MagmaRosError]
) -> InOrder[Item, Made] | RayInOrder[Item, Made]:
    """Workers in processes of this machine or, with an address, on Ray; arguments as there.

    Raises:
        MagmaRosError: as `error`; fewer than one worker, or no cluster answers.
    """
    if workers < 1:
        raise error(f"workers: expected at least 1, got {workers}")
    if ray_address is None:
        return InOrder(make_worker, workers=workers, error=error)
    return RayInOrder(make_worker, address=ray_address, workers=workers, error=error)


_GO_ON = "start again to go on from what is written"

_worker_here: list[Worker[Any, Any]] = []
"""The one worker of a worker's process; empty in the process that hands out the items."""


def _start(make_worker: Callable[[], Worker[Any, Any]]) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    worker = make_worker()
    _worker_here.append(worker)
    Finalize(None, worker.close, exitpriority=0)  # before libraries close what the worker still draws with


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next item forever."""
    parent = parent_process()
    assert parent is not None, "started by `InOrder`"
    parent.join()
    os._exit(1)


def _work(item: Any) -> Any:
    return _worker_here[0](item)


def _work_on_ray(make_worker: Callable[[], Worker[Any, Any]], item: Any) -> Any:
    if not _worker_here:  # Ray gives a process to one job alone
        _worker_here.append(make_worker())
    return _work(item)
