"""Where Magma's answer about a screen would click: a mark, a box or a point; nothing that was not said."""

from __future__ import annotations

import re
from dataclasses import dataclass

from magma_ros.errors import MarkTextError
from magma_ros.text_reader import shown

_CLICKED_MARK = re.compile(r"\bMark: ?([1-9][0-9]{0,3})(?!\.?[0-9])")
_CLICKED_BOX = re.compile(r"<box>\s*\(([0-9]{1,4}),\s*([0-9]{1,4})\),\s*\(([0-9]{1,4}),\s*([0-9]{1,4})\)\s*</box>")
_SHARE = re.compile(r"(?<![-0-9.])[0-9]{1,3}\.[0-9]{1,16}(?!\.?[0-9]|[eE%])")


@dataclass(frozen=True, slots=True)
class ClickedMark:
    """A click on the mark of this number."""

    number: int


@dataclass(frozen=True, slots=True)
class ClickedArea:
    """A click in the middle of a rectangle, or at a point, which is a rectangle without extent.

    Attributes:
        left, top, right, bottom: Shares of the picture's width and height, 0 … 1.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        """Where to click: shares of the picture's width and height."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def parse_click(text: str) -> ClickedMark | ClickedArea:
    """Where an answer about a screen would click.

    `Mark: n` comes first, then `<box>(x1,y1),(x2,y2)</box>` in thousandths, then two or four numbers with a decimal
    point, 0 … 1, of a point or a rectangle.

    Raises:
        MarkTextError: nothing of these, several different ones of a kind, or a place outside of the screen.
    """
    numbers = {int(said) for said in _CLICKED_MARK.findall(text)}
    if len(numbers) > 1:
        raise MarkTextError(f"expected one mark, got {sorted(numbers)} in {shown(text)}")
    if numbers:
        return ClickedMark(numbers.pop())
    if "<box" in text or "</box" in text:
        boxes = _CLICKED_BOX.findall(text)
        if len(set(boxes)) != 1 or not len(boxes) == text.count("<box") == text.count("</box"):
            raise MarkTextError(f"expected one <box>(x1,y1),(x2,y2)</box>, got {shown(text)}")
        return _area(tuple(int(side) / 1000.0 for side in boxes[0]), text)
    return _area(tuple(float(said) for said in _SHARE.findall(text)), text)


def _area(sides: tuple[float, ...], text: str) -> ClickedArea:
    if len(sides) not in (2, 4):
        raise MarkTextError(f"expected 'Mark: n', a <box>, or 2 or 4 decimal numbers, got {shown(text)}")
    left, top, right, bottom = sides if len(sides) == 4 else sides * 2
    if not (0.0 <= left <= right <= 1.0 and 0.0 <= top <= bottom <= 1.0):
        raise MarkTextError(f"expected left <= right and top <= bottom within the screen, got {list(sides)}")
    return ClickedArea(left, top, right, bottom)
