"""Charts as SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from magma_ros.sim.report.marks import (
    NUM_STYLES,
    RATE,
    Axis,
    Curve,
    Dot,
    difference_axis,
    dot_chart,
    legend,
    step_chart,
    whisker,
)

X = Axis("policy step", 0.0, 4.0, ((0, "0"), (2, "2"), (4, "4")))


def parsed(markup: str) -> ET.Element:
    return ET.fromstring(markup)  # noqa: S314 - our own


def texts(root: ET.Element, tag: str) -> list[str]:
    return [found.text for found in root.iter(tag)]


def test_a_whisker_is_drawn_where_its_numbers_are() -> None:
    """The dot at the estimate, the line between the ends, as percentages of the width; the title says it in words."""
    root = parsed(whisker(0.5, 0.25, 0.875, title="half"))
    line, dot = root.find("line"), root.find("svg")
    assert (line.get("x1"), line.get("x2")) == ("25%", "87.5%")
    assert dot.get("x") == "50%"
    assert root.get("role") == "img"
    assert texts(root, "title") == ["half"]


def test_differences_have_a_line_at_zero() -> None:
    """Whether an interval holds zero can be seen."""
    lines = parsed(whisker(-0.5, -0.9, 0.1, title="worse", axis=difference_axis(0.9))).findall("line")
    assert [(line.get("x1"), line.get("x2")) for line in lines[:2]] == [("50%", "50%"), ("5%", "55%")]
    assert not [line for line in parsed(whisker(0.5, 0.2, 0.8, title="")).iter("line") if line.get("class") == "zero"]


def test_the_axis_of_differences_is_as_wide_as_they_are() -> None:
    """About zero, in percentage points."""
    assert [difference_axis(largest).high for largest in (0.1, 0.25, 0.3, 1.0)] == [0.25, 0.25, 0.5, 1.0]
    expected = ["\N{MINUS SIGN}25.0 pp", "\N{MINUS SIGN}12.5 pp", "+0.0 pp", "+12.5 pp", "+25.0 pp"]
    assert [text for _, text in difference_axis(0.2).ticks] == expected
    assert [text for _, text in difference_axis(0.6).ticks][::2] == ["\N{MINUS SIGN}100 pp", "+0 pp", "+100 pp"]


def test_a_step_line_keeps_its_height_until_the_next_point() -> None:
    """Level, then up: never a slope; level stretches are drawn once."""
    curve = Curve("carrot", [1, 2, 3, 4], [0.0, 0.5, 0.5, 1.0], [0.0, 0.2, 0.2, 0.6], [0.4, 0.8, 0.8, 1.0])
    root = parsed(step_chart([curve], x=X, title="t", description="d"))
    band, line = (path.get("d") for path in root.iter("path"))
    assert line == "M250 1000H500V500H1000V0H1000"
    assert band == "M250 600H500V200H1000V0H1000V400H1000V800H500V1000H250Z"


def test_a_chart_says_what_it_shows() -> None:
    """Title, description, numbers and the label of x are there to be read out."""
    root = parsed(dot_chart([Dot(2, 0.5, 0.25, 1.0, "half at two", 1)], x=X, title="t", description="d"))
    drawing = root.find("svg")
    assert [drawing[0].text, drawing[1].text] == ["t", "d"]
    assert "half at two" in texts(root, "title")
    assert texts(root, "text") == ["0 %", "25 %", "50 %", "75 %", "100 %", "0", "2", "4"]
    assert root.find("p").text == "policy step"
    line = next(found for found in root.iter("line") if found.get("class") is None)
    assert (line.get("x1"), line.get("y1"), line.get("y2")) == ("50%", "0%", "75%")


def test_series_differ_in_shape() -> None:
    """Colour is never the only difference."""
    swatches = parsed(legend([str(i) for i in range(NUM_STYLES)])).iter("li")
    shapes = {re.sub("series-.", "", ET.tostring(row[0][1], encoding="unicode")) for row in swatches}
    assert len(shapes) == NUM_STYLES


@pytest.mark.parametrize(("value", "expected"), [(-3.0, 0.0), (0.5, 0.5), (9.0, 1.0)])
def test_nothing_is_drawn_beyond_the_axes(value: float, expected: float) -> None:
    """What lies beyond is at the end."""
    assert RATE.share(value) == expected
