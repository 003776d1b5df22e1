"""Lines, bars and thumbnails: where they are drawn, to the tenth of a unit on a canvas of 1000 by 100."""

from __future__ import annotations

import base64
import re
from importlib import resources
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.quality.drawing import bars, curves, strip
from magma_ros.markup import Markup


def parsed(figure: Markup) -> ET.Element:
    """Its elements."""
    return ET.fromstring(figure)  # noqa: S314 # made by the test


def drawn(figure: Markup, name: str) -> list[dict[str, str]]:
    """Attributes of all elements of that name, in order."""
    return [dict(found.attrib) for found in parsed(figure).iter(name)]


def test_a_line_runs_from_the_first_step_to_the_last_between_zero_and_its_top() -> None:
    """Zero is at 97 from above and the top at 3; what is beyond either is drawn at it."""
    (path,) = drawn(curves("speed", [("commanded", [0.0, 1.0, 2.0, 9.0, -1.0], 2.0)], num_steps=5), "path")
    assert {"d": "M0.0 97.0L250.0 50.0L500.0 3.0L750.0 3.0L1000.0 97.0", "class": "first"} == path


def test_two_lines_have_their_own_tops_and_styles() -> None:
    """A measurement between steps ends one step early; names and dashes are below the drawing, the title in it."""
    figure = curves("speed <m/s>", [("told", [1, 1], 4), ("done", [1], 2)], num_steps=2)
    assert ["M0.0 73.5L1000.0 73.5", "M0.0 50.0"] == [path["d"] for path in drawn(figure, "path")]
    assert ["first", "second"] == [path["class"] for path in drawn(figure, "path")]
    caption = parsed(figure).find("figcaption")
    assert caption is not None
    assert [("first", "— told"), ("second", "- - done")] == [(span.attrib["class"], span.text) for span in caption]
    assert "speed <m/s>" == parsed(figure).findtext("svg/title")


def test_three_lines_can_be_told_apart_and_a_fourth_is_refused() -> None:
    """The third has a style and dashes of its own, which the page knows; for a fourth there is none."""
    lines = [(name, [1.0], 1.0) for name in ("told", "done", "seen", "wished")]
    figure = curves("speed", lines[:3], num_steps=1)
    assert ["first", "second", "third"] == [path["class"] for path in drawn(figure, "path")]
    caption = parsed(figure).find("figcaption")
    assert caption is not None
    assert ["— told", "- - done", "· · seen"] == [span.text for span in caption]
    style = resources.files("magma_ros.finetune.quality").joinpath("page.css").read_text(encoding="utf-8")
    assert all(f"svg .{name}" in style and style.count(f"--{name}:") == 2 for name in ("first", "second", "third"))
    with pytest.raises(InvalidInputError, match="at most 3 lines, got 4"):
        curves("speed", lines, num_steps=1)


@pytest.mark.parametrize(
    ("values", "top", "expected"), [([0.5], 0.0, "M0.0 50.0"), ([0.0], 0.0, "M0.0 97.0"), ([], 1.0, "M")]
)
def test_a_line_of_one_step_or_without_a_top_is_drawn(values: list[float], top: float, expected: str) -> None:
    """Nothing is divided by zero: an episode of one step is at the left, and a top of zero counts as one."""
    (path,) = drawn(curves("speed", [("told", values, top)], num_steps=1), "path")
    assert expected == path["d"]


def test_marked_stretches_are_shaded_behind_the_lines() -> None:
    """From the first step to the last, over the whole height; a single step is 4 units wide, so that it is seen."""
    figure = curves("speed", [("told", np.zeros(5), 1.0)], num_steps=5, marked=[(1, 3), (4, 4)])
    shades = [(rect["x"], rect["y"], rect["width"], rect["height"], rect["class"]) for rect in drawn(figure, "rect")]
    assert [("250.0", "0", "500.0", "100", "marked"), ("1000.0", "0", "4.0", "100", "marked")] == shades
    canvas = parsed(figure).find("svg")
    assert canvas is not None
    assert ["title", "rect", "rect", "path"] == [child.tag for child in canvas]
    assert {"viewBox": "0 0 1000 100", "preserveAspectRatio": "none", "role": "img"} == canvas.attrib


def test_bars_stand_on_the_ground_and_the_highest_fills_the_canvas() -> None:
    """Side by side with a tenth of each place free, the lower ones in proportion."""
    figure = bars("lags", [1.0, 4.0, 2.0, 0.0])
    assert [
        {"x": "0.0", "y": "75.0", "width": "225.00", "height": "25.0", "class": "bar"},
        {"x": "250.0", "y": "0.0", "width": "225.00", "height": "100.0", "class": "bar"},
        {"x": "500.0", "y": "50.0", "width": "225.00", "height": "50.0", "class": "bar"},
        {"x": "750.0", "y": "100.0", "width": "225.00", "height": "0.0", "class": "bar"},
    ] == drawn(figure, "rect")
    assert "lags" == parsed(figure).findtext("figcaption")


def test_bars_of_nothing_and_of_zeros_are_drawn() -> None:
    """No value gives no bar; zeros give bars without a height."""
    assert [] == drawn(bars("lags", []), "rect")
    assert [("0.0", "100.0")] == [(rect["height"], rect["y"]) for rect in drawn(bars("lags", [0.0]), "rect")]


def thumbnails(pictures: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """What is said about each thumbnail, and what it shows."""
    shown = []
    for tag in re.findall(r"<img[^>]*>", strip("wrist", pictures)):
        values = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        data = base64.b64decode(values["src"].removeprefix("data:image/jpeg;base64,"), validate=True)
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert (int(values["height"]), int(values["width"])) == picture.shape[:2]
        assert values["alt"] == values["title"]
        shown.append((values["alt"], picture))
    return shown


@pytest.mark.parametrize(
    ("num_pictures", "steps"), [(1, [0]), (3, [0, 1, 2]), (6, [0, 1, 2, 3, 4, 5]), (11, [0, 2, 4, 6, 8, 10])]
)
def test_a_strip_shows_at_most_six_pictures_from_the_first_to_the_last(num_pictures: int, steps: list[int]) -> None:
    """Each once, evenly spaced, and it is the picture that it says."""
    levels = (20 * np.arange(num_pictures)).astype(np.uint8)
    found = thumbnails(np.broadcast_to(levels[:, None, None, None], (num_pictures, 8, 8, 3)))
    assert [f"wrist, step {step}" for step in steps] == [words for words, _ in found]
    for step, (_, picture) in zip(steps, found, strict=True):
        assert abs(float(picture.mean()) - 20 * step) < 2


@pytest.mark.parametrize(
    ("size", "expected"),
    [((192, 256), (96, 128)), ((50, 100), (50, 100)), ((300, 128), (300, 128)), ((1, 300), (1, 128))],
)
def test_thumbnails_are_at_most_128_px_wide_and_keep_their_shape(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Small pictures stay as they are, and a flat one keeps a row."""
    ((_, picture),) = thumbnails(np.zeros((1, *size, 3), np.uint8))
    assert expected == picture.shape[:2]


def test_thumbnails_keep_their_colours() -> None:
    """Red stays red."""
    ((_, picture),) = thumbnails(np.broadcast_to(np.array([200, 30, 60], np.uint8), (1, 16, 16, 3)))
    np.testing.assert_allclose([200, 30, 60], picture.mean(axis=(0, 1)), atol=4)
