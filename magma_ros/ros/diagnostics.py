"""What a node reports on `/diagnostics` once a second, in every lifecycle state: latencies, rates and what it refused.

One status each for the node, every stage, the rates and every group of reasons; names begin with the node's fully
qualified name, units are in the keys. Levels and fields as in REP 107.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from enum import IntEnum

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from magma_ros.ros.conversions import seconds
from magma_ros.ros.interface import DIAGNOSTICS
from magma_ros.telemetry import UPPER_EDGES_S, LatencyHistogram, Rate, ReasonCounts

PERIOD_S = 1.0
WINDOW_PERIODS = 10
"""The recent past that is shown beside everything since the start: 10 s."""
_WINDOW = f"last {WINDOW_PERIODS * PERIOD_S:.0f} s"


class Level(IntEnum):
    """REP 107's levels; STALE is what has not been heard of in time."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


Report = Callable[[], tuple[Level, str, dict[str, str]]]
"""Level, message for people, and values with their units in the keys."""


class Diagnostics:
    """Publishes while the node is spun, by wall time, so that a simulated clock that stands still is seen too.

    Stages, rates and reasons may be counted on any thread, each of them on one.
    """

    def __init__(self, node: Node, *, hardware_id: str) -> None:
        """Report as `node` on the hardware `hardware_id`, such as the arm's name."""
        self._clock = node.get_clock()
        self._name = node.get_fully_qualified_name()
        self._hardware_id = hardware_id
        self._level, self._message = Level.OK, "started"
        self._stages: defaultdict[str, _Stage] = defaultdict(_Stage)
        self._rates: defaultdict[str, Rate] = defaultdict(Rate)
        self._counts: defaultdict[str, ReasonCounts] = defaultdict(ReasonCounts)
        self._parts: dict[str, Report] = {}
        self._publisher = DIAGNOSTICS.publisher(node)
        node.create_timer(PERIOD_S, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def stage(self, name: str) -> LatencyHistogram:
        """The latencies of one stage, to add to."""
        return self._stages[name].latencies

    def rate(self, name: str) -> Rate:
        """How often something happens; tick it with the node's clock."""
        return self._rates[name]

    def count(self, group: str, reason: str, n: int = 1) -> None:
        """Something was dropped or refused `n` times; its group warns until the window has passed."""
        if group not in self._parts:
            self.follow(group, self._counts[group].by_reason)
        self._counts[group].add(reason, n)

    def follow(self, group: str, totals: Callable[[], Mapping[str, int]]) -> None:
        """As `count`, for what somebody else counts: `totals` gives each reason's number since the start."""
        self.part(group, _Group(totals).report)

    def part(self, name: str, report: Report) -> None:
        """Ask `report` once a second for level, message and values of something of its own."""
        self._parts[name] = report

    def level(self, level: Level, message: str) -> None:
        """How the node is from now on, for people."""
        self._level, self._message = level, message

    def _report(self) -> None:
        """Publish everything, and begin the next period."""
        now = self._clock.now().to_msg()
        statuses = [self._status("node", self._level, self._message, {})]
        for name, stage in tuple(self._stages.items()):
            statuses.append(self._status(f"latency of {name}", *stage.report()))
        if self._rates:
            hz = {f"{name} [Hz]": f"{rate.hz(seconds(now)):.2f}" for name, rate in tuple(self._rates.items())}
            statuses.append(self._status("rates", Level.OK, ", ".join(map(" ".join, hz.items())), hz))
        for name, report in tuple(self._parts.items()):
            statuses.append(self._status(name, *report()))
        message = DiagnosticArray(status=statuses)
        message.header.stamp = now
        self._publisher.publish(message)

    def _status(self, part: str, level: Level, message: str, values: dict[str, str]) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=bytes([level]),
            name=f"{self._name}: {part}",
            message=message,
            hardware_id=self._hardware_id,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


class _Stage:
    """One stage's latencies and their copies of the last periods."""

    def __init__(self) -> None:
        self.latencies = LatencyHistogram()
        self._copies = deque([self.latencies.copy()], maxlen=WINDOW_PERIODS)

    def report(self) -> tuple[Level, str, dict[str, str]]:
        """Level, message and values; begins the next period."""
        total = self.latencies.copy()
        recent = total.since(self._copies[0])
        self._copies.append(total)
        level, message = Level.OK, f"p95 {_ms(recent.percentile(95))} ms of {recent.n} in the {_WINDOW}"
        if total.num_rejected:
            level, message = Level.WARN, f"{message}; {total.num_rejected} impossible: was a clock set?"
        values = {**_numbers(recent, f" in the {_WINDOW}"), **_numbers(total, "")}
        return level, message, {**values, "impossible": str(total.num_rejected)}


class _Group:
    """One group of reasons and its counts at the ends of the last periods."""

    def __init__(self, totals: Callable[[], Mapping[str, int]]) -> None:
        self._totals = totals
        self._copies: deque[dict[str, int]] = deque([{}], maxlen=WINDOW_PERIODS)

    def report(self) -> tuple[Level, str, dict[str, str]]:
        """Level, message and values; begins the next period."""
        total = dict(self._totals())
        recent = {reason: n - self._copies[0].get(reason, 0) for reason, n in total.items()}
        self._copies.append(total)
        listed = ", ".join(f"{reason} {n}" for reason, n in recent.items() if n)
        message = f"{sum(recent.values())} in the {_WINDOW}" + (f": {listed}" if listed else "")
        return Level.WARN if listed else Level.OK, message, {reason: str(n) for reason, n in total.items()}


def _numbers(latencies: LatencyHistogram, when: str) -> dict[str, str]:
    """One histogram as values; buckets are those with something in them, as JSON from upper edge to count."""
    pairs = zip(UPPER_EDGES_S, latencies.counts, strict=True)
    percentiles = {f"p{percent}{when} [ms]": _ms(latencies.percentile(percent)) for percent in (50, 95, 99)}
    return {
        f"n{when}": str(latencies.n),
        f"mean{when} [ms]": _ms(latencies.mean_s),
        **percentiles,
        f"max{when} [ms]": _ms(latencies.max_s),
        f"buckets{when}, up to [ms]": json.dumps({_ms(edge_s): count for edge_s, count in pairs if count}),
    }


def _ms(latency_s: float) -> str:
    return f"{latency_s * 1e3:.3f}"
