"""The doctor's findings as a table for people, or as plain values for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from magma_ros.doctor.finding import Finding, Verdict

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


def to_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """For JSON: `healthy` when nothing failed, and every finding."""
    return {"healthy": is_healthy(findings), "findings": [asdict(found) for found in findings]}


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print every finding, its cure below it, and how many there are of each verdict."""
    table = Table(show_lines=False, expand=True)
    table.add_column("check", ratio=3)
    table.add_column("", width=4)
    table.add_column("found, and the cure", ratio=13, overflow="fold")
    for finding in findings:
        cure = f"\n→ {finding.cure}" if finding.cure else ""
        table.add_row(finding.check, f"[{_STYLES[finding.verdict]}]{finding.verdict}[/]", _plain(finding.found + cure))
    console.print(table)
    counts = Counter(finding.verdict for finding in findings)
    console.print(", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed; warnings are allowed."""
    return all(finding.verdict is not Verdict.FAIL for finding in findings)


def _plain(text: str) -> str:
    """`text` without the meaning that Rich gives to square brackets."""
    return text.replace("[", r"\[")
