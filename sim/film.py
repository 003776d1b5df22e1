"""Trials as a film (MP4) and as a contact sheet (PNG), for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import av
import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from magma_ros.types import ImageArray

_INK, _PAPER, _MUTED = (24, 26, 31), (250, 250, 248), (110, 114, 122)
_GREEN, _RED = (34, 139, 84), (192, 57, 43)
_BAR_PX = 34
_HOLD_S = 1.2


@dataclass(frozen=True, slots=True)
class Shot:
    """One trial to show: what was asked, how it ended and its pictures, each (height, width, 3) uint8 of one size."""

    title: str
    verdict: str
    success: bool
    frames: tuple[ImageArray, ...]


def write_film(path: Path, shots: Sequence[Shot], *, frames_per_s: float) -> None:
    """All trials one after the other as H.264, each ending on its verdict for a moment."""
    pictures = [picture for shot in shots for picture in _captioned(shot, round(_HOLD_S * frames_per_s))]
    if not pictures:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=max(1, round(frames_per_s)))
        stream.height, stream.width = (side - side % 2 for side in pictures[0].shape[:2])
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "20", "preset": "veryfast"}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture[: stream.height, : stream.width], format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_contact_sheet(
    path: Path, shots: Sequence[Shot], *, heading: str, columns: int = 6, cell_width_px: int = 240
) -> None:
    """One row of evenly spaced pictures per trial under a heading, each row with its title and verdict."""
    shots = [shot for shot in shots if shot.frames]
    if not shots:
        return
    height, width, _ = shots[0].frames[0].shape
    cell_height_px = round(cell_width_px * height / width)
    gap, margin, head, label = 6, 24, 58, 30
    sheet_width = 2 * margin + columns * cell_width_px + (columns - 1) * gap
    row_px = label + cell_height_px + 14
    sheet = Image.new("RGB", (sheet_width, head + margin + row_px * len(shots)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((margin, 20), heading, fill=_INK, font=_font(22, "Bold"))
    for row, shot in enumerate(shots):
        top = head + row * row_px
        draw.text((margin, top + 8), shot.title, fill=_MUTED, font=_font(14))
        colour = _GREEN if shot.success else _RED
        draw.text((sheet_width - margin, top + 8), shot.verdict, fill=colour, font=_font(14, "Bold"), anchor="ra")
        for column, index in enumerate(_evenly(len(shot.frames), columns)):
            cell = Image.fromarray(shot.frames[index]).resize((cell_width_px, cell_height_px), Image.Resampling.LANCZOS)
            sheet.paste(cell, (margin + column * (cell_width_px + gap), top + label))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def _captioned(shot: Shot, hold: int) -> Iterator[ImageArray]:
    for index, frame in enumerate(shot.frames):
        yield _caption(frame, shot.title, f"{index}", _MUTED)
    if shot.frames:
        last = _caption(shot.frames[-1], shot.title, shot.verdict, _GREEN if shot.success else _RED)
        yield from [last] * hold


def _caption(frame: ImageArray, left: str, right: str, colour: tuple[int, int, int]) -> ImageArray:
    height, width, _ = frame.shape
    picture = Image.new("RGB", (width, height + _BAR_PX), _PAPER)
    picture.paste(Image.fromarray(frame), (0, 0))
    draw = ImageDraw.Draw(picture)
    draw.text((12, height + _BAR_PX // 2), left, fill=_INK, font=_font(14), anchor="lm")
    draw.text((width - 12, height + _BAR_PX // 2), right, fill=colour, font=_font(14, "Bold"), anchor="rm")
    return np.asarray(picture)


def _evenly(count: int, columns: int) -> list[int]:
    return [round(i * (count - 1) / max(1, columns - 1)) for i in range(columns)]


@cache
def _font(size_px: int, weight: Literal["", "Bold"] = "") -> ImageFont.FreeTypeFont:
    """Matplotlib's own DejaVu Sans: the same letters on every machine."""
    name = f"DejaVuSans{'-' if weight else ''}{weight}.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size_px)
