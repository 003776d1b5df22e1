"""What a fault is, and the ways of injecting one that several faults have in common."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from lifecycle_msgs.msg import Transition

from magma_ros.sim.faults.graph import Graph, GraphKind
from magma_ros.sim.faults.measuring import DEATH_S, STOP_S
from magma_ros.stops import Severity, StopReason


class Demand(Enum):
    """What has to follow from a fault."""

    STOPS = "stops"
    """The arm comes to rest in time, and stays so until the cause is gone or a person resets it."""
    BOUNDED = "bounded"
    """The arm may move on within all bounds; the emergency stop, pressed meanwhile, is what is timed."""
    DRIVER_STOPS = "driver stops"
    """Nobody is left to command: the arm's driver comes to rest by itself; the measured arm is timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table.

    Attributes:
        name: For `--only`, and in the table.
        what: What is broken.
        inject: Breaks it; the instant of the onset [s, CLOCK_MONOTONIC].
        cure: Makes it whole.
        reasons: One of these has to be reported; none where nobody is left who could.
        graph, demand: What it is injected into, and what has to follow.
        death: A process was killed: the longer limit counts.
        watch_s: How long commands are judged after the onset [s].
        latches: The arm is halted where the reason's severity says so; the policy node's own refusals only hold.
        check: What else is wrong, from the graph and the onset.
    """

    name: str
    what: str
    inject: Callable[[Graph], float]
    cure: Callable[[Graph], None]
    reasons: tuple[StopReason, ...] = ()
    graph: GraphKind = GraphKind.PLAIN
    demand: Demand = Demand.STOPS
    death: bool = False
    watch_s: float = 0.7
    latches: bool = True
    check: Callable[[Graph, float], list[str]] = lambda _graph, _onset_s: []

    @property
    def expected(self) -> tuple[StopReason, ...]:
        """What has to be reported: of faults that are bounded, the emergency stop that is pressed under them."""
        return (StopReason.EMERGENCY_STOP,) if self.demand is Demand.BOUNDED else self.reasons

    @property
    def halts(self) -> bool:
        """Whether the arm has to be halted until a person resets it."""
        return self.latches and any(reason.severity is Severity.HALT for reason in self.expected)

    def limit_s(self, command_rate_hz: float) -> float:
        """Longest time until the command is zero [s]: one command period and the allowance."""
        return 1.0 / command_rate_hz + (DEATH_S if self.death else STOP_S)


def ordered(process: str, name: str, what: str, *reasons: StopReason, order: str = "", **more: object) -> Fault:
    """A fault that a stand-in carries out when its switch says `order`, by default the fault's name."""
    wanted = order or name
    return Fault(
        name=name,
        what=what,
        inject=lambda graph: graph.inject(process, wanted),
        cure=lambda graph: graph.order(process, ""),
        reasons=reasons,
        **more,  # type: ignore[arg-type]
    )


def silenced(process: str, name: str, what: str, *reasons: StopReason, order: str, **more: object) -> Fault:
    """A stand-in that says nothing any more; counted from the order, before the first message that is missing."""

    def inject(graph: Graph) -> float:
        onset_s = time.monotonic()
        graph.order(process, order)
        return onset_s

    return Fault(
        name=name,
        what=what,
        inject=inject,
        cure=lambda graph: graph.order(process, ""),
        reasons=reasons,
        **more,  # type: ignore[arg-type]
    )


def misplaced(name: str, what: str, *reasons: StopReason, order: str) -> Fault:
    """The arm is measured where it must not be, while the policy leads it along the x axis."""

    def inject(graph: Graph) -> float:
        graph.inject("policy", "walk_out")
        return graph.inject("state", order)

    def cure(graph: Graph) -> None:
        graph.order("state", "")
        graph.order("policy", "")

    return Fault(name=name, what=what, inject=inject, cure=cure, reasons=reasons)


def walks(name: str, what: str) -> Fault:
    """The policy leads the arm to a wall, where it has to rest; then it goes back, and the emergency stop comes."""

    def inject(graph: Graph) -> float:
        onset_s = graph.inject("policy", name)
        graph.wait(lambda: graph.is_at_rest(for_s=0.5), timeout_s=8.0, what="the arm rests at the wall")
        graph.order("policy", "")
        return onset_s

    return Fault(name=name, what=what, inject=inject, cure=nothing, demand=Demand.BOUNDED)


def killed(process: str, what: str, *reasons: StopReason, **more: object) -> Fault:
    """A process gets SIGKILL, and is started anew."""
    return Fault(
        name=f"kill_{process}",
        what=what,
        inject=lambda graph: graph.signal(process, signal.SIGKILL),
        cure=lambda graph: graph.restart(process),
        reasons=reasons,
        death=True,
        **more,  # type: ignore[arg-type]
    )


def asked_to_end(process: str, number: signal.Signals, what: str, *reasons: StopReason) -> Fault:
    """A node gets SIGINT or SIGTERM, ends with status 0, and is started anew."""

    def ended_well(graph: Graph, _onset_s: float) -> list[str]:
        status = graph.exit_status(process)
        return [] if status == 0 else [f"{process}: expected to end with 0 within 5 s, got {status}"]

    return Fault(
        name=f"{number.name.lower()}_{process}",
        what=what,
        inject=lambda graph: graph.signal(process, number),
        cure=lambda graph: graph.restart(process),
        reasons=reasons,
        check=ended_well,
    )


def paused(process: str, what: str, *reasons: StopReason, **more: object) -> Fault:
    """A process stands still for some seconds (SIGSTOP), and goes on."""
    return Fault(
        name=f"pause_{process}",
        what=what,
        inject=lambda graph: graph.signal(process, signal.SIGSTOP),
        cure=lambda graph: _ignore(graph.signal(process, signal.SIGCONT)),
        reasons=reasons,
        **more,  # type: ignore[arg-type]
    )


def deactivated(node: str, *reasons: StopReason) -> Fault:
    """A person deactivates a lifecycle node, and activates it again."""
    return Fault(
        name=f"deactivate_{node}",
        what=f"a person deactivates the {node} node",
        inject=lambda graph: graph.transition(f"{node}_node", Transition.TRANSITION_DEACTIVATE),
        cure=lambda graph: _ignore(graph.transition(f"{node}_node", Transition.TRANSITION_ACTIVATE)),
        reasons=reasons,
    )


def nothing(_graph: Graph) -> None:
    """The cause is gone already."""


def _ignore(_value: object) -> None:
    pass
