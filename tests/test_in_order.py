"""Work in several processes whose results come in the order of the items."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from select import select

import pytest

from magma_ros.errors import EnvError
from magma_ros.in_order import InOrder
from tests.squarer import Squarer, work_and_die


def test_one_worker_is_this_process() -> None:
    """No process is started, and the worker is closed at the end."""
    worker = Squarer()
    row = InOrder(lambda: worker, workers=1, error=EnvError)
    assert [(0, os.getpid()), (1, os.getpid()), (4, os.getpid())] == list(row.map(range(3)))
    row.close()
    assert worker.is_closed


def test_two_workers_keep_the_order_and_may_be_left_early() -> None:
    """Of endless items the first few are taken; a second row follows in the same processes."""
    with closing(InOrder(Squarer, workers=2, error=EnvError)) as row:
        with closing(row.map(count())) as squares:
            first = [next(squares) for _ in range(20)]
        second = list(row.map(range(5, 9)))
    assert [i**2 for i in range(20)] == [square for square, _ in first]
    assert [25, 36, 49, 64] == [square for square, _ in second]
    assert os.getpid() not in {pid for _, pid in first + second}


def test_each_process_closes_its_worker(tmp_path: Path) -> None:
    """Before it ends, in the process that used it: what holds a window or a network lets go of it."""
    with closing(InOrder(partial(Squarer, tmp_path), workers=2, error=EnvError)) as row:
        workers = {pid for _, pid in row.map(range(20))}
        assert [] == list(tmp_path.iterdir())
    assert workers <= {int(path.name) for path in tmp_path.iterdir()}


def test_a_dead_worker_is_said() -> None:
    """A process that ended by itself raises, rather than leaving the row waiting."""
    with closing(InOrder(Squarer, workers=2, error=EnvError)) as row, pytest.raises(EnvError, match="ended by itself"):
        list(row.map([1, -1, 2]))


def test_workers_end_with_a_killed_parent() -> None:
    """Nobody is left waiting for an item that never comes."""
    context = get_context("spawn")
    here, there = context.Pipe()
    parent = context.Process(target=work_and_die, args=(there,))
    parent.start()
    workers = [os.pidfd_open(pid) for pid in here.recv()]
    here.send("now")
    parent.join()
    while workers:
        ended, _, _ = select(workers, [], [], 20.0)
        assert ended, "a worker outlives its parent"
        for descriptor in ended:
            os.close(descriptor)
            workers.remove(descriptor)
