"""What lies in the scenes: of each thing what is touched, what is seen, and where fingers may hold it.

Sizes are those of SimplerEnv's models; shapes are primitives and convex hulls of our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from magma_ros.sim.bridge.shapes import Hull, Palette, Skin, Solid


@dataclass(frozen=True, slots=True)
class Grip:
    """Where fingers may hold a thing, in its own frame.

    Attributes:
        centre_m: Middle of the stretch, shape (3,) [m].
        half_length_m: The stretch goes this far along x to either side [m].
        width_m: What the fingers close upon, across x [m].
        square: The fingers may as well close along x, as on a cube.
    """

    centre_m: tuple[float, float, float]
    half_length_m: float
    width_m: float
    square: bool = False


@dataclass(frozen=True, slots=True)
class Thing:
    """A source, a target or something beside them.

    Attributes:
        name: Of its body.
        half_size_m: Of the box around it in its own frame: what SimplerEnv's rules measure [m].
        solids: What is touched.
        seen: MJCF geoms of class "look"; their materials are `skins`, their meshes `hulls`.
        skins: The first is the one that other colours replace.
        hulls: Meshes.
        palette: Other colours it may have and still be called the same.
        grip: Where fingers may hold it; None if they are not meant to.
        fixed: It belongs to the furniture.
    """

    name: str
    half_size_m: tuple[float, float, float]
    solids: tuple[Solid, ...]
    seen: str
    skins: tuple[Skin, ...]
    palette: Palette = field(default_factory=Palette)
    hulls: tuple[Hull, ...] = ()
    grip: Grip | None = None
    fixed: bool = False


_CARROT_SECTIONS = (
    (-1.0, 0.55),
    (-0.94, 0.9),
    (-0.8, 1.0),
    (-0.3, 0.93),
    (0.3, 0.8),
    (0.75, 0.62),
    (0.93, 0.42),
    (1.0, 0.15),
)


def carrot(half_size_m: tuple[float, float, float] = (0.0575, 0.016, 0.019)) -> Thing:
    """Touched as a box, so that it lies still; seen as a tapered root, thick end at -x, with leaves."""
    x, y, z = half_size_m
    leaves = "".join(
        f'<geom class="look" type="ellipsoid" size="0.014 0.005 0.006" pos="{-x - 0.008} {dy} {dz}" material="leaf"/>'
        for dy, dz in ((0.0, 0.004), (0.007, -0.002), (-0.007, -0.002))
    )
    return Thing(
        name="carrot",
        half_size_m=half_size_m,
        solids=(Solid((x * 0.95, y, z), mass_kg=0.055),),
        seen=f'<geom class="look" type="mesh" mesh="carrot" material="carrot"/>{leaves}',
        skins=(
            Skin("carrot", (0.95, 0.45, 0.08), specular=0.2, shininess=0.3),
            Skin("leaf", (0.25, 0.55, 0.16), specular=0.1),
        ),
        palette=Palette(hue=(0.015, 0.125), saturation=(0.75, 1.0), value=(0.75, 1.0)),
        hulls=(Hull("carrot", half_size_m, _CARROT_SECTIONS),),
        grip=Grip((0.0, 0.0, 0.0), half_length_m=0.7 * x, width_m=2 * y),
    )


def plate() -> Thing:
    """Touched as two crossed square slabs: a star of the disc's area, points 9 mm beyond the rim; seen as a disc."""
    r, h, density = 0.055, 0.003, 1000.0
    mass_kg = density * math.pi * r**2 * 2 * h
    slab = (r * 0.82, r * 0.82, h)
    return Thing(
        name="plate",
        half_size_m=(r, r, h),
        solids=tuple(Solid(slab, yaw_rad=yaw, mass_kg=mass_kg / 2) for yaw in (0.0, math.pi / 4)),
        seen=(
            f'<geom class="look" type="cylinder" size="{r} {h}" material="rim"/>'
            f'<geom class="look" type="cylinder" size="{r * 0.8} {h}" pos="0 0 0.0004" material="dish"/>'
        ),
        skins=(
            Skin("dish", (0.70, 0.78, 0.90), specular=0.4, shininess=0.6),
            Skin("rim", (0.86, 0.88, 0.92), specular=0.4, shininess=0.6),
        ),
        palette=Palette(hue=(0.0, 1.0), saturation=(0.1, 0.75), value=(0.55, 1.0)),
    )


