"""What a fault demands, and what each way of injecting one does to a graph that only takes notes."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition

from magma_ros.sim.faults.fault import (
    Demand,
    Fault,
    asked_to_end,
    deactivated,
    killed,
    misplaced,
    nothing,
    ordered,
    paused,
    silenced,
    walks,
)
from magma_ros.sim.faults.graph import GraphKind
from magma_ros.stops import StopReason


class Graph:
    """Notes what it is told in order; every fault begins at 42 s, and a process ends with `status`."""

    def __init__(self, *, status: int | None = 0) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.status = status

    def order(self, name: str, fault: str) -> None:
        self.told.append(("order", name, fault))

    def inject(self, name: str, fault: str) -> float:
        self.told.append(("inject", name, fault))
        return 42.0

    def signal(self, name: str, number: signal.Signals) -> float:
        self.told.append(("signal", name, number))
        return 42.0

    def restart(self, name: str) -> None:
        self.told.append(("restart", name))

    def transition(self, node: str, transition: int) -> float:
        self.told.append(("transition", node, transition))
        return 42.0

    def exit_status(self, name: str) -> int | None:
        self.told.append(("exit_status", name))
        return self.status

    def wait(self, condition: Any, *, timeout_s: float, what: str) -> None:
        assert condition()
        self.told.append(("wait", what))

    def is_at_rest(self, *, for_s: float) -> bool:
        return for_s == 0.5


HALT, HOLD = StopReason.EMERGENCY_STOP, StopReason.POLICY_SILENT


def fault(**more: Any) -> Fault:
    return Fault(name="odd", what="it is odd", inject=lambda _graph: 42.0, cure=nothing, **more)


def carried_out(made: Fault) -> list[tuple[Any, ...]]:
    """What the graph is told by injecting the fault, which begins at 42 s, and curing it."""
    graph = Graph()
    assert made.inject(graph) == 42.0
    graph.told.append(("---",))
    made.cure(graph)
    return graph.told


@pytest.mark.parametrize(("death", "limit_s"), [(False, 0.12), (True, 0.22)])
def test_a_dead_process_may_take_a_tenth_of_a_second_longer(death, limit_s) -> None:
    """One command period of 20 ms, and 100 ms for a fault or 200 ms for a process that was killed."""
    assert fault(death=death).limit_s(50.0) == pytest.approx(limit_s)


def test_of_a_fault_that_is_bounded_the_emergency_stop_is_expected() -> None:
    """It is pressed under the fault and halts the arm, whatever reasons the fault may have of its own."""
    bounded = fault(demand=Demand.BOUNDED, reasons=(HOLD,))
    assert (bounded.expected, bounded.halts) == ((HALT,), True)
    for demand in (Demand.STOPS, Demand.DRIVER_STOPS):
        assert fault(demand=demand, reasons=(HOLD,)).expected == (HOLD,)
        assert not fault(demand=demand, reasons=(HOLD,)).halts


@pytest.mark.parametrize(
    ("reasons", "latches", "halts"),
    [
        ((HALT,), True, True),
        ((HOLD, HALT), True, True),
        ((HOLD,), True, False),
        ((), True, False),
        ((HALT,), False, False),
    ],
)
def test_the_arm_is_halted_where_one_reason_says_so(reasons, latches, halts) -> None:
    """Unless it is the policy node's own refusal, which only holds."""
    assert fault(reasons=reasons, latches=latches).halts is halts


def test_a_fault_has_nothing_else_to_check_by_default() -> None:
    """And it is judged for 0.7 s, on a plain graph, where the arm has to stop."""
    plain = fault()
    assert plain.check(Graph(), 42.0) == []
    assert (plain.watch_s, plain.graph, plain.demand) == (0.7, GraphKind.PLAIN, Demand.STOPS)


