"""How far a demonstration on the WidowX is led astray, at 5 Hz."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from magma_ros.sim.perturbation import Perturbation, StartPoses

_DOWN_QUAT_XYZW = (0.0, math.sqrt(0.5), 0.0, math.sqrt(0.5))
_OVER_TABLE = StartPoses(
    low_m=(0.20, -0.13, 0.075),
    high_m=(0.40, 0.16, 0.20),
    down_quat_xyzw=_DOWN_QUAT_XYZW,
    tilt_rad=0.15,
    yaw_rad=(-0.4, 2.0),
)
_OVER_SINK = StartPoses(
    low_m=(0.18, -0.20, 0.18),
    high_m=(0.34, 0.08, 0.26),
    down_quat_xyzw=_DOWN_QUAT_XYZW,
    tilt_rad=0.15,
    yaw_rad=(-1.0, 1.0),
)
_ON_TABLE = Perturbation(
    start_poses=_OVER_TABLE,
    noise_m=0.006,
    noise_rad=0.05,
    noise_memory=0.7,
    push_rate=0.03,
    push_m=0.025,
    push_rad=0.2,
    push_steps=(2, 5),
    flip_rate=0.012,
    flip_steps=(1, 2),
    num_steps=(15, 60),
    longest_m=0.045,
    longest_rad=0.4,
)

PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType(
    {
        "carrot_on_plate": _ON_TABLE,
        "spoon_on_towel": _ON_TABLE,
        "stack_cube": _ON_TABLE,
        "eggplant_in_basket": replace(_ON_TABLE, start_poses=_OVER_SINK, num_steps=(15, 80)),
    }
)
"""Task → its perturbation; the scenes of a suite's looks share it."""
