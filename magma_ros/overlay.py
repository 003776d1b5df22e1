"""Pictures for people: what the camera sees, what is done about it, and why the arm holds; nothing acts on them.

The picture is brought to one width, so that the text can be read whatever the camera's size and that the cost of a
picture is bounded. Bands above and below carry the text, an inset carries the gauge of the action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from magma_ros.images import check_image, resize
from magma_ros.types import Action, FloatArray, ImageArray

WIDTH_PX = 640
"""Of every annotated picture [px]."""
MAX_HEIGHT_PX = 960
"""Of the camera's part; a picture that is higher for its width is squeezed [px]."""
HEADER_PX, FOOTER_PX = 28, 50
"""Heights of the two bands [px]."""

Colour = tuple[int, int, int]
_INK, _MUTED, _BAND = (240, 240, 240), (165, 165, 165), (24, 26, 31)
_GREEN, _AMBER = (80, 200, 120), (250, 180, 40)
RED = (220, 40, 40)
"""Of a halt, and of nothing else that is drawn."""
_GAUGE_PX, _GAUGE_WIDTH_PX = 96, 212
_MARGIN_PX, _TEXT_PX, _FRAME_PX = 8, 18, 6
_MAX_LETTERS = 96
_FAR_PX, _TIP_PX = 10_000.0, 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What fills the gauge: the longest step of the arm, translation [m] and rotation [rad]."""

    translation_m: float
    rotation_rad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What is said about a picture.

    Attributes:
        instruction: The operator's sentence; letters outside of ASCII show as `?`.
        policy, motion: State of either node, with the reason when it is one of not moving.
        latency_s: From the capture to the action [s]; None before the first action.
        detail: One more sentence, cut where the picture ends.
        is_halted, is_dry_run: Shown so that nobody overlooks them.
        is_moving: The motion's state is shown in green.
    """

    instruction: str
    policy: str
    motion: str
    latency_s: float | None = None
    detail: str = ""
    is_halted: bool = False
    is_dry_run: bool = False
    is_moving: bool = False


def annotate(
    image: ImageArray, caption: Caption, action: Action | None, scale: Scale, *, traces: Sequence[FloatArray] = ()
) -> ImageArray:
    """A new picture, `WIDTH_PX` wide and `HEADER_PX + FOOTER_PX` higher than `image` at that width.

    Args:
        image: What the camera sees, (height, width, 3) uint8 RGB.
        caption: What is said about it.
        action: What is done about it, drawn as a gauge; None draws none.
        scale: What fills the gauge.
        traces: Paths, each (n, 2) (x, y) in pixels of `image`, drawn from a dot on; what is no number draws none.

    Raises:
        InvalidInputError: `image` is not a picture.
    """
    height, width, _ = check_image(image).shape
    shown_px = min(MAX_HEIGHT_PX, max(_GAUGE_PX + 2 * _MARGIN_PX, round(height * WIDTH_PX / width)))
    canvas = np.empty((HEADER_PX + shown_px + FOOTER_PX, WIDTH_PX, 3), np.uint8)
    canvas[:HEADER_PX], canvas[-FOOTER_PX:] = _BAND, _BAND
    view = canvas[HEADER_PX:-FOOTER_PX]
    view[:] = resize(image, height_px=shown_px, width_px=WIDTH_PX)
    for trace in traces:
        _draw_trace(view, (trace + 0.5) * (WIDTH_PX / width, shown_px / height) - 0.5)
    _write_bands(canvas, caption)
    if action is not None:
        corner = view[-_GAUGE_PX - _MARGIN_PX : -_MARGIN_PX, _MARGIN_PX : _MARGIN_PX + _GAUGE_WIDTH_PX]
        corner //= 4
        _draw_gauge(corner, action, scale)
    if caption.is_dry_run:
        _write(view, "DRY RUN", (WIDTH_PX - 128, 30), _AMBER, size=0.8, thickness=2)
    if caption.is_halted:
        _draw_halt(view)
    return canvas


