"""What a run says of its time: nothing that a person waited for is left out."""

from __future__ import annotations

import pytest

from magma_ros.finetune.clock import TrainingClock


class Hand:
    """A clock's hand that moves when it is told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_all_time_counts_and_only_steps_have_a_rate() -> None:
    """Loading 5 s, two steps of 3 s with their waiting, 4 s of validation between: 15 s in all, 6 s for 128 samples."""
    hand = Hand()
    clock = TrainingClock(64, now=hand)
    hand.now_s += 5
    for _ in range(2):
        clock.begin_step()
        hand.now_s += 3
        clock.end_step()
        hand.now_s += 2
    assert {"elapsed_s": 15.0, "samples_per_s": pytest.approx(128 / 6, abs=0.01)} == clock.figures()


def test_a_rate_is_of_the_steps_since_the_last() -> None:
    """A slow beginning is said once."""
    hand = Hand()
    clock = TrainingClock(10, now=hand)
    rates = []
    for taken_s in (5, 1):
        clock.begin_step()
        hand.now_s += taken_s
        clock.end_step()
        rates.append(clock.figures()["samples_per_s"])
    assert [2.0, 10.0] == rates


def test_a_start_goes_on_where_the_last_one_stopped() -> None:
    """The time between two starts is none of the run's."""
    hand = Hand()
    clock = TrainingClock(10, now=hand)
    clock.earlier_s = 60.0
    hand.now_s += 1
    assert 61.0 == clock.elapsed_s
