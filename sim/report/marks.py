"""Charts as SVG: axes, dots with whiskers, step lines with bands.

A chart is as wide as the page lets it: places along an axis are percentages of the drawing, sizes of letters and dots
are pixels. Colours are the page's (`page.css`), and no colour speaks alone: series differ in shape and stroke too.
What a chart shows is in its title, its description and the title of each mark, for those who hear it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from magma_ros.markup import Markup, element
from magma_ros.sim.report.figures import points

_ROW_PX = 24
_GRID = 1000.0
"""Units of a line's own coordinates, in both directions."""
NUM_STYLES = 5
"""Series that look different; further ones begin anew."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What one direction means.

    Attributes:
        label: Quantity and unit; empty where the words around a chart say it.
        low, high: Ends of the drawing.
        ticks: (value, text) of each number beside it.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """How far along the drawing, 0 … 1; what lies beyond it is at its end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def percent(self, value: float) -> str:
        """The same, as SVG writes it."""
        return _percent(self.share(value))


RATE = Axis("success rate", 0.0, 1.0, tuple((share / 4, f"{25 * share} %") for share in range(5)))
_DIFFERENCES = (0.25, 0.5, 1.0)


def difference_axis(largest: float) -> Axis:
    """An axis about zero for differences of shares that go up to `largest`, either way."""
    high = next(end for end in _DIFFERENCES if largest <= end)
    ticks = tuple((share * high, points(share * high, n=1 if high > 0.25 else 1000)) for share in (-1, -0.5, 0, 0.5, 1))
    return Axis("difference", -high, high, ticks)


@dataclass(frozen=True, slots=True)
class Dot:
    """An estimate with its interval, somewhere along x.

    Attributes:
        x, y, low, high: In the units of the axes; low <= y <= high.
        title: What it says, for those who point at it or hear it.
        style: Number of its series.
    """

    x: float
    y: float
    low: float
    high: float
    title: str
    style: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """A line that keeps its height until the next point, in a band; all shapes are (N,), x rises."""

    title: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike
    high: ArrayLike
    style: int = 0


def whisker(y: float, low: float, high: float, *, title: str, axis: Axis = RATE, style: int = 0) -> Markup:
    """A dot on a line from `low` to `high`, lying: for the row of a table."""
    middle, ends = _ROW_PX / 2, (axis.percent(low), axis.percent(high))
    caps = [element("line", x1=end, x2=end, y1=middle - 4, y2=middle + 4) for end in ends]
    zero = axis.percent(0.0)
    return element(
        "svg",
        element("title", title),
        element("line", x1=zero, x2=zero, y1="0", y2="100%", class_="zero") if axis.low < 0 else None,
        element("line", x1=ends[0], x2=ends[1], y1=middle, y2=middle),
        caps,
        _shape(axis.percent(y), f"{middle:g}", style),
        class_=f"whisker {_series(style)}",
        width="100%",
        height=_ROW_PX,
        role="img",
    )


def scale(axis: Axis = RATE) -> Markup:
    """The numbers below a column of whiskers."""
    texts = [
        element("text", text, x=axis.percent(value), y=13, text_anchor="middle", class_="tick")
        for value, text in axis.ticks
    ]
    return element("svg", texts, class_="scale", width="100%", height=18, aria_hidden="true")


