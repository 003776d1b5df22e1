"""Painted pictures: surfaces of tables, and the patterns of things; RGB, square, without seams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from magma_ros.sim.bridge.assets import WOOD_SIZE_PX, png, wood_picture
from magma_ros.types import FloatArray, ImageArray

SIZE_PX = WOOD_SIZE_PX


@dataclass(frozen=True, slots=True)
class Surface:
    """What a table looks like.

    Attributes:
        kind: A name in `SURFACES`.
        rgb: Its middle colour, 0 … 1.
        seed: Of the pattern.
    """

    kind: str
    rgb: tuple[float, float, float]
    seed: int

    def picture(self) -> ImageArray:
        """The surface, shape (256, 256, 3)."""
        shade = SURFACES[self.kind](np.random.default_rng(self.seed))
        return _picture(255.0 * np.array(self.rgb) * (1.0 + shade[..., None]))


def weave_file(kind: str) -> bytes:
    """The picture of a thing's pattern as PNG: grey, to be coloured by the material."""
    shade = _WEAVES[kind](np.random.default_rng(0))
    return png(_picture(np.repeat(235.0 * (1.0 + shade[..., None]), 3, axis=2)))


def _wood(draw: np.random.Generator) -> FloatArray:
    grey = wood_picture(seed=int(draw.integers(2**31))).mean(axis=2)
    return np.asarray(1.6 * (grey / grey.mean() - 1.0))


def _stone(draw: np.random.Generator) -> FloatArray:
    """Speckles on broad clouds."""
    return 0.06 * _noise(draw, sigma=1.0) + 0.05 * _noise(draw, sigma=14.0)


def _checks(draw: np.random.Generator) -> FloatArray:
    """A table-cloth's squares."""
    period = SIZE_PX // int(draw.choice([4, 8]))
    band = (np.arange(SIZE_PX) // (period // 2)) % 2
    return np.asarray(-0.18 * (band[:, None] + band[None, :]) + 0.12)


def _laminate(draw: np.random.Generator) -> FloatArray:
    """Almost one colour."""
    return 0.02 * _noise(draw, sigma=1.5)


def _striped(_draw: np.random.Generator) -> FloatArray:
    """A woven ground with darker stripes near two edges."""
    rows = np.arange(SIZE_PX)
    stripe = ((rows // 10) % 2 == 0) & ((rows < 60) | (rows >= SIZE_PX - 60))
    threads = 0.06 * ((rows[:, None] + rows[None, :]) % 4 < 2)
    return np.asarray(-0.32 * stripe[:, None] - threads)


def _lattice(_draw: np.random.Generator) -> FloatArray:
    """Upright slots, darker than the bars between them."""
    columns, rows = np.arange(SIZE_PX) % 32, np.arange(SIZE_PX)
    slot = (columns >= 10)[None, :] & ((rows > 50) & (rows < SIZE_PX - 50))[:, None]
    return np.asarray(-0.45 * slot)


def _speckled(draw: np.random.Generator) -> FloatArray:
    return np.asarray(-0.35 * (_noise(draw, sigma=3.0) > 1.2))


def _noise(draw: np.random.Generator, *, sigma: float) -> FloatArray:
    """Blurred noise of unit spread; its edges fit together."""
    tiled = np.tile(draw.standard_normal((SIZE_PX, SIZE_PX)).astype(np.float32), (3, 3))
    middle = slice(SIZE_PX, 2 * SIZE_PX)
    blurred = cv2.GaussianBlur(tiled, (0, 0), sigmaX=sigma)[middle, middle]
    return np.asarray(blurred / blurred.std(), dtype=np.float64)


def _picture(colours: FloatArray) -> ImageArray:
    return np.asarray(np.clip(np.round(colours), 0, 255), dtype=np.uint8)


SURFACES: Mapping[str, Callable[[np.random.Generator], FloatArray]] = MappingProxyType(
    {"wood": _wood, "stone": _stone, "checks": _checks, "laminate": _laminate}
)
_WEAVES: Mapping[str, Callable[[np.random.Generator], FloatArray]] = MappingProxyType(
    {"striped": _striped, "lattice": _lattice, "speckled": _speckled}
)
