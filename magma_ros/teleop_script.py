"""A teleoperation written down: keys, twists and orders, played back in time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.errors import TeleopError
from magma_ros.teleop_devices import MOVES, Order, Speeds, Wish, held
from magma_ros.types import FloatArray, frozen_array
from magma_ros.yaml_files import read_mapping

MAX_STEP_S = 600.0
"""A longer step is refused: nobody watches the arm for that long."""

_KEYS = {"for_s", "keys", "twist", "press"}


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a script.

    Attributes:
        for_s: How long it lasts, after its orders were answered [s].
        keys: Held all the time.
        twist: Wanted all the time, shape (6,) [m/s, rad/s]; keys and twist are added.
        orders: Given at its beginning.
    """

    for_s: float
    keys: str
    twist: FloatArray
    orders: tuple[Order, ...]


def load(path: Path) -> tuple[Step, ...]:
    """The steps in a YAML file.

    Raises:
        TeleopError: there is no such file, or it holds something else; names the step.
    """
    document = read_mapping(path, error=TeleopError)
    steps = document.get("steps")
    if set(document) != {"steps"} or not isinstance(steps, list) or not steps:
        raise TeleopError(f"{path}: expected one list of at least one step under the key steps, got {sorted(document)}")
    return tuple(_step(data, where=f"{path}: step {number}") for number, data in enumerate(steps, start=1))


class ScriptPlayer:
    """A device whose person is a script; it waits while somebody calls `wait` instead of `read`."""

    def __init__(self, steps: tuple[Step, ...], speeds: Speeds) -> None:
        self._steps, self._speeds = steps, speeds
        self._index, self._into_s = -1, 0.0  # the step under way, and for how long it has been
        self._read_s: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the last step is over."""
        return self._index >= len(self._steps)

    def wait(self, now_s: float) -> Wish:
        """Nothing moves, and no time of the script passes until `now_s` [s]."""
        self._read_s = now_s
        return Wish.nothing()

    def read(self, now_s: float) -> Wish:
        """What the step under way wants at `now_s` [s]; the orders of a step come with its first reading."""
        passed_s = 0.0 if self._read_s is None else max(0.0, now_s - self._read_s)
        self._read_s = now_s
        self._into_s += passed_s
        if self._index < 0 or (not self.has_ended and self._into_s >= self._steps[self._index].for_s):
            return self._next()
        return Wish.nothing() if self.has_ended else Wish(self._twist())

    def _next(self) -> Wish:
        over_s = 0.0 if self._index < 0 else self._into_s - self._steps[self._index].for_s
        self._index += 1
        if self.has_ended:
            return Wish.nothing()
        orders = self._steps[self._index].orders
        self._into_s = 0.0 if orders else over_s
        return Wish(self._twist(), orders)

    def _twist(self) -> FloatArray:
        step = self._steps[self._index]
        twist: FloatArray = self._speeds.scale(held(step.keys)) + step.twist
        return twist


def _step(data: Any, *, where: str) -> Step:
    if not isinstance(data, dict) or not set(data) <= _KEYS or not data:
        raise TeleopError(f"{where}: expected some of the keys {sorted(_KEYS)}, got {data!r}")
    if "keys" in data and "twist" in data:
        raise TeleopError(f"{where}: expected keys or a twist, got both")
    for_s, keys, press = data.get("for_s", 0.0), data.get("keys", ""), data.get("press", [])
    if not (isinstance(for_s, int | float) and 0.0 <= for_s <= MAX_STEP_S):
        raise TeleopError(f"{where}: for_s: expected 0 to {MAX_STEP_S} seconds, got {for_s!r}")
    if not (isinstance(keys, str) and set(keys) <= set(MOVES)):
        raise TeleopError(f"{where}: keys: expected some of {''.join(MOVES)!r}, got {keys!r}")
    names = [order.value for order in Order]
    if not (isinstance(press, list) and all(name in names for name in press)):
        raise TeleopError(f"{where}: press: expected a list of some of {names}, got {press!r}")
    return Step(float(for_s), keys, _numbers(data.get("twist", [0.0] * 6), where), tuple(Order(name) for name in press))


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _numbers(values: Any, where: str) -> FloatArray:
    if not (isinstance(values, list) and len(values) == 6 and all(_is_finite(v) for v in values)):
        raise TeleopError(f"{where}: twist: expected six finite numbers, got {values!r}")
    return frozen_array(values, shape=(6,), dtype=np.float64, name="twist")
