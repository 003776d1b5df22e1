"""A stand-in for a policy: it leads the end effector around a circle, or does what a broken policy would do."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from magma_ros.errors import ActionDecodeError, PolicyError
from magma_ros.sim.faults.settings import CONTRACT, RADIUS_M, STEP_M
from magma_ros.sim.faults.switch import Switch
from magma_ros.types import ACTION_DIM, ActionChunk, FloatArray, Observation

PAUSE_S = 5
"""A pause of the whole interpreter, as a garbage collector could make it [s]."""

HANG_S = 1.5
"""Longer than anybody waits for an action [s]."""

Row = FloatArray
"""One action: translation [m], rotation vector [rad], gripper opening; shape (7,)."""

_TOKENS = np.arange(ACTION_DIM, dtype=np.int64)[None]


def circling(position_m: FloatArray, centre_m: FloatArray) -> Row:
    """One step along the circle around `centre_m` in the horizontal plane, and towards it."""
    away = (position_m - centre_m)[:2]
    distance_m = float(np.linalg.norm(away))
    outward = away / distance_m if distance_m > 1e-6 else np.array([1.0, 0.0])
    heading = np.array([-outward[1], outward[0]]) + outward * (RADIUS_M - distance_m) / RADIUS_M
    return _row(*(STEP_M * heading / np.linalg.norm(heading)))


def _row(x_m: float = 0.0, y_m: float = 0.0, z_m: float = 0.0, *, opening: float = 1.0) -> Row:
    return np.array([x_m, y_m, z_m, 0.0, 0.0, 0.0, opening])


def _with(row: Row, index: int, value: float) -> Row:
    changed = row.copy()
    changed[index] = value
    return changed


BAD_ROWS: Mapping[str, Callable[[Row, int], Row]] = MappingProxyType(
    {
        "nan": lambda row, _: _with(row, 0, np.nan),
        "inf": lambda row, _: _with(row, 4, np.inf),
        "beyond_contract": lambda _, __: _row(2 * CONTRACT.max_translation_m),
        "too_fast": lambda row, _: _with(4 * row, 6, 1.0),
        "too_fast_turn": lambda row, _: _with(row, 5, 0.9 * CONTRACT.max_rotation_rad),
        "start_jump": lambda _, __: _row(4 * STEP_M),
        # From rest it would be none, so that something else has to keep the arm there.
        "discontinuity": lambda row, number: _with(-row, 6, 1.0) if number == 0 else _row(np.nan),
        "gripper_chatter": lambda row, number: _with(row, 6, float(number % 2)),
        "gripper_beyond_contract": lambda row, _: _with(row, 6, 3.0),
        "walk_out": lambda _, __: _row(STEP_M),
        "walk_down": lambda _, __: _row(0.0, 0.0, -STEP_M),
    }
)
"""What becomes of a good action under each fault that is an action, and of its number since the fault began."""

ENTROPIES_NATS = MappingProxyType({"entropy_slow": 4.2, "entropy_hold": 5.0})

_RAISED: Mapping[str, Callable[[], Exception]] = MappingProxyType(
    {
        "undecodable": lambda: ActionDecodeError("expected action tokens, got the id 17"),
        "policy_error": lambda: PolicyError("told to fail"),
        "exception": lambda: RuntimeError("told to crash"),
    }
)


class StandInPolicy:
    """Answers at once, as its switch says; a fault begins at the instant at which its first effect leaves here."""

    def __init__(self, switch: Switch, *, centre_m: FloatArray) -> None:
        """Circle around `centre_m` in the contract's frame, shape (3,) [m]."""
        self.contract = CONTRACT
        self._switch, self._centre_m = switch, centre_m
        self._fault, self._number = "", 0

    def infer(self, observation: Observation) -> ActionChunk:
        """The next step of the circle, or the fault that is ordered.

        Raises:
            MagmaRosError: that is the fault.
            RuntimeError: same.
        """
        fault = self._switch.ordered
        self._number = self._number + 1 if fault == self._fault else 0
        self._fault = fault
        self._interrupt(fault)
        row = _row() if observation.proprio is None else circling(observation.proprio.ee_position_m, self._centre_m)
        if fault in BAD_ROWS:
            row = BAD_ROWS[fault](row, self._number)
        frame = "camera" if fault == "wrong_frame" else self.contract.frame
        entropy = np.full((1, ACTION_DIM), ENTROPIES_NATS.get(fault, 0.5))
        chunk = ActionChunk(row[None], frame, observation.stamp_s, _TOKENS, entropy)
        self._switch.begin(fault)
        return chunk

    def _interrupt(self, fault: str) -> None:
        """The faults that are no answer."""
        if fault in _RAISED:
            self._switch.begin(fault)
            error = _RAISED[fault]()
            raise error
        if fault == "hang":
            self._switch.begin(fault)
            time.sleep(HANG_S)
        if fault == "pause":
            self._switch.begin(fault)
            ctypes.PyDLL(None).sleep(PAUSE_S)  # with the interpreter's lock held
            self._switch.order("")

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""
