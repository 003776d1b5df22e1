"""How a trial looks: the fixed look of visual matching, variants along one axis each, and another robot's look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from magma_ros.sim.bridge.distractors import Distractor, draw_distractors
from magma_ros.sim.bridge.shapes import Rgb, Weave
from magma_ros.sim.bridge.tasks import BridgeTask
from magma_ros.sim.bridge.textures import SURFACES, Surface
from magma_ros.sim.suites import variant_of_seed
from magma_ros.types import FloatArray

_STREAM = 5
"""Second number of a look's seed, so that looks and layouts of one trial are independent draws."""
_MAX_CAMERA_SHIFT_M = 0.03
_MAX_CAMERA_TURN_RAD = 0.05


@dataclass(frozen=True, slots=True)
class Light:
    """The lights of a scene.

    Attributes:
        ambient, key: Strengths, 0 … 1, of the light from everywhere and of the one from above.
        direction: In which the key light shines, world frame.
    """

    ambient: float = 0.34
    key: float = 0.52
    direction: tuple[float, float, float] = (0.0, 0.0, -1.0)


@dataclass(frozen=True, slots=True)
class Coat:
    """Colour and pattern instead of a thing's own."""

    rgb: Rgb
    weave: Weave


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about a scene that its task leaves open; by default as in visual matching.

    Attributes:
        axis: In which respect it departs from visual matching: a name in `AXES`, "matching" or "shifted".
        light: The lights.
        surface: Of table or worktop; None for plain wood.
        camera_shift_m, camera_turn_rad: Of the camera, along and about its own axes: right, up, back.
        distractors: What else stands there, fixed to its place.
        source_coat, target_coat: Colours instead of the usual ones.
        source_shape: Name of the task's other source that replaces the usual one; empty for none.
    """

    axis: str = "matching"
    light: Light = Light()
    surface: Surface | None = None
    camera_shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    camera_turn_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    distractors: tuple[Distractor, ...] = ()
    source_coat: Coat | None = None
    target_coat: Coat | None = None
    source_shape: str = ""


MATCHING = Look()
SHIFTED = Look(
    axis="shifted",
    surface=Surface("laminate", (0.78, 0.75, 0.7), 1),
    camera_shift_m=(0.05, 0.02, 0.03),
    camera_turn_rad=(0.04, -0.06, 0.02),
)
"""A robot that stands a little differently: a light table, the camera 6 cm and 4 degrees from its usual place."""


def look_of_seed(seed: int, task: BridgeTask) -> Look:
    """The variant of trial `seed`, along the axis `variant_of_seed`."""
    axis = variant_of_seed(seed)
    return replace(AXES[axis](np.random.default_rng([seed, _STREAM]), task), axis=axis)


def _light(draw: np.random.Generator, _task: BridgeTask) -> Look:
    """From dim to glaring, from above or from a side."""
    angle, tilt = draw.uniform(0.0, 2.0 * np.pi), draw.uniform(0.0, 1.0)
    direction = (float(tilt * np.cos(angle)), float(tilt * np.sin(angle)), -1.0)
    return Look(light=Light(float(draw.uniform(0.12, 0.5)), float(draw.uniform(0.2, 0.85)), direction))


def _table(draw: np.random.Generator, _task: BridgeTask) -> Look:
    kind = str(draw.choice(sorted(SURFACES)))
    grey, colour = draw.uniform(0.3, 0.85), draw.uniform(0.25, 0.85, 3)
    red, green, blue = (float(value) for value in (colour + grey) / 2)
    if kind == "wood":  # woods are brown
        red = float(draw.uniform(0.35, 0.8))
        green, blue = red * float(draw.uniform(0.68, 0.85)), red * float(draw.uniform(0.4, 0.65))
    return Look(surface=Surface(kind, (red, green, blue), int(draw.integers(2**31))))


def _camera(draw: np.random.Generator, _task: BridgeTask) -> Look:
    shift, turn = (draw.uniform(-limit, limit, 3) for limit in (_MAX_CAMERA_SHIFT_M, _MAX_CAMERA_TURN_RAD))
    return Look(camera_shift_m=_triple(shift), camera_turn_rad=_triple(turn))


def _distractors(draw: np.random.Generator, task: BridgeTask) -> Look:
    return Look(distractors=draw_distractors(draw, task.stage.spare))


def _colours(draw: np.random.Generator, task: BridgeTask) -> Look:
    """Other colours and patterns of source and target, within what their names allow."""
    source, target = (
        Coat(thing.palette.draw(draw), "speckled" if draw.random() < 0.5 else thing.skins[0].weave)
        for thing in (task.source, task.target)
    )
    return Look(source_coat=source, target_coat=target)


def _shape(draw: np.random.Generator, task: BridgeTask) -> Look:
    return Look(source_shape=str(draw.choice(sorted(task.other_sources))))


def _triple(values: FloatArray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


AXES: Mapping[str, Callable[[np.random.Generator, BridgeTask], Look]] = MappingProxyType(
    {
        "light": _light,
        "table": _table,
        "camera": _camera,
        "distractors": _distractors,
        "colours": _colours,
        "unseen_object": _shape,
    }
)
"""Axis of `VARIANT_AXES` → what draws it."""