def _write_bands(canvas: ImageArray, caption: Caption) -> None:
    foot = len(canvas) - FOOTER_PX + _TEXT_PX
    _write(canvas, caption.instruction or "(no instruction)", (_MARGIN_PX, 19), _INK if caption.instruction else _MUTED)
    _write(canvas, f"policy {caption.policy}", (_MARGIN_PX, foot), _INK)
    colour = RED if caption.is_halted else _GREEN if caption.is_moving else _AMBER
    _write(canvas, f"motion {caption.motion}", (250, foot), colour)
    latency = "" if caption.latency_s is None else f"latency {1000 * caption.latency_s:.0f} ms"
    _write(canvas, latency, (WIDTH_PX - 124, foot), _INK)
    _write(canvas, caption.detail, (_MARGIN_PX, foot + _TEXT_PX + 4), _MUTED)


def _draw_trace(view: ImageArray, points: FloatArray) -> None:
    """A dot where it begins, and a line to an arrow's head; far outside of the picture it is cut off."""
    if not np.isfinite(points).all() or len(points) < 2:
        return
    places = np.rint(np.clip(points, -_FAR_PX, _FAR_PX)).astype(np.int32)
    cv2.polylines(view, [places[:-1]], False, _AMBER, 2, cv2.LINE_AA)  # noqa: FBT003  OpenCV's signature
    tip = _TIP_PX / max(_TIP_PX, float(np.linalg.norm(places[-1] - places[-2])))
    cv2.arrowedLine(view, places[-2].tolist(), places[-1].tolist(), _AMBER, 2, cv2.LINE_AA, tipLength=tip)
    cv2.circle(view, places[0].tolist(), 4, _AMBER, -1, cv2.LINE_AA)


def _draw_gauge(corner: ImageArray, action: Action, scale: Scale) -> None:
    """Forwards up and left to the left, as seen along the arm from its base; bars of z and rotation; the jaws."""
    half, radius = _GAUGE_PX // 2, _GAUGE_PX // 2 - 10
    translation = _shares(action.translation_m, scale.translation_m)
    rotation = _shares(action.rotation_vector_rad, scale.rotation_rad)
    cv2.circle(corner, (half, half), radius, _MUTED, 1, cv2.LINE_AA)
    tip = (round(half - radius * translation[1]), round(half - radius * translation[0]))
    cv2.arrowedLine(corner, (half, half), tip, _GREEN, 2, cv2.LINE_AA, tipLength=0.3)
    _write(corner, "xy", (3, 12), _MUTED, size=0.35)
    for index, (name, share) in enumerate(zip(("z", "rx", "ry", "rz"), [translation[2], *rotation], strict=True)):
        left = _GAUGE_PX + 4 + 16 * index
        colour = _GREEN if index == 0 else _AMBER
        cv2.line(corner, (left, half), (left + 9, half), _MUTED, 1)
        cv2.rectangle(corner, (left, half), (left + 9, round(half - radius * share)), colour, -1)
        _write(corner, name, (left - 1, _GAUGE_PX - 2), _MUTED, size=0.35)
    gap = round(11 * min(1.0, max(0.0, _number(action.gripper_opening))))
    for left in (_GAUGE_WIDTH_PX - 25 - gap, _GAUGE_WIDTH_PX - 22 + gap):
        cv2.rectangle(corner, (left, half - 16), (left + 3, half + 16), _INK, -1)


def _draw_halt(view: ImageArray) -> None:
    height, width, _ = view.shape
    cv2.rectangle(view, (0, 0), (width - 1, height - 1), RED, 2 * _FRAME_PX)
    cv2.rectangle(view, (width // 2 - 110, _FRAME_PX), (width // 2 + 110, 56), RED, -1)
    _write(view, "HALTED", (width // 2 - 84, 46), _INK, size=1.4, thickness=3)


def _shares(vector: FloatArray, full: float) -> list[float]:
    """Components as shares of `full`, each within [-1, 1]; what is not a number shows as 0."""
    return [min(1.0, max(-1.0, _number(value) / full)) for value in vector.tolist()]


def _number(value: float) -> float:
    return value if np.isfinite(value) else 0.0


def _write(
    picture: ImageArray, text: str, origin: tuple[int, int], colour: Colour, *, size: float = 0.45, thickness: int = 1
) -> None:
    letters = text[:_MAX_LETTERS].replace("\n", " ").encode("ascii", "replace").decode("ascii")
    cv2.putText(picture, letters, origin, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
