"""Batches come in order, prepared ahead by other threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from magma_ros.finetune.loader import prepared


def test_batches_come_in_order_from_several_threads() -> None:
    """Each step once, whoever made it, and never in the thread that takes them."""
    makers = set()

    def make(step: int) -> int:
        makers.add(threading.get_ident())
        return step * step

    assert [step * step for step in range(3, 40)] == list(prepared(make, range(3, 40), threads=4))
    assert threading.get_ident() not in makers


def test_without_threads_each_batch_is_made_when_it_is_asked_for() -> None:
    """By the thread that takes it, and none ahead."""
    made = []
    batches = prepared(made.append, range(5), threads=0)
    next(batches)
    next(batches)
    assert [0, 1] == made


def test_the_next_batch_is_made_while_this_one_is_used() -> None:
    """With the first batch in hand, the second is made without being asked for."""
    second_made = threading.Event()

    def make(step: int) -> int:
        if step == 1:
            second_made.set()
        return step

    batches: Iterator[int] = prepared(make, range(10), threads=1)
    assert 0 == next(batches)
    assert second_made.wait(timeout=30)


def test_an_error_is_raised_in_its_steps_turn() -> None:
    """Batches before the broken one are given out."""

    def make(step: int) -> int:
        if step == 2:
            raise LookupError("step 2")
        return step

    batches = prepared(make, range(9), threads=2)
    assert [0, 1] == [next(batches), next(batches)]
    with pytest.raises(LookupError, match="step 2"):
        next(batches)
