"""Clicks on screens as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.click_text import ClickedArea, ClickedMark, parse_click
from magma_ros.errors import MarkTextError


@pytest.mark.parametrize(
    ("text", "click"),
    [
        ("Coordinate: (0.31, 0.44). Mark: 12", ClickedMark(12)),
        ("Mark: 7.", ClickedMark(7)),
        ("Mark: 7, that is Mark: 7", ClickedMark(7)),
        ("<box>(100,200),(300,1000)</box>", ClickedArea(0.1, 0.2, 0.3, 1.0)),
        ("Mark: None <box>(100, 200), (300, 1000)</box>", ClickedArea(0.1, 0.2, 0.3, 1.0)),
        ("[0.25, 0.5]", ClickedArea(0.25, 0.5, 0.25, 0.5)),
        ("(0.1,0.2),(0.3,1.0).", ClickedArea(0.1, 0.2, 0.3, 1.0)),
    ],
)
def test_mark_box_and_point_are_read(text: str, click: ClickedMark | ClickedArea) -> None:
    """A mark comes before a box and a box before bare numbers."""
    assert click == parse_click(text)


def test_the_middle_of_an_area_is_where_to_click() -> None:
    """Of a point it is the point."""
    assert (0.5, 0.25) == ClickedArea(0.0, 0.0, 1.0, 0.5).centre
    assert (0.25, 0.5) == ClickedArea(0.25, 0.5, 0.25, 0.5).centre


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would click the button.",
        "Mark: 3 or Mark: 4",
        "Mark: 12345",
        "Mark: 3.5",
        "Landmark: 3",
        "Mark: -3",
        "Mark: \u0663",
        "<box>(100,200),(300,1001)</box>",
        "<box>(300,200),(100,400)</box>",
        "<box>(100,200)</box> 0.5 0.5",
        "<box>(1,2),(3,4)</box> <box>(5,6),(7,8)</box>",
        "<box>(1,2)</box> <box>(1,2),(3,4)</box>",
        "<box>(1,2),(3,4)",
        "-0.5, 0.5",
        "0.5e3, 0.5",
        "50.5%, 20.1%",
        "1.5, 0.5",
        "0.1 0.2 0.3",
        "0.1.2 0.3",
    ],
)
def test_what_was_not_said_clearly_is_refused(text: str) -> None:
    """Several marks, places off the screen, signs, exponents and wrong counts give no click."""
    with pytest.raises(MarkTextError):
        parse_click(text)


@given(st.text(alphabet="Mark: <box>()/,.0123456789-\n", max_size=60))
def test_any_text_is_a_click_on_the_screen_or_refused(text: str) -> None:
    """Whatever is said, a click lies on the screen or the one error is raised."""
    try:
        click = parse_click(text)
    except MarkTextError:
        return
    if isinstance(click, ClickedArea):
        assert 0.0 <= click.left <= click.right <= 1.0
        assert 0.0 <= click.top <= click.bottom <= 1.0
    else:
        assert f"Mark: {click.number}" in text or f"Mark:{click.number}" in text
