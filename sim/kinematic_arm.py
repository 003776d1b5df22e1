"""An end effector without physics that follows commands with a first-order lag, or with a deliberate fault."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from magma_ros.geometry import compose_ee_delta
from magma_ros.types import Action, FloatArray, Pose, frozen_array


@dataclass(frozen=True, slots=True)
class DriverFault:
    """What a driver that is set up wrongly makes of velocities, by its linear maps, shape (3, 3) each.

    Attributes:
        linear: From the velocity [m/s] that was meant to the one that is driven, along the base axes.
        angular: Same for the angular velocity [rad/s].
    """

    linear: FloatArray
    angular: FloatArray

    def __post_init__(self) -> None:
        for name in ("linear", "angular"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), shape=(3, 3), dtype=np.float64, name=name))


_RIGHT = np.eye(3)
_SWAP_XY = _RIGHT[[1, 0, 2]]
_FLIP_Z = np.diag([1.0, 1.0, -1.0])
_WITHOUT_Y = np.diag([1.0, 0.0, 1.0])
_BASE_TURNED = Rotation.from_euler("z", math.pi / 2).as_matrix()

FAULTS: Mapping[str, DriverFault] = MappingProxyType(
    {
        "none": DriverFault(_RIGHT, _RIGHT),
        "swapped_axes": DriverFault(_SWAP_XY, _SWAP_XY),
        "wrong_sign": DriverFault(_FLIP_Z, _FLIP_Z),
        "m_as_mm": DriverFault(_RIGHT / 1000, _RIGHT),
        "mm_as_m": DriverFault(_RIGHT * 1000, _RIGHT),
        "rad_as_deg": DriverFault(_RIGHT, np.radians(_RIGHT)),
        "deg_as_rad": DriverFault(_RIGHT, np.degrees(_RIGHT)),
        "rotated_base": DriverFault(_BASE_TURNED, _BASE_TURNED),
        "dead_axis": DriverFault(_WITHOUT_Y, _WITHOUT_Y),
    }
)
"""By name: x and y swapped, z reversed, a length or an angle taken in another unit, the base turned by 90 degrees about
z, no motion along or about y. `m_as_mm` makes metres millimetres: a thousandth of the motion; `mm_as_m` a thousand
times as much."""


class KinematicArm:
    """The end effector of one arm in its base frame; whoever drives it says how much time has passed.

    The fault stands between what the driver believes to do and what the arm does: poses are believed to be reached.
    """

    def __init__(
        self,
        start: Pose,
        *,
        lag_s: float,
        max_speed_m_s: float,
        max_speed_rad_s: float,
        fault: DriverFault = FAULTS["none"],
    ) -> None:
        """At rest at `start`.

        Args:
            start: End effector in the base frame.
            lag_s: Time constant with which speeds follow twists, and poses follow targets, more than 0 [s].
            max_speed_m_s: The arm goes no faster, whatever it is told [m/s].
            max_speed_rad_s: It turns no faster [rad/s].
            fault: What is wrong with it.
        """
        self._lag_s, self._fault = lag_s, fault
        self._max_speed_m_s, self._max_speed_rad_s = max_speed_m_s, max_speed_rad_s
        self.begin(start)

    def begin(self, start: Pose) -> None:
        """At rest at `start`; forgets all before."""
        self._pose = self._believed = start
        self._twist, self._velocity = np.zeros(6), np.zeros(6)
        self._target: Pose | None = None  # None: a twist is followed

    @property
    def pose(self) -> Pose:
        """Where the end effector is, in the base frame."""
        return self._pose

    def follow_twist(self, linear_m_s: ArrayLike, angular_rad_s: ArrayLike) -> None:
        """Go on with this velocity along the base axes, shapes (3,), until told otherwise."""
        self._target, self._twist = None, np.concatenate([np.asarray(linear_m_s), np.asarray(angular_rad_s)])

    def follow_pose(self, pose_ee_in_base: Pose) -> None:
        """Go there and stay."""
        self._target = pose_ee_in_base

    def follow_step(self, action: Action) -> None:
        """Go to where `action` leads from the present target."""
        start = self._target or self._believed
        self._target = Pose(*compose_ee_delta(start.position_m, start.quat_xyzw, action))

    def stop(self) -> None:
        """Come to rest with the lag, wherever that is."""
        self._target, self._twist = None, np.zeros(6)

    def advance(self, period_s: float) -> None:
        """`period_s` later, more than 0 [s]."""
        share = 1.0 - math.exp(-period_s / self._lag_s)
        if self._target is None:
            self._velocity = self._velocity + share * (self._twist - self._velocity)
        else:
            self._velocity = share / period_s * self._to_target(self._target)
        linear, angular = self._limited(self._velocity[:3], self._velocity[3:])
        self._velocity = np.concatenate([linear, angular])
        self._believed = _moved(self._believed, linear * period_s, angular * period_s)
        linear, angular = self._limited(self._fault.linear @ linear, self._fault.angular @ angular)
        self._pose = _moved(self._pose, linear * period_s, angular * period_s)

    def _to_target(self, target: Pose) -> FloatArray:
        turn = Rotation.from_quat(target.quat_xyzw) * Rotation.from_quat(self._believed.quat_xyzw).inv()
        return np.concatenate([target.position_m - self._believed.position_m, turn.as_rotvec()])

    def _limited(self, linear: FloatArray, angular: FloatArray) -> tuple[FloatArray, FloatArray]:
        return _at_most(linear, self._max_speed_m_s), _at_most(angular, self._max_speed_rad_s)


class Ramp:
    """A number that goes to its goal at a constant rate: the joint of a gripper."""

    def __init__(self, value: float, *, rate: float) -> None:
        """At `value`; `rate` is a change per second, more than 0."""
        self.value = self.goal = value
        self._rate = rate

    def advance(self, period_s: float) -> None:
        """`period_s` later [s]."""
        change = self._rate * period_s
        self.value += min(max(self.goal - self.value, -change), change)


def _moved(pose: Pose, translation_m: FloatArray, rotation_vector_rad: FloatArray) -> Pose:
    turned = Rotation.from_rotvec(rotation_vector_rad) * Rotation.from_quat(pose.quat_xyzw)
    return Pose(pose.position_m + translation_m, turned.as_quat())


def _at_most(vector: FloatArray, length: float) -> FloatArray:
    return vector * min(1.0, length / max(float(np.linalg.norm(vector)), 1e-12))
