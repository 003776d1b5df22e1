"""From recorded commands to a verdict: how long the arm was still told to move, and whether anything else was wrong."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from magma_ros.arm import Limits
from magma_ros.stops import StopReason

REST_M_S, REST_RAD_S = 1e-6, 1e-6
"""A command with speeds of at most this is zero [m/s, rad/s]."""

MOVING_S = 0.1
"""A fault counts only if the arm was told to move in so long a time before it [s]."""

STOP_S = 0.1
"""Allowed from a fault to the first command of zero, beside one command period [s]; the issue's number."""

DEATH_S = 0.2
"""The same when a process was killed [s]."""

NOT_MOVING = "the arm was not told to move before the fault: nothing was measured"

_SPEED_SLACK = 1e-3


@dataclass(frozen=True, slots=True)
class Sample:
    """One velocity command as it was received: when [s, CLOCK_MONOTONIC], and its lengths [m/s, rad/s]."""

    t_s: float
    speed_m_s: float
    speed_rad_s: float

    @property
    def is_zero(self) -> bool:
        """At rest; what is not finite is not."""
        return self.speed_m_s <= REST_M_S and self.speed_rad_s <= REST_RAD_S


@dataclass(frozen=True, slots=True)
class Position:
    """A setpoint as it was received: when [s], and where the end effector was told to be [m]."""

    t_s: float
    xyz_m: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Report:
    """A status as it was received: when [s], of which topic, with which reason, and whether the arm was halted."""

    t_s: float
    topic: str
    reason: str
    halted: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """One fault's result.

    Attributes:
        fault: Its name.
        stop_s: From its onset until the arm was no longer told to move [s]; infinite when that is not known.
        limit_s: What is allowed [s].
        reason: What the graph said about it; empty where nobody is left who could.
        problems: Everything that was not as it has to be; none is a pass.
        note: What else is worth knowing, such as times since the last good message.
    """

    fault: str
    stop_s: float
    limit_s: float
    reason: str = ""
    problems: tuple[str, ...] = ()
    note: str = ""

    @property
    def passed(self) -> bool:
        """Everything was as it has to be."""
        return not self.problems

    @property
    def is_void(self) -> bool:
        """The arm rested already when the fault began: neither a pass nor a failure of the graph."""
        return NOT_MOVING in self.problems


def was_moving(samples: Sequence[Sample], *, onset_s: float) -> bool:
    """Some command of the time just before `onset_s` was not zero."""
    return any(onset_s - MOVING_S <= sample.t_s <= onset_s and not sample.is_zero for sample in samples)


def stop_time(samples: Sequence[Sample], *, onset_s: float) -> float:
    """From `onset_s` to the first zero after the last command that was not; to that one where none came after it [s].

    So anything that is not zero, however late, makes it long. 0 where nothing came that was not zero.
    """
    after = [sample for sample in samples if sample.t_s > onset_s]
    moving = [index for index, sample in enumerate(after) if not sample.is_zero]
    if not moving:
        return 0.0
    return after[min(moving[-1] + 1, len(after) - 1)].t_s - onset_s


def time_problems(samples: Sequence[Sample], *, onset_s: float, limit_s: float) -> list[str]:
    """Why the stop after `onset_s` is no good stop."""
    stop_s = stop_time(samples, onset_s=onset_s)
    if not was_moving(samples, onset_s=onset_s):
        return [NOT_MOVING]
    return [] if stop_s <= limit_s else [f"the arm was told to move for {stop_s:.3f} s, allowed are {limit_s:.3f} s"]


def bound_problems(samples: Sequence[Sample], positions: Sequence[Position], limits: Limits) -> list[str]:
    """Commands faster than the arm may be, or not finite; setpoints outside of the workspace and its margin."""
    problems = []
    fastest_m_s = max((_finite(sample.speed_m_s) for sample in samples), default=0.0)
    fastest_rad_s = max((_finite(sample.speed_rad_s) for sample in samples), default=0.0)
    for fastest, allowed, unit in (
        (fastest_m_s, limits.max_speed_m_s, "m/s"),
        (fastest_rad_s, limits.max_speed_rad_s, "rad/s"),
    ):
        if fastest > allowed * (1 + _SPEED_SLACK):
            problems.append(f"commanded {fastest:.4f} {unit}, allowed are {allowed}")
    box, margin = limits.workspace, limits.workspace.margin_m
    for axis, low_m, high_m in zip(range(3), box.min_m, box.max_m, strict=True):
        outside = [p.xyz_m[axis] for p in positions if not low_m - margin <= p.xyz_m[axis] <= high_m + margin]
        if outside:
            problems.append(f"setpoint outside of the workspace: {'xyz'[axis]} {outside[0]:.3f} m")
    return problems


def reason_problems(
    reports: Sequence[Report], *, onset_s: float, reasons: Sequence[StopReason], halts: bool
) -> list[str]:
    """Nothing where one of `reasons` was reported after `onset_s`, by a halted motion node if it `halts`."""
    after = [report for report in reports if report.t_s > onset_s and report.reason]
    expected = {reason.value for reason in reasons}
    named = [report for report in after if report.reason in expected]
    if not expected:
        return []
    if not named:
        heard = sorted({report.reason for report in after})
        return [f"expected the reason {' or '.join(sorted(expected))}, heard {', '.join(heard) or 'none'}"]
    if halts and not any(report.halted for report in after):
        return [f"{named[0].reason}: expected the arm to be halted until a person resets it, it was not"]
    return []


def reported(reports: Sequence[Report], *, onset_s: float, reasons: Sequence[StopReason]) -> str:
    """The reason that was heard after `onset_s`: an expected one, else the first."""
    heard = [report.reason for report in reports if report.t_s > onset_s and report.reason]
    expected = {reason.value for reason in reasons}
    return next((reason for reason in heard if reason in expected), heard[0] if heard else "")


def closest_pair(times_s: Sequence[float]) -> float:
    """Shortest time between two successive events [s]; infinite for fewer than two."""
    return min((later - earlier for earlier, later in itertools.pairwise(times_s)), default=math.inf)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf
