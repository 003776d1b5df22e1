"""Small drawings for the page: lines over the steps of an episode, bars, and strips of thumbnails as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from magma_ros import images
from magma_ros.errors import InvalidInputError
from magma_ros.markup import Markup, element
from magma_ros.types import FloatArray, ImageArray

_WIDTH, _HEIGHT = 1000.0, 100.0
_THUMBNAIL_PX = 128
_NUM_THUMBNAILS = 6
_QUALITY = 72
_STYLES = {"first": "— ", "second": "- - ", "third": "· · "}
"""Of a line: its class in the page's style sheet, and its dashes before its name."""


def curves(
    title: str, lines: Sequence[tuple[str, ArrayLike, float]], *, num_steps: int, marked: Iterable[tuple[int, int]] = ()
) -> Markup:
    """Up to three lines over the steps of an episode.

    Args:
        title: What is drawn.
        lines: Name, a value for each step from the first on, and the value at the top of the drawing; zero is below.
        num_steps: Of the episode: the width.
        marked: First and last step of each stretch that is shaded.

    Raises:
        InvalidInputError: more lines than can be told apart.
    """
    if len(lines) > len(_STYLES):
        raise InvalidInputError(f"{title}: expected at most {len(_STYLES)} lines, got {len(lines)}")
    shades = [_shade(first, last, num_steps) for first, last in marked]
    paths = [_path(values, top, num_steps, style) for (_, values, top), style in zip(lines, _STYLES, strict=False)]
    names = [
        element("span", dashes, line[0], class_=style)
        for line, (style, dashes) in zip(lines, _STYLES.items(), strict=False)
    ]
    return element("figure", _canvas(title, [*shades, *paths]), element("figcaption", [[name, " "] for name in names]))


def bars(title: str, values: Sequence[float]) -> Markup:
    """A bar for each value, from zero."""
    wide, top = _WIDTH / max(1, len(values)), max([*values, 1e-12])
    drawn = [
        element(
            "rect", x=f"{i * wide:.1f}", y=f"{_HEIGHT * (1 - value / top):.1f}", width=f"{0.9 * wide:.2f}",
            height=f"{_HEIGHT * value / top:.1f}", class_="bar",
        )
        for i, value in enumerate(values)
    ]  # fmt: skip
    return element("figure", _canvas(title, drawn), element("figcaption", title, class_="muted"))


def strip(camera: str, pictures: ImageArray) -> Markup:
    """Evenly spaced pictures of one camera, (T, height, width, 3), first and last among them."""
    steps = np.unique(np.linspace(0, len(pictures) - 1, _NUM_THUMBNAILS).round().astype(int))
    return element("div", [_thumbnail(camera, int(step), pictures[step]) for step in steps], class_="strip")


def _thumbnail(camera: str, step: int, picture: ImageArray) -> Markup:
    height, width, _ = picture.shape
    width_px = min(_THUMBNAIL_PX, width)
    small = images.resize(picture, height_px=max(1, round(height * width_px / width)), width_px=width_px)
    _, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    source = "data:image/jpeg;base64," + base64.b64encode(bytes(data)).decode("ascii")
    words = f"{camera}, step {step}"
    return element("img", src=source, alt=words, title=words, width=width_px, height=small.shape[0])


def _canvas(title: str, children: Iterable[Markup]) -> Markup:
    return element(
        "svg",
        element("title", title),
        list(children),
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        role="img",
    )


def _shade(first: int, last: int, num_steps: int) -> Markup:
    left, right = (_across(step, num_steps) for step in (first, last))
    return element(
        "rect", x=f"{left:.1f}", y=0, width=f"{max(right - left, 4.0):.1f}", height=f"{_HEIGHT:g}", class_="marked"
    )


def _path(values: ArrayLike, top: float, num_steps: int, style: str) -> Markup:
    heights: FloatArray = np.clip(np.asarray(values, np.float64) / (top or 1.0), 0.0, 1.0)
    points = [f"{_across(i, num_steps):.1f} {_HEIGHT * (0.97 - 0.94 * h):.1f}" for i, h in enumerate(heights)]
    return element("path", d="M" + "L".join(points), class_=style)


def _across(step: int, num_steps: int) -> float:
    return _WIDTH * step / max(1, num_steps - 1)
