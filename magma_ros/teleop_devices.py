"""What a person's keys, joystick or script ask for at a time; no ROS and no terminal in here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from magma_ros.errors import TeleopError
from magma_ros.shared_files import find_named
from magma_ros.types import FloatArray
from magma_ros.yaml_files import read_mapping

FOLDER = "config/joysticks"
"""Where the joysticks that come with this project are, `<name>.yaml` each."""

KEY_HOLD_S = 0.2
"""A terminal tells of no key that is let go: a pressed one counts for so long [s]; keyboards repeat faster."""
JOY_TIMEOUT_S = 0.3
"""A joystick that says nothing for so long is silent [s]; joy_node repeats 20 times a second."""

AXES = ("x", "y", "z", "roll", "pitch", "yaw")
"""Along and about the axes of the arm's base frame."""


class Order(Enum):
    """What a person asks for beside motion; values as in files."""

    OPEN = "open"
    CLOSE = "close"
    START = "start"
    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"
    EMERGENCY_STOP = "emergency_stop"


MOVES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "w": ("x", 1),
        "s": ("x", -1),
        "a": ("y", 1),
        "d": ("y", -1),
        "r": ("z", 1),
        "f": ("z", -1),
        "u": ("roll", 1),
        "o": ("roll", -1),
        "i": ("pitch", 1),
        "k": ("pitch", -1),
        "j": ("yaw", 1),
        "l": ("yaw", -1),
    }
)
"""Axis and sign of each key that moves."""

ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "v": Order.OPEN,
        "c": Order.CLOSE,
        "1": Order.START,
        "2": Order.SUCCESS,
        "3": Order.FAILURE,
        "0": Order.DISCARD,
        " ": Order.EMERGENCY_STOP,
    }
)
"""What each other key orders."""

HELP = """\
  w/s  forward/back (x)      u/o  roll       v/c  open/close the gripper
  a/d  left/right (y)        i/k  pitch      1    start an episode
  r/f  up/down (z)           j/l  yaw        2/3  it was a success/a failure   0  discard it
  space  EMERGENCY STOP, until the service reset_halt is called"""


@dataclass(frozen=True, slots=True)
class Speeds:
    """Of a key, or of a stick at its end: along [m/s] and about [rad/s] each axis."""

    m_s: float
    rad_s: float

    def scale(self, shares: FloatArray) -> FloatArray:
        """`shares` of the speeds, both shape (6,), axes as in `AXES`."""
        scaled: FloatArray = shares * np.repeat([self.m_s, self.rad_s], 3)
        return scaled


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted at one time: a twist, shape (6,) in the order of `AXES` [m/s, rad/s], and orders in their turn."""

    twist: FloatArray
    orders: tuple[Order, ...] = ()

    @classmethod
    def nothing(cls) -> Wish:
        """Nothing is to move."""
        return cls(np.zeros(6))


class Device(Protocol):
    """Something that a person moves the arm with; all times are in one clock of the caller's [s]."""

    def read(self, now_s: float) -> Wish | None:
        """What is wanted now; None when the device is silent. Each order is handed out once."""
        ...


class Keyboard:
    """Keys as a terminal tells of them."""

    def __init__(self, speeds: Speeds) -> None:
        self._speeds = speeds
        self._pressed_s: dict[str, float] = {}
        self._orders: list[Order] = []

    def press(self, key: str, now_s: float) -> None:
        """A key came, once or as a repetition; any that is no move stops all moves."""
        if key in MOVES:
            self._pressed_s[key] = now_s
        else:
            self._pressed_s.clear()
            self._orders += [ORDERS[key]] if key in ORDERS else []

    def read(self, now_s: float) -> Wish:
        """The keys of the last `KEY_HOLD_S`; never silent while its process lives."""
        self._pressed_s = {key: at_s for key, at_s in self._pressed_s.items() if 0 <= now_s - at_s < KEY_HOLD_S}
        orders, self._orders = tuple(self._orders), []
        return Wish(self._speeds.scale(held(self._pressed_s)), orders)