_HANDLE_SECTIONS = ((-1.0, 0.5), (-0.96, 0.85), (-0.85, 1.0), (0.5, 0.85), (1.0, 0.75))


def spoon(*, half_length_m: float = 0.07, bowl_half_m: tuple[float, float] = (0.024, 0.0173)) -> Thing:
    """A wooden spoon, bowl at +x: a handle 17 mm wide, which the fingers can hold, and a hollow bowl."""
    along, across = bowl_half_m
    handle_end, bowl_x = half_length_m - 2 * along + 0.012, half_length_m - along
    handle_half = (half_length_m + handle_end) / 2
    middle, low = handle_end - handle_half, -0.013
    handle, bowl = (handle_half, 0.0085, 0.006), (along, across, 0.009)
    return Thing(
        name="spoon",
        half_size_m=(half_length_m, across, 0.013),
        solids=(
            Solid(handle, (middle, 0.0, low + handle[2]), mass_kg=0.018),
            Solid((along * 0.8, across * 0.8, bowl[2]), (bowl_x, 0.0, low + bowl[2]), mass_kg=0.012),
        ),
        seen=(
            f'<geom class="look" type="mesh" mesh="handle" pos="{middle} 0 {low + handle[2]}" material="spoon"/>'
            f'<geom class="look" type="ellipsoid" size="{along} {across} {bowl[2]}" pos="{bowl_x} 0 {low + bowl[2]}"'
            ' material="spoon"/>'
            f'<geom class="look" type="ellipsoid" size="{along * 0.78} {across * 0.74} 0.004" '
            f'pos="{bowl_x + 0.001} 0 {low + 2 * bowl[2] - 0.0032}" material="hollow"/>'
        ),
        skins=(
            Skin("spoon", (0.33, 0.62, 0.30), specular=0.3, shininess=0.5),
            Skin("hollow", (0.16, 0.36, 0.15), specular=0.3, shininess=0.5),
        ),
        palette=Palette(hue=(0.0, 1.0), saturation=(0.0, 0.9), value=(0.35, 0.95)),
        hulls=(Hull("handle", handle, _HANDLE_SECTIONS),),
        grip=Grip((middle, 0.0, low + handle[2]), half_length_m=handle_half - 0.02, width_m=2 * handle[1]),
    )


def towel() -> Thing:
    """A folded cloth of 10 cm by 10 cm, 6 mm thick; SimplerEnv's box around it is 10 mm high for its creases."""
    half = (0.05, 0.05, 0.003)
    down = half[2] - 0.005
    return Thing(
        name="towel",
        half_size_m=(0.05, 0.05, 0.005),
        solids=(Solid(half, (0.0, 0.0, down), mass_kg=0.033),),
        seen=f'<geom class="look" type="box" size="0.05 0.05 {half[2]}" pos="0 0 {down}" material="towel"/>',
        skins=(Skin("towel", (0.30, 0.42, 0.72), specular=0.0, shininess=0.0, weave="striped"),),
        palette=Palette(hue=(0.0, 1.0), saturation=(0.2, 0.9), value=(0.4, 0.95)),
    )


