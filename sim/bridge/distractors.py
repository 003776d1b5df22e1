"""Things that stand about and have nothing to do with the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from magma_ros.sim.bridge.shapes import Rgb
from magma_ros.sim.bridge.stages import SOLID, Area

RADIUS_M = 0.036
"""No distractor reaches further than this from its centre."""
_MOST = 4
_TRIES = 60


@dataclass(frozen=True, slots=True)
class Distractor:
    """One of them; it is touched as what it looks like, and does not move.

    Attributes:
        kind: A name in `KINDS`.
        rgb: Its colour.
        position_m: Where it stands, world frame [m].
        yaw_rad: How it is turned.
    """

    kind: str
    rgb: Rgb
    position_m: tuple[float, float, float]
    yaw_rad: float

    def mjcf(self, name: str) -> str:
        """Its body."""
        position = " ".join(map(str, self.position_m))
        colour = " ".join(f"{value:.4f}" for value in self.rgb)
        return (
            f'<body name="{name}" pos="{position}" euler="0 0 {self.yaw_rad}">{KINDS[self.kind](f"{colour} 1")}</body>'
        )


def draw_distractors(generator: np.random.Generator, spare: Sequence[Area]) -> tuple[Distractor, ...]:
    """Two to four different ones, apart from each other; fewer where there is no room."""
    wanted = int(generator.integers(2, _MOST + 1))
    kinds = [str(kind) for kind in generator.permutation(sorted(KINDS))]
    chosen: list[Distractor] = []
    for _ in range(_TRIES):
        area = spare[int(generator.integers(len(spare)))]
        x, y = (float(value) for value in generator.uniform(area.low_m, area.high_m))
        rgb = tuple(float(value) for value in generator.uniform(0.1, 0.95, 3))
        yaw = float(generator.uniform(-np.pi, np.pi))
        if len(chosen) < wanted and all(
            np.hypot(x - d.position_m[0], y - d.position_m[1]) > 2 * RADIUS_M for d in chosen
        ):
            chosen.append(Distractor(kinds[len(chosen)], (rgb[0], rgb[1], rgb[2]), (x, y, area.height_m), yaw))
    return tuple(chosen)


def _can(colour: str) -> str:
    metal = 'rgba="0.75 0.76 0.78 1"'
    return _solid("cylinder", "0.026 0.034", "0 0 0.034", f'rgba="{colour}"') + _seen(
        "cylinder", "0.0235 0.001", "0 0 0.0685", metal
    )


def _ball(colour: str) -> str:
    return _solid("sphere", "0.028", "0 0 0.028", f'rgba="{colour}"')


def _box(colour: str) -> str:
    return _solid("box", "0.03 0.018 0.024", "0 0 0.024", f'rgba="{colour}"') + _seen(
        "box", "0.0302 0.0182 0.006", "0 0 0.024", 'rgba="0.92 0.92 0.9 1"'
    )


def _mug(colour: str) -> str:
    inside, handle = 'rgba="0.15 0.13 0.12 1"', f'rgba="{colour}"'
    bars = "".join(_seen("box", "0.008 0.004 0.004", f"0.030 0 {z}", handle) for z in (0.014, 0.044))
    return (
        _solid("cylinder", "0.024 0.029", "-0.004 0 0.029", handle)
        + _seen("cylinder", "0.0205 0.001", "-0.004 0 0.0575", inside)
        + bars
        + _seen("box", "0.004 0.004 0.019", "0.034 0 0.029", handle)
    )


def _lemon(colour: str) -> str:
    return _solid("ellipsoid", "0.034 0.024 0.024", "0 0 0.024", f'rgba="{colour}"')


def _solid(kind: str, size: str, position: str, look: str) -> str:
    return f'<geom type="{kind}" size="{size}" pos="{position}" contype="1" conaffinity="0" {SOLID} {look}/>'


def _seen(kind: str, size: str, position: str, look: str) -> str:
    return f'<geom class="look" type="{kind}" size="{size}" pos="{position}" {look}/>'


KINDS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"can": _can, "ball": _ball, "box": _box, "mug": _mug, "lemon": _lemon}
)
"""Kind → MJCF geoms of one in a colour (RGBA as text), standing on its origin."""