def step_chart(curves: Sequence[Curve], *, x: Axis, y: Axis = RATE, title: str, description: str) -> Markup:
    """Step lines with bands."""
    lines = [
        element("g", _band(c, x, y), _line(c, x, y), element("title", c.title), class_=_series(c.style)) for c in curves
    ]
    inside = element(
        "svg",
        lines,
        viewBox=f"0 0 {_GRID:g} {_GRID:g}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )
    return _chart([inside], x=x, y=y, title=title, description=description)


def dot_chart(dots: Sequence[Dot], *, x: Axis, y: Axis = RATE, title: str, description: str) -> Markup:
    """Dots with standing whiskers."""
    return _chart([_standing(dot, x, y) for dot in dots], x=x, y=y, title=title, description=description)


def legend(names: Sequence[str]) -> Markup:
    """How each series looks, in order."""
    rows = []
    for style, name in enumerate(names):
        line = element("line", x1="0", x2="100%", y1="50%", y2="50%")
        swatch = element(
            "svg", line, _shape("50%", "50%", style), class_=f"whisker {_series(style)}", height=14, aria_hidden="true"
        )
        rows.append(element("li", swatch, name))
    return element("ul", rows, class_="legend")


def _chart(inside: Iterable[Markup], *, x: Axis, y: Axis, title: str, description: str) -> Markup:
    """The drawing in its axes; `page.css` keeps room around it for numbers and labels."""
    drawing = element(
        "svg",
        element("title", title),
        element("desc", description),
        [_horizontal(value, text, y) for value, text in y.ticks],
        [_vertical(value, text, x) for value, text in x.ticks],
        list(inside),
        class_="drawing",
        width="100%",
        height="100%",
        role="img",
    )
    return element("div", drawing, element("p", x.label, class_="x-label"), class_="chart")


def _horizontal(value: float, text: str, axis: Axis) -> Markup:
    height = _percent(1 - axis.share(value))
    line = element("line", x1="0", x2="100%", y1=height, y2=height, class_="grid")
    return element("g", line, element("text", text, x=-8, y=height, dy="0.32em", text_anchor="end", class_="tick"))


def _vertical(value: float, text: str, axis: Axis) -> Markup:
    place = axis.percent(value)
    line = element("line", x1=place, x2=place, y1="0", y2="100%", class_="grid")
    return element("g", line, element("text", text, x=place, y="100%", dy="1.4em", text_anchor="middle", class_="tick"))


def _standing(dot: Dot, x: Axis, y: Axis) -> Markup:
    place = x.percent(dot.x)
    top, middle, bottom = (_percent(1 - y.share(value)) for value in (dot.high, dot.y, dot.low))
    return element(
        "g",
        element("title", dot.title),
        element("line", x1=place, x2=place, y1=top, y2=bottom),
        _shape(place, middle, dot.style),
        class_=f"whisker {_series(dot.style)}",
    )


def _shape(x: str, y: str, style: int) -> Markup:
    """A disc, square, diamond, ring or cross: series can be told apart without colour."""
    inner = {
        0: element("circle", r=5),
        1: element("rect", x=-4.5, y=-4.5, width=9, height=9),
        2: element("path", d="M0 -6.5L6.5 0L0 6.5L-6.5 0Z"),
        3: element("circle", r=4.5, class_="hollow"),
        4: element("path", d="M-5 -5L5 5M-5 5L5 -5", class_="hollow"),
    }[style % NUM_STYLES]
    return element("svg", inner, x=x, y=y, overflow="visible", class_="dot")


def _line(curve: Curve, x: Axis, y: Axis) -> Markup:
    return element("path", d="M" + _steps(*_placed(curve.x, curve.y, x, y)), class_="line")


def _band(curve: Curve, x: Axis, y: Axis) -> Markup:
    there = _steps(*_placed(curve.x, curve.high, x, y))
    across, heights = _placed(curve.x, curve.low, x, y)
    changes = [i for i in range(len(across) - 1, 0, -1) if heights[i] != heights[i - 1]]
    back = "".join(f"H{across[i]:g}V{heights[i - 1]:g}" for i in changes)
    return element("path", d=f"M{there}V{heights[-1]:g}{back}H{across[0]:g}Z", class_="band")


def _steps(across: list[float], heights: list[float]) -> str:
    """Points of a line that is level up to the next x; level stretches are one."""
    changes = [i for i in range(1, len(across)) if heights[i] != heights[i - 1]]
    turns = "".join(f"H{across[i]:g}V{heights[i]:g}" for i in changes)
    return f"{across[0]:g} {heights[0]:g}{turns}H{across[-1]:g}"


def _placed(values: ArrayLike, heights: ArrayLike, x: Axis, y: Axis) -> tuple[list[float], list[float]]:
    across = [round(_GRID * x.share(float(value)), 2) for value in np.asarray(values)]
    return across, [round(_GRID * (1 - y.share(float(height))), 2) for height in np.asarray(heights)]


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _series(style: int) -> str:
    return f"series-{style % NUM_STYLES}"
