"""What the activation gate reports: checks with numbers, cost, runtime and warnings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["passed", "failed", "not_measured"]


@dataclass(frozen=True, slots=True)
class ActivationCheck:
    """One thing that must hold.

    Attributes:
        name: For programs; the name of a camera may follow a colon.
        outcome: `not_measured` only beside a failed check, whose fault left nothing to measure.
        value, threshold: What was measured and the bound that it must keep; NaN where there is none.
        detail: What was measured and what was expected, for people.
        advice: What to look at when it failed.
    """

    name: str
    outcome: Outcome
    value: float
    threshold: float
    detail: str
    advice: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; a number that is not finite is None."""
        numbers = {"value": self.value, "threshold": self.threshold}
        plain = {key: number if math.isfinite(number) else None for key, number in numbers.items()}
        return {"name": self.name, "outcome": self.outcome, **plain, "detail": self.detail, "advice": self.advice}


@dataclass(frozen=True, slots=True)
class ActivationReport:
    """What the gate saw.

    Attributes:
        checks: Every check, in the order in which it ran.
        num_calls: Calls of the model.
        elapsed_s: Time that the gate took [s].
        runtime: Precision, device, quantisation and library versions that it ran with.
        warnings: What is unusual without being a reason to refuse.
    """

    checks: tuple[ActivationCheck, ...]
    num_calls: int
    elapsed_s: float
    runtime: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def failed(self) -> tuple[ActivationCheck, ...]:
        """The checks that failed; the policy may act when there are none."""
        return tuple(check for check in self.checks if check.outcome == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, for a status or `magma-ros inspect`."""
        return {
            "passed": not self.failed,
            "checks": [check.to_dict() for check in self.checks],
            "num_calls": self.num_calls,
            "elapsed_s": self.elapsed_s,
            "runtime": dict(self.runtime),
            "warnings": list(self.warnings),
        }


def at_most(name: str, value: float | None, threshold: float, what: str, advice: str) -> ActivationCheck:
    """The check that `value` of `what` does not exceed `threshold`; None when it could not be measured."""
    return _compared(name, value, threshold, what, advice, "at most")


def at_least(name: str, value: float | None, threshold: float, what: str, advice: str) -> ActivationCheck:
    """The check that `value` of `what` reaches `threshold`; None when it could not be measured."""
    return _compared(name, value, threshold, what, advice, "at least")


def judged(
    name: str, *, holds: bool, detail: str, advice: str, value: float = math.nan, threshold: float = math.nan
) -> ActivationCheck:
    """A check that the caller decided itself."""
    return ActivationCheck(name, "passed" if holds else "failed", float(value), float(threshold), detail, advice)


def _compared(
    name: str, value: float | None, threshold: float, what: str, advice: str, word: Literal["at most", "at least"]
) -> ActivationCheck:
    if value is None:
        return ActivationCheck(name, "not_measured", math.nan, threshold, f"{what}: nothing to measure", advice)
    holds = value <= threshold if word == "at most" else value >= threshold
    detail = f"{what}: expected {word} {threshold:.6g}, got {value:.6g}"
    return judged(name, holds=holds, value=value, threshold=threshold, detail=detail, advice=advice)
