"""What a check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is: WARN works but not as it should, FAIL keeps something from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: What was looked at.
        verdict: How it is.
        found: What was found, with units.
        cure: What to do; empty when it is OK.
    """

    check: str
    verdict: Verdict
    found: str
    cure: str = ""


def ok(check: str, found: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Verdict.OK, found)


def warn(check: str, found: str, cure: str) -> Finding:
    """It works, but `cure` makes it better or has to be thought of."""
    return Finding(check, Verdict.WARN, found, cure)


def fail(check: str, found: str, cure: str) -> Finding:
    """It does not work until `cure`."""
    return Finding(check, Verdict.FAIL, found, cure)
