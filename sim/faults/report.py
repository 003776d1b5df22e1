"""Measurements as lines for a person, as JSON, and as the table of docs/safety.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from magma_ros.sim.faults.catalogue import BY_NAME
from magma_ros.sim.faults.fault import Fault
from magma_ros.sim.faults.measuring import Measurement
from magma_ros.wording import counted


def line(measurement: Measurement) -> str:
    """One line; a failure says what was wrong on further ones."""
    verdict = "PASS" if measurement.passed else "FAIL"
    times = f"{_ms(measurement.stop_s)} of {_ms(measurement.limit_s)}"
    text = f"{measurement.fault:<26}{verdict}  {times}  {measurement.reason}"
    return "\n".join([text.rstrip(), *(f"    {problem}" for problem in measurement.problems)])


def verdict(measurements: Sequence[Measurement]) -> str:
    """The last line."""
    failed = [measurement.fault for measurement in measurements if not measurement.passed]
    if failed:
        return f"FAIL: {len(failed)} of {counted(len(measurements), 'fault')}: {', '.join(failed)}"
    slowest = max((measurement.stop_s for measurement in measurements), default=0.0)
    return f"PASS: {counted(len(measurements), 'fault')}, the slowest stop took {slowest:.3f} s"


def to_dict(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Plain JSON values; a time that is not known is null."""
    rows = [
        {
            "fault": m.fault,
            "what": BY_NAME[m.fault].what,
            "demand": BY_NAME[m.fault].demand.value,
            "stop_s": _finite(m.stop_s),
            "limit_s": _finite(m.limit_s),
            "reason": m.reason,
            "passed": m.passed,
            "problems": list(m.problems),
        }
        for m in measurements
    ]
    return {"passed": all(m.passed for m in measurements), "faults": rows}


def markdown(measurements: Sequence[Measurement]) -> str:
    """A table; several measurements of one fault are one row with their median and their slowest."""
    heads = ("fault", "what is broken", "what follows", "median", "slowest", "allowed", "reported reason", "passed")
    names = dict.fromkeys(m.fault for m in measurements)
    rows = [_row(BY_NAME[name], [m for m in measurements if m.fault == name]) for name in names]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n".join(lines)


def _row(fault: Fault, same: Sequence[Measurement]) -> tuple[str, ...]:
    times_s = sorted(m.stop_s for m in same)
    return (
        f"`{fault.name}`",
        fault.what,
        fault.demand.value,
        _ms(times_s[len(times_s) // 2]).strip(),
        _ms(times_s[-1]).strip(),
        _ms(same[0].limit_s).strip(),
        ", ".join(sorted({m.reason for m in same if m.reason})),
        f"{sum(m.passed for m in same)}/{len(same)}",
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:4.0f} ms" if math.isfinite(seconds) else "   ? ms"


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
