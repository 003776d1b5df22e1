"""What things are made of: solids, hulls, colours, and their MJCF text."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from magma_ros.sim.bridge.assets import hull_vertices

Weave = Literal["plain", "striped", "lattice", "speckled"]
Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Solid:
    """A box that is touched and never seen.

    Attributes:
        half_size_m, offset_m: In the thing's frame [m].
        yaw_rad: About the thing's z axis [rad].
        mass_kg: [kg]
    """

    half_size_m: tuple[float, float, float]
    offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_rad: float = 0.0
    mass_kg: float = 0.1

    @property
    def place(self) -> str:
        """Size and pose as MJCF attributes."""
        size, offset = (" ".join(map(str, values)) for values in (self.half_size_m, self.offset_m))
        return f'type="box" size="{size}" pos="{offset}" euler="0 0 {self.yaw_rad}"'

    def look(self, material: str) -> str:
        """The same box to be seen."""
        return f'<geom class="look" {self.place} material="{material}"/>'


@dataclass(frozen=True, slots=True)
class Hull:
    """The convex hull of rings about x: a mesh.

    Attributes:
        name: Of the mesh.
        half_size_m: Of the box around it [m].
        sections: (x, width) of each ring as shares of the half sizes.
    """

    name: str
    half_size_m: tuple[float, float, float]
    sections: tuple[tuple[float, float], ...]

    def mjcf(self) -> str:
        """The mesh asset."""
        vertices = " ".join(f"{v:.6f}" for v in hull_vertices(self.half_size_m, self.sections).ravel())
        return f'<mesh name="{self.name}" vertex="{vertices}"/>'


@dataclass(frozen=True, slots=True)
class Skin:
    """A material.

    Attributes:
        name: Of the material.
        rgb: 0 … 1.
        specular, shininess: As MuJoCo's.
        weave: Its pattern.
    """

    name: str
    rgb: Rgb
    specular: float
    shininess: float = 0.5
    weave: Weave = "plain"

    @property
    def file(self) -> str:
        """Name of the picture of its pattern."""
        return f"weave_{self.weave}.png"

    def mjcf(self) -> str:
        """The material asset, and its texture if it has a pattern."""
        rgb = " ".join(map(str, self.rgb))
        gloss = f'specular="{self.specular}" shininess="{self.shininess}"'
        if self.weave == "plain":
            return f'<material name="{self.name}" rgba="{rgb} 1" {gloss}/>'
        return (
            f'<texture name="weave_{self.name}" type="cube" file="{self.file}" gridsize="1 1"/>'
            f'<material name="{self.name}" rgba="{rgb} 1" texture="weave_{self.name}" {gloss}/>'
        )


@dataclass(frozen=True, slots=True)
class Palette:
    """Ranges of hue, saturation and value (0 … 1) that keep a thing's name true."""

    hue: tuple[float, float] = (0.0, 1.0)
    saturation: tuple[float, float] = (0.0, 1.0)
    value: tuple[float, float] = (0.3, 1.0)

    def draw(self, generator: np.random.Generator) -> Rgb:
        """A colour."""
        hue, saturation, value = (float(generator.uniform(*span)) for span in (self.hue, self.saturation, self.value))
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        return red, green, blue
