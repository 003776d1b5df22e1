"""LIBERO's seven numbers as actions: the way back from `convention.to_osc`, which only tests go."""

from __future__ import annotations

import numpy as np

from magma_ros.sim.libero.convention import FRAME, OSC_ROTATION_RAD, OSC_TRANSLATION_M
from magma_ros.types import Action, FloatArray


def from_osc(numbers: FloatArray) -> Action:
    """The action behind the numbers, as LIBERO's demonstrations have them; undoes `to_osc` inside its box."""
    values = np.asarray(numbers, dtype=np.float64)
    opening = (1.0 - np.clip(values[6], -1.0, 1.0)) / 2.0
    return Action(OSC_TRANSLATION_M * values[:3], OSC_ROTATION_RAD * values[3:6], float(opening), FRAME)
