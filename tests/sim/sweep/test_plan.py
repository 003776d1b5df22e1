"""What a sweep is."""

from __future__ import annotations

import json

import pytest

from magma_ros.errors import InvalidInputError, SweepError
from magma_ros.sim.suites import BRIDGE
from magma_ros.sim.sweep.plan import early_end, protocol_of
from tests.sim.sweep import toys


@pytest.mark.parametrize("changes", [{"seeds": ()}, {"seeds": (1, 2, 1)}, {"tasks": ()}, {"tasks": ("reach", "reach")}])
def test_nothing_and_twice_the_same_are_refused(changes):
    """A sweep has trials, and none of them twice."""
    with pytest.raises(SweepError, match="expected at least one and none twice"):
        toys.spec(**changes)


def test_without_a_width_there_is_no_rule():
    """Then every seed is run, however sure the rate is."""
    assert toys.spec().stopping_rule() is None
    assert early_end(None, ["success"] * 1000) is None


def test_rule_ends_a_task_once_its_interval_is_narrow():
    """A task of successes alone is over long before its seeds are used up."""
    rule = toys.spec(trials=200, width=0.2).stopping_rule()
    assert early_end(rule, ["success"] * 10) is None
    ended = early_end(rule, ["success"] * 200)
    assert ended.trials < 100
    assert ended.interval.width <= 0.2


@pytest.mark.parametrize("gap", [None, "error"])
def test_what_is_open_or_failed_to_run_is_not_left_out(gap):
    """Behind a trial that is not finished, or that was an error, nothing is looked at."""
    rule = toys.spec(trials=200, width=0.2).stopping_rule()
    assert early_end(rule, ["success"] * 5 + [gap] + ["success"] * 194) is None


def test_impossible_widths_are_refused():
    """A rule that cannot be kept is refused before any trial."""
    with pytest.raises(InvalidInputError, match="width"):
        toys.spec(width=1.5).stopping_rule()


def test_protocol_is_plain_json_of_the_tasks_that_are_asked():
    """Nothing infinite and no other task is in it."""
    protocol = protocol_of(BRIDGE, ["carrot_on_plate"])
    assert json.loads(json.dumps(protocol, allow_nan=False))["tasks"].keys() == {"carrot_on_plate"}
    assert 60 == protocol["tasks"]["carrot_on_plate"]["step_budget"]
    assert protocol["limits"]["entropy_hold_nats"] is None