def held(keys: Sequence[str] | Mapping[str, Any]) -> FloatArray:
    """Shares of the speeds while `keys` are held, shape (6,)."""
    shares = np.zeros(6)
    for key in keys:
        axis, sign = MOVES[key]
        shares[AXES.index(axis)] += sign
    return np.clip(shares, -1.0, 1.0)


@dataclass(frozen=True, slots=True)
class JoystickMap:
    """Which axis and button of a joystick means what.

    Attributes:
        enable_button: Moves count only while it is held.
        dead_zone: Share of an axis within which it counts as zero.
        axes: Name in `AXES` → index in `Joy.axes` and sign.
        buttons: Index in `Joy.buttons` → order.
    """

    enable_button: int
    dead_zone: float
    axes: Mapping[str, tuple[int, int]]
    buttons: Mapping[int, Order]

    @classmethod
    def load(cls, name_or_path: str) -> JoystickMap:
        """The mapping in a YAML file, or of one of the joysticks in `config/joysticks`.

        Raises:
            TeleopError: there is no such file or name, or it holds something else.
        """
        path = find_named(name_or_path, folder=FOLDER, suffix=".yaml", what="joystick", error=TeleopError)
        data = read_mapping(path, error=TeleopError)
        try:
            axes = {_known(name, AXES): (int(row["axis"]), int(row["sign"])) for name, row in data["axes"].items()}
            buttons = {int(index): Order(name) for name, index in data["buttons"].items()}
            made = cls(int(data["enable_button"]), float(data["dead_zone"]), axes, buttons)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TeleopError(
                f"{path}: expected enable_button, dead_zone, axes ({', '.join(AXES)}: axis and sign) and buttons "
                f"({', '.join(order.value for order in Order)}: index): {error!r}"
            ) from error
        if not 0.0 <= made.dead_zone < 1.0 or any(sign not in (-1, 1) for _, sign in axes.values()):
            raise TeleopError(f"{path}: expected a dead_zone from 0 to below 1 and signs of 1 or -1")
        if min([made.enable_button, *buttons, *(index for index, _ in axes.values())]) < 0:
            raise TeleopError(f"{path}: expected indices of 0 or more")
        return made


@dataclass(slots=True)
class Joystick:
    """Axes and buttons as joy_node tells of them."""

    speeds: Speeds
    meaning: JoystickMap
    _axes: Sequence[float] = ()
    _buttons: Sequence[int] = ()
    _heard_s: float = -math.inf
    _orders: list[Order] = field(default_factory=list)

    def hear(self, axes: Sequence[float], buttons: Sequence[int], now_s: float) -> None:
        """A message came; a button orders when it is newly pressed."""
        for index, order in self.meaning.buttons.items():
            if _at(buttons, index) and not _at(self._buttons, index):
                self._orders.append(order)
        self._axes, self._buttons, self._heard_s = axes, buttons, now_s

    def read(self, now_s: float) -> Wish | None:
        """The newest message, without motion unless the enabling button is held; silent when there is no new one."""
        if not 0.0 <= now_s - self._heard_s <= JOY_TIMEOUT_S:
            return None
        shares = np.zeros(6)
        if _at(self._buttons, self.meaning.enable_button):
            for name, (index, sign) in self.meaning.axes.items():
                share = sign * _at(self._axes, index)
                shares[AXES.index(name)] = 0.0 if abs(share) <= self.meaning.dead_zone else share
        orders, self._orders = tuple(self._orders), []
        return Wish(self.speeds.scale(np.clip(shares, -1.0, 1.0)), orders)  # NaN stays NaN, and is refused


def _at(values: Sequence[float], index: int) -> float:
    return values[index] if index < len(values) else 0.0


def _known(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise ValueError(f"expected one of {names}, got {name!r}")
    return name