def block(name: str, *, half_size_m: tuple[float, float, float] = (0.015, 0.015, 0.015)) -> Thing:
    """A wooden toy block, "green" or "yellow"."""
    x, y, z = half_size_m
    colours = {"green": (0.16, 0.60, 0.24), "yellow": (0.95, 0.80, 0.15)}
    hues = {"green": (0.27, 0.40), "yellow": (0.125, 0.165)}
    return Thing(
        name=f"{name}_block",
        half_size_m=half_size_m,
        solids=(Solid(half_size_m, mass_kg=1000.0 * 8 * x * y * z),),
        seen=f'<geom class="look" type="box" size="{x} {y} {z}" material="{name}"/>',
        skins=(Skin(name, colours[name], specular=0.2, shininess=0.3),),
        palette=Palette(hue=hues[name], saturation=(0.65, 1.0), value=(0.45 if name == "green" else 0.8, 1.0)),
        grip=Grip((0.0, 0.0, 0.0), half_length_m=x / 2, width_m=2 * y, square=abs(x - y) < 1e-6),
    )


_EGGPLANT_SECTIONS = (
    (-1.0, 0.3),
    (-0.93, 0.62),
    (-0.75, 0.9),
    (-0.45, 1.0),
    (-0.05, 0.93),
    (0.35, 0.74),
    (0.7, 0.62),
    (0.9, 0.5),
    (1.0, 0.3),
)


def eggplant(half_size_m: tuple[float, float, float] = (0.03915, 0.0187, 0.019)) -> Thing:
    """Thick end at -x, green cap at +x; touched as a box around the thick part and a smaller one around the neck."""
    x, y, z = half_size_m
    thick = (0.55 * x, 0.95 * y, z)
    neck = (0.3 * x, 0.62 * y, 0.62 * z)
    cap_x = 0.92 * x
    return Thing(
        name="eggplant",
        half_size_m=half_size_m,
        solids=(
            Solid(thick, (-0.35 * x, 0.0, 0.0), mass_kg=0.018),
            Solid(neck, (0.5 * x, 0.0, 0.0), mass_kg=0.005),
        ),
        seen=(
            '<geom class="look" type="mesh" mesh="eggplant" material="eggplant"/>'
            f'<geom class="look" type="ellipsoid" size="0.006 {0.62 * y} {0.62 * z}" pos="{cap_x} 0 0" material="cap"/>'
            f'<geom class="look" type="capsule" fromto="{cap_x} 0 0 {cap_x + 0.013} 0.001 0.002" size="0.003" '
            'material="cap"/>'
        ),
        skins=(
            Skin("eggplant", (0.24, 0.10, 0.28), specular=0.6, shininess=0.8),
            Skin("cap", (0.30, 0.48, 0.20), specular=0.1),
        ),
        palette=Palette(hue=(0.74, 0.86), saturation=(0.4, 0.85), value=(0.18, 0.6)),
        hulls=(Hull("eggplant", half_size_m, _EGGPLANT_SECTIONS),),
        grip=Grip((-0.35 * x, 0.0, 0.0), half_length_m=0.4 * x, width_m=2 * thick[1]),
    )


def basket() -> Thing:
    """A yellow rack of 14 cm by 11 cm inside, walls 5 cm high; its frame is where SimplerEnv has an unseen target."""
    (x, y), wall, floor, top = (0.07, 0.055), 0.003, -0.001, 0.051
    offset = (-0.015, 0.005)
    middle = (floor - 0.006 + top) / 2
    height = (top - floor + 0.006) / 2
    solids = (
        Solid((x + 2 * wall, y + 2 * wall, 0.003), (*offset, floor - 0.003)),
        *(Solid((wall, y + 2 * wall, height), (offset[0] + side * (x + wall), offset[1], middle)) for side in (-1, 1)),
        *(Solid((x, wall, height), (offset[0], offset[1] + side * (y + wall), middle)) for side in (-1, 1)),
    )
    return Thing(
        name="basket",
        half_size_m=(0.065, 0.04, 0.001),
        solids=solids,
        seen="".join(solid.look("basket") for solid in solids),
        skins=(Skin("basket", (0.93, 0.76, 0.12), specular=0.2, shininess=0.3, weave="lattice"),),
        palette=Palette(hue=(0.12, 0.165), saturation=(0.7, 1.0), value=(0.75, 1.0)),
        fixed=True,
    )
