"""What stands in a section of the report, as text."""

from __future__ import annotations

import re
from html import unescape


def text(markup: str) -> str:
    """Without tags and the titles of drawings, one blank between words."""
    shown = re.sub(r"<svg.*?</svg>(?!</svg>)|<wbr>", "", markup, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", shown))).strip()


def cells(markup: str) -> list[list[str]]:
    """Of each row of each table."""
    rows = re.findall(r"<tr>(.*?)</tr>", markup, flags=re.DOTALL)
    return [[text(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL)] for row in rows]


def data(markup: str) -> list[str]:
    """The exact numbers that are there for programs."""
    return re.findall(r'<data value="([^"]*)">', markup)
