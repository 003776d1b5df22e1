"""Two sweeps of the same initial states."""

from __future__ import annotations

import pytest

from magma_ros.errors import InvalidInputError, SweepError
from magma_ros.sim.comparison import compare_paired
from magma_ros.sim.report.pairs import Discordant, compare
from magma_ros.sim.sweep.plan import Trial
from tests.sim.report.sweeps import make_record, make_spec


def test_pairs_are_compared_over_all_and_for_each_task() -> None:
    """Counts and intervals are those of `comparison`; a trial without a judged counterpart is left out."""
    found = compare(make_record({"a": "sssf", "b": "sf"}), make_record({"a": "sfff", "b": "se"}))
    assert found.result == compare_paired(
        {0: True, 1: True, 2: True, 3: False, 4: True, 5: False}, {0: True, 1: False, 2: False, 3: False, 4: True}
    )
    assert found.result.num_unpaired == 1
    assert {task: result.pairs for task, result in found.by_task.items()} == {"a": 4, "b": 1}


def test_discordant_seeds_say_who_succeeded() -> None:
    """In the order of tasks and seeds."""
    found = compare(make_record({"b": "sf", "a": "fs"}), make_record({"b": "ss", "a": "ff"}))
    assert found.discordant == (Discordant(Trial("b", 1), first=False), Discordant(Trial("a", 1), first=True))


def test_whatever_else_differs_is_named() -> None:
    """A difference of outcomes may be due to it."""
    first = make_record({"a": "s"}, make_spec(("a",)))
    protocol = {**first.spec.protocol, "control_rate_hz": 10.0}
    changes = {"policy": "noop", "execution_horizon": 4, "protocol": protocol, "batched": True}
    second = make_record({"a": "s"}, make_spec(("a",), **changes))
    assert compare(first, second).differences == (
        ("policy", "magma-tiny", "noop"),
        ("execution_horizon", "1", "4"),
        ("protocol.control_rate_hz", "5.0", "10.0"),
        ("batched", "False", "True"),
    )


def test_sweeps_of_other_suites_are_refused() -> None:
    """Their seeds mean other worlds."""
    with pytest.raises(SweepError, match="'bridge' and 'libero_goal'"):
        compare(make_record({"a": "s"}), make_record({"a": "s"}, make_spec(("a",), suite="libero_goal")))


def test_sweeps_without_a_common_trial_are_refused() -> None:
    """There is no pair to compare."""
    with pytest.raises(InvalidInputError, match="none in common"):
        compare(make_record({"a": "s"}), make_record({"a": "s"}, make_spec(("a",), seeds=(7, 8))))
