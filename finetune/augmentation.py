"""How training pictures vary: position and colours, drawn anew for each sample, never mirrored.

A mirrored picture would show another motion than the one that was recorded. Factors and order follow upstream's
training on Open-X (crop to 0.9 of the area, brightness 0.2, contrast and saturation 0.8 … 1.2, hue 0.05).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from magma_ros import images
from magma_ros.errors import InvalidInputError
from magma_ros.types import ImageArray


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Largest changes; each is drawn evenly up to them, and the defaults change nothing.

    Attributes:
        crop_share: Smallest share of the picture's area that is kept; the cut is stretched to the full size.
        max_shift_px: Farthest shift along each side, in pixels of the recorded picture; its border fills the gap.
        brightness: Levels are scaled by a factor from 1 - brightness to 1 + brightness.
        contrast: The same of their distance from the picture's mean grey.
        saturation: The same of their distance from their own grey.
        hue: Largest turn around the grey axis, in whole turns; at most 0.5.
        blur_px: Largest standard deviation of a Gaussian blur [px].
        noise_levels: Largest standard deviation of a pixel's noise, in levels of 255.
    """

    crop_share: float = 1.0
    max_shift_px: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur_px: float = 0.0
    noise_levels: float = 0.0

    def __post_init__(self) -> None:
        most = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5}
        for field in fields(self):
            value, low, high = getattr(self, field.name), 0.0, most.get(field.name, math.inf)
            if field.name == "crop_share":
                low, high = 0.05, 1.0
            if not (math.isfinite(value) and low <= value <= high):
                raise InvalidInputError(f"augmentation: {field.name}: expected {low:g} to {high:g}, got {value}")

    @property
    def changes_nothing(self) -> bool:
        """Every picture stays as it is."""
        return self == Augmentation()

    def apply(self, pictures: Mapping[str, ImageArray], generator: np.random.Generator) -> dict[str, ImageArray]:
        """`pictures` by camera name, all changed alike, with the same sizes; the given ones stay as they are.

        Always takes equally many numbers from `generator` for the same sizes and settings.
        """
        if self.changes_nothing:
            return dict(pictures)
        side, left, top, right, down, *colour, blur, noise = generator.random(11).tolist()
        kept = math.sqrt(1.0 - side * (1.0 - self.crop_share))
        shift = (self.max_shift_px * (2.0 * right - 1.0), self.max_shift_px * (2.0 * down - 1.0))
        factors = [
            1.0 + strength * (2.0 * drawn - 1.0)
            for strength, drawn in zip((self.brightness, self.contrast, self.saturation), colour, strict=False)
        ]
        turn = self.hue * (2.0 * colour[3] - 1.0)
        changed = {}
        for name, picture in pictures.items():
            moved = images.cut_and_shift(picture, kept_side=kept, corner=(left, top), shift_px=shift)
            coloured = images.recolour(moved, *factors, hue_turns=turn)
            changed[name] = images.roughen(
                coloured, blur_px=self.blur_px * blur, noise_levels=self.noise_levels * noise, generator=generator
            )
        return changed
