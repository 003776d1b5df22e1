"""What the pages of this room share: a file that needs nothing else, in light and dark, and tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from magma_ros.markup import Markup, document, element

_STYLE = Path(__file__).parent / "quality" / "page.css"


def page(title: str, sections: Iterable[Any]) -> str:
    """The whole HTML file."""
    return document(title, sections, style=_STYLE.read_text(encoding="utf-8"))


def table(headings: tuple[str, ...], rows: list[Markup]) -> Markup:
    """A table that scrolls by itself where the window is narrow."""
    head = element("tr", [element("th", heading, scope="col") for heading in headings])
    return element("div", element("table", element("thead", head), element("tbody", rows)), class_="wide")
