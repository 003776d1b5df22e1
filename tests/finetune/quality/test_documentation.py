"""The page of the manual lists what there is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from magma_ros.finetune.quality import CODES, Thresholds

DOCUMENT = Path(__file__).parents[3] / "docs" / "data_quality.md"


def test_every_code_and_every_limit_is_documented() -> None:
    """With its name in code letters, and the value of each limit."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [] == [code for code in CODES if f"| `{code}` |" not in text]
    limits = Thresholds()
    rows = [f"| `--{f.name.replace('_', '-')}` | {getattr(limits, f.name):g} |" for f in fields(limits)]
    assert [] == [row for row in rows if row not in text]
