"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """So many of something that makes its plural with an s: `1 step`, `2 steps`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
