import pytest

from magma_ros.action import ExecuteInstruction
from magma_ros.ros.goal import Assignment, Outcome
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Action, SafeAction

MOVE = SafeAction(Action([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 1.0, "base_link"))
HOLD = Stop(StopReason.UNDECODABLE, "six tokens")


def test_outcomes_have_the_values_of_the_action():
    """An outcome's number is the constant of the same name in ExecuteInstruction's result."""
    assert {o.name: o.value for o in Outcome} == {o.name: getattr(ExecuteInstruction.Result, o.name) for o in Outcome}


def test_the_last_step_of_the_budget_ends_it():
    """Held steps count towards the budget too."""
    assignment = Assignment("lift", 1, step_budget=3)
    assert [assignment.record(d) for d in (MOVE, HOLD)] == [None, None]
    assert assignment.record(MOVE).outcome is Outcome.BUDGET_SPENT


def test_stops_in_a_row_end_it_with_their_reason():
    """A motion in between starts the count anew; the ending names the last reason."""
    assignment = Assignment("lift", 1, step_budget=100, max_consecutive_stops=2)
    assert [assignment.record(d) for d in (HOLD, MOVE, HOLD)] == [None] * 3
    ending = assignment.record(HOLD)
    assert (ending.outcome, ending.reason) == (Outcome.STOPPED, "undecodable")


def test_without_limits_it_never_ends_by_itself():
    """An assignment without budget, deadline and stop limit goes on."""
    assignment = Assignment("lift", 1)
    assert {assignment.record(HOLD) for _ in range(1000)} == {None}
    assert assignment.expired(1e12) is None


@pytest.mark.parametrize(("now_s", "outcome"), [(9.99, None), (10.0, Outcome.TIMEOUT)])
def test_the_deadline_ends_it(now_s, outcome):
    """It expires at its deadline, not before."""
    ending = Assignment("lift", 1, deadline_s=10.0).expired(now_s)
    assert (ending and ending.outcome) is outcome