@pytest.mark.parametrize(("order", "told"), [("", "odd"), ("strange", "strange")])
def test_a_stand_in_is_ordered_by_the_faults_name_or_another(order, told) -> None:
    """And is made whole by an empty order; further settings are the fault's."""
    made = ordered("camera", "odd", "it is odd", HOLD, order=order, watch_s=2.0)
    assert carried_out(made) == [("inject", "camera", told), ("---",), ("order", "camera", "")]
    assert (made.name, made.what, made.reasons, made.watch_s) == ("odd", "it is odd", (HOLD,), 2.0)


def test_silence_counts_from_the_order() -> None:
    """Nobody waits until it has begun: the onset is the instant before the order."""
    graph, made = Graph(), silenced("state", "odd", "it is odd", HOLD, order="silent", graph=GraphKind.TF)
    before_s = time.monotonic()
    assert before_s <= made.inject(graph) <= time.monotonic()
    made.cure(graph)
    assert graph.told == [("order", "state", "silent"), ("order", "state", "")]
    assert (made.name, made.reasons, made.graph) == ("odd", (HOLD,), GraphKind.TF)


def test_a_misplaced_arm_is_led_on_first() -> None:
    """The policy leads it outwards before it is measured elsewhere, where the onset is; then both are made whole."""
    made = misplaced("odd", "it is odd", HALT, order="outside")
    begun = [("inject", "policy", "walk_out"), ("inject", "state", "outside")]
    assert carried_out(made) == [*begun, ("---",), ("order", "state", ""), ("order", "policy", "")]
    assert made.reasons == (HALT,)


def test_an_arm_that_walks_into_a_wall_rests_there_for_half_a_second() -> None:
    """Then the policy goes back; nothing is left to cure, and the emergency stop is what is timed."""
    made = walks("walk_down", "it is odd")
    begun = [("inject", "policy", "walk_down"), ("wait", "the arm rests at the wall"), ("order", "policy", "")]
    assert carried_out(made) == [*begun, ("---",)]
    assert made.demand is Demand.BOUNDED


def test_a_killed_process_is_started_anew() -> None:
    """SIGKILL, which nothing can catch, and the longer limit."""
    made = killed("policy", "it is odd", HOLD, demand=Demand.DRIVER_STOPS)
    assert carried_out(made) == [("signal", "policy", signal.SIGKILL), ("---",), ("restart", "policy")]
    assert (made.name, made.death, made.reasons, made.demand) == ("kill_policy", True, (HOLD,), Demand.DRIVER_STOPS)


def test_a_paused_process_goes_on() -> None:
    """SIGSTOP and SIGCONT; it is not dead, so that the shorter limit counts unless it is asked for."""
    made = paused("teleop", "it is odd", HOLD)
    told = [("signal", "teleop", signal.SIGSTOP), ("---",), ("signal", "teleop", signal.SIGCONT)]
    assert carried_out(made) == told
    assert (made.name, made.death, made.reasons) == ("pause_teleop", False, (HOLD,))
    assert paused("motion", "it is odd", death=True).death


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("status", [0, 1, -9, None])
def test_a_node_that_is_asked_to_end_has_to_end_with_0(number, status) -> None:
    """Any other status is a problem that is named, and so is none."""
    made = asked_to_end("motion", number, "it is odd", HALT)
    assert carried_out(made) == [("signal", "motion", number), ("---",), ("restart", "motion")]
    assert (made.name, made.reasons) == (f"{number.name.lower()}_motion", (HALT,))
    problems = [] if status == 0 else [f"motion: expected to end with 0 within 5 s, got {status}"]
    assert made.check(Graph(status=status), 42.0) == problems


def test_a_deactivated_node_is_activated_again() -> None:
    """Through its lifecycle, as a person would."""
    made = deactivated("policy", HOLD)
    told = [
        ("transition", "policy_node", Transition.TRANSITION_DEACTIVATE),
        ("---",),
        ("transition", "policy_node", Transition.TRANSITION_ACTIVATE),
    ]
    assert carried_out(made) == told
    assert (made.name, made.reasons) == ("deactivate_policy", (HOLD,))
    assert made.what == "a person deactivates the policy node"
