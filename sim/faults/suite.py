"""One fault after the other: break, watch, judge, mend, and see that the arm moves again."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from magma_ros.errors import MagmaRosError
from magma_ros.sim.faults import measuring
from magma_ros.sim.faults.fault import Demand, Fault
from magma_ros.sim.faults.graph import NODES, Graph, GraphKind
from magma_ros.sim.faults.measuring import Measurement, Sample

MEASURED_REST_M_S = 1e-3
"""A measured arm that is slower than this is at rest [m/s]."""

STILL_HALTED_S = 0.3
"""How long a halted arm is watched after the cause is gone [s]."""

_AGAIN_S = 30.0
_MOST_VOID = 4
_PRESS_S = 0.01
_PRESSED_S = 1.0


def run(
    faults: Sequence[Fault],
    *,
    folder: Path,
    motion: Sequence[str] = ("-m", NODES["motion"]),
    slack_s: float = 0.0,
) -> Iterator[Measurement]:
    """A measurement for each fault, graph by graph; a graph that a fault has spoilt is set up anew for the next.

    Args:
        faults: What to inject.
        folder: For the files and the logs of the processes; made where there is none.
        motion: What Python runs as the motion node.
        slack_s: Added to every limit [s].
    """
    for kind in GraphKind:
        graph: Graph | None = None
        try:
            for fault in (fault for fault in faults if fault.graph is kind):
                try:
                    graph = graph or Graph(kind, folder / f"{kind.value}_{fault.name}", motion=motion)
                    measurement = _measure_moving(graph, fault, slack_s)
                except MagmaRosError as error:
                    measurement = Measurement(fault.name, math.inf, math.nan, problems=(str(error),))
                yield measurement
                if graph is not None and not measurement.passed:
                    graph.close()
                    graph = None
        finally:
            if graph is not None:
                graph.close()


def _measure_moving(graph: Graph, fault: Fault, slack_s: float) -> Measurement:
    """A void measurement, as on a machine too busy to keep an arm moving, is taken anew; the last one counts."""
    for _ in range(_MOST_VOID):
        graph.make_moving()
        measurement = measure(graph, fault, slack_s=slack_s)
        if not measurement.is_void:
            break
    return measurement


def measure(graph: Graph, fault: Fault, *, slack_s: float = 0.0) -> Measurement:
    """Inject `fault` into a graph whose arm moves, and see what follows.

    Raises:
        MagmaRosError: it could not be injected.
    """
    limit_s = fault.limit_s(graph.arm.command_rate_hz) + slack_s
    begin_s = onset_s = fault.inject(graph)
    _watch(onset_s, fault.watch_s)
    if fault.demand is Demand.BOUNDED:
        onset_s = _press_emergency_stop(graph)
    samples = _driven(graph) if fault.demand is Demand.DRIVER_STOPS else list(graph.witness.commands)
    reports = list(graph.witness.reports)
    problems = [
        *measuring.time_problems(samples, onset_s=onset_s, limit_s=limit_s),
        *measuring.bound_problems(
            [sample for sample in graph.witness.commands if sample.t_s > begin_s],
            [setpoint for setpoint in graph.witness.setpoints if setpoint.t_s > begin_s],
            graph.arm.limits,
        ),
        *measuring.reason_problems(reports, onset_s=onset_s, reasons=fault.expected, halts=fault.halts),
        *fault.check(graph, begin_s),
    ]
    stop_s = measuring.stop_time(samples, onset_s=onset_s)
    reason = measuring.reported(reports, onset_s=onset_s, reasons=fault.expected)
    problems += _mend(graph, fault)
    return Measurement(fault.name, stop_s, limit_s, reason, tuple(problems))


def _watch(onset_s: float, duration_s: float) -> None:
    time.sleep(max(0.0, onset_s + duration_s - time.monotonic()))


def _press_emergency_stop(graph: Graph) -> float:
    """Press until the motion node says that it is halted, as docs/safety.md asks of a button; the first instant [s]."""
    graph.make_moving(timeout_s=_AGAIN_S)
    onset_s = time.monotonic()
    while time.monotonic() < onset_s + _PRESSED_S:
        graph.witness.press_emergency_stop()
        time.sleep(_PRESS_S)
    return onset_s


def _driven(graph: Graph) -> list[Sample]:
    """What the measured arm did; slower than `MEASURED_REST_M_S` counts as rest."""
    return [
        Sample(sample.t_s, 0.0 if sample.speed_m_s < MEASURED_REST_M_S else sample.speed_m_s, 0.0)
        for sample in graph.witness.measured
    ]


def _mend(graph: Graph, fault: Fault) -> list[str]:
    """End the fault; a halted arm stays at rest until it is reset, and every arm moves again."""
    cured_s = time.monotonic()
    fault.cure(graph)
    if fault.halts:
        _watch(cured_s, STILL_HALTED_S)
        if measuring.stop_time(list(graph.witness.commands), onset_s=cured_s) > 0:
            return ["the arm was told to move after a halt, before anybody reset it"]
    try:
        graph.make_moving(timeout_s=_AGAIN_S)
    except MagmaRosError as error:
        return [f"mended, but {error}"]
    return []
