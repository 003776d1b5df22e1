"""From a pose of the end effector to the joints of an arm, one small step at a time; Pinocchio reads the URDF."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from magma_ros.arm import Arm, FixedPose
from magma_ros.errors import InvalidInputError, KinematicsError
from magma_ros.motion import Place
from magma_ros.stops import Stop, StopReason
from magma_ros.types import FloatArray, Pose, frozen_array

MAX_URDF_CHARACTERS = 4_000_000

SINGULAR_BELOW = 0.04
"""Smallest singular value of the Jacobian (metres and radians mixed) below which steps are damped."""
MAX_DAMPING = 0.04
"""At a singularity; grows from zero as in Nakamura and Hanafusa, "Inverse kinematic solutions with singularity
robustness", J. Dyn. Sys. Meas. Control 108 (1986)."""


@dataclass(frozen=True, slots=True)
class JointStep:
    """Where the joints go in one period.

    Attributes:
        positions: Shape (n,), [rad], or [m] of a sliding joint; within the joints' limits.
        velocities: That bring them there, shape (n,), per second; within the joints' limits.
        at_limit: Names of the joints that a limit held back.
        smallest_singular_value: Of the Jacobian at the start; near a singularity it is small.
    """

    positions: FloatArray
    velocities: FloatArray
    at_limit: tuple[str, ...]
    smallest_singular_value: float


class Kinematics:
    """The joints and frames of one arm, from its URDF; stateless, so that every call says where the joints are.

    Poses are the end effector's in the base frame [m], quaternions xyzw; velocities are along the axes of the base
    frame, about the end effector's origin. Joints are in the order they were named, all others of the URDF rest at 0.
    """

    def __init__(
        self, urdf: str, *, joints: Sequence[str], base: str, tip: str, pose_ee_in_tip: FixedPose | None = None
    ) -> None:
        """Read `urdf`; `pose_ee_in_tip` is where the end effector is in the link `tip`, None for the link itself.

        Raises:
            KinematicsError: Pinocchio is not installed, the text is no URDF, a joint or link is missing, or a joint
                that is to move has no limits or is of a kind that is not supported.
        """
        self._pin = require_pinocchio()
        self._joints = tuple(joints)
        self._model = self._reduced(urdf)
        self._data = self._model.createData()
        self._base, self._tip = self._frame(base), self._frame(tip)
        if self._model.frames[self._base].parentJoint != 0:
            raise KinematicsError(f"base: expected a link that no joint of {list(joints)} moves, got {base!r}")
        offset = pose_ee_in_tip or FixedPose(position_m=(0.0, 0.0, 0.0), quat_xyzw=(0.0, 0.0, 0.0, 1.0))
        self._offset_m = np.array(offset.position_m)
        self._offset_turn = Rotation.from_quat(offset.quat_xyzw)
        ids = [self._model.getJointId(name) for name in joints]
        self._columns = np.array([self._model.joints[index].idx_v for index in ids])
        self._bounded = np.array([self._model.joints[index].nq == 1 for index in ids])
        self._positions_at = [self._model.joints[index].idx_q for index in ids]
        low, high = self._model.lowerPositionLimit, self._model.upperPositionLimit
        self._low = np.where(self._bounded, low[self._positions_at], -math.inf)
        self._high = np.where(self._bounded, high[self._positions_at], math.inf)
        self._max_speed = self._model.velocityLimit[self._columns]
        self._check_limits()

    @classmethod
    def of_arm(cls, arm: Arm, urdf: str, *, joints: Sequence[str]) -> Kinematics:
        """The kinematics of `arm`; its end effector is in the URDF, or fixed to the flange as the arm's file says.

        Raises:
            KinematicsError: as the constructor.
        """
        frames = arm.frames
        if frames.end_effector_in_urdf:
            return cls(urdf, joints=joints, base=frames.base, tip=frames.end_effector)
        return cls(urdf, joints=joints, base=frames.base, tip=frames.flange, pose_ee_in_tip=frames.pose_ee_in_flange)

    def pose(self, joints: ArrayLike) -> Pose:
        """The end effector at `joints`, shape (n,).

        Raises:
            InvalidInputError: another shape, or a number is not finite.
        """
        position, turn = self._locate(self._checked(joints))
        return Pose(position, turn.as_quat())

    def jacobian(self, joints: ArrayLike) -> FloatArray:
        """Linear, then angular velocity of the end effector per joint velocity at `joints`, shape (6, n).

        Raises:
            InvalidInputError: another shape, or a number is not finite.
        """
        self._place(self._checked(joints))
        pin, data = self._pin, self._data
        pin.computeJointJacobians(self._model, data)
        tip = pin.getFrameJacobian(self._model, data, self._tip, pin.ReferenceFrame.LOCAL_WORLD_ALIGNED)
        linear, angular = tip[:3, self._columns], tip[3:, self._columns]
        arm = data.oMf[self._tip].rotation @ self._offset_m  # from the tip to the end effector
        linear = linear + np.cross(angular, arm, axisa=0, axisb=0, axisc=0)
        to_base = data.oMf[self._base].rotation.T
        return np.concatenate([to_base @ linear, to_base @ angular])

    def error(self, joints: ArrayLike, target: Pose) -> FloatArray:
        """From the end effector at `joints` to `target`: translation [m], then rotation vector [rad], shape (6,).

        Raises:
            InvalidInputError: a number is not finite, or the quaternion has not unit norm.
        """
        goal = Place.of(target, name="target")
        position, turn = self._locate(self._checked(joints))
        return np.concatenate([goal.position - position, (goal.rotation * turn.inv()).as_rotvec()])

    def velocity_step(self, joints: ArrayLike, twist: ArrayLike, *, period_s: float) -> JointStep:
        """The joints' step of `period_s` [s] that moves the end effector with `twist`, or as nearly as they can.

        A joint at its limit stays there and the others do what they can; where one would be too fast all are slowed
        down, so that the direction is kept. Near a singularity the step is damped instead of growing without bounds.

        Args:
            joints: Where they are, shape (n,); one that is beyond its limits does not go further.
            twist: Linear [m/s], then angular [rad/s] velocity, shape (6,).
            period_s: How long the step takes.

        Raises:
            InvalidInputError: another shape, a number that is not finite, or a period that is not above zero.
        """
        here, wanted = self._checked(joints), _finite(twist, count=6, name="twist")
        period_s = _period(period_s)
        jacobian = self.jacobian(here)
        low, high = np.minimum(self._low, here), np.maximum(self._high, here)
        velocities, free = np.zeros(len(here)), np.ones(len(here), dtype=bool)
        for _ in here:  # each round takes the joints away that would leave their limits
            velocities[free] = _damped(jacobian[:, free], wanted)
            velocities /= max(1.0, float(np.max(np.abs(velocities) / self._max_speed)))
            ends = here + period_s * velocities
            beyond = free & ((ends < low) | (ends > high))
            if not beyond.any():
                break
            velocities[beyond], free = 0.0, free & ~beyond
        positions = np.clip(here + period_s * velocities, low, high)
        singular = float(np.linalg.svd(jacobian, compute_uv=False)[-1])
        held = tuple(name for name, is_free in zip(self._joints, free, strict=True) if not is_free)
        return JointStep(positions, velocities, held, singular)

    def pose_step(
        self, joints: ArrayLike, target: Pose, *, period_s: float, max_error_m: float, max_error_rad: float
    ) -> JointStep | Stop:
        """The step of `period_s` [s] towards `target`, or why it cannot be followed.

        The step covers the whole way if the joints' speeds allow; what is left over is covered by later steps.

        Args:
            joints: Where they are, shape (n,).
            target: Near the present pose: the step is a linear one.
            period_s: How long the step takes.
            max_error_m: Largest distance that may be left over after the step.
            max_error_rad: The same, as an angle.

        Raises:
            InvalidInputError: a number is not finite, or the quaternion has not unit norm.
        """
        wanted = self.error(joints, target) / _period(period_s)
        step = self.velocity_step(joints, wanted, period_s=period_s)
        left = self.error(step.positions, target)
        left_m, left_rad = float(np.linalg.norm(left[:3])), float(np.linalg.norm(left[3:]))
        if left_m <= max_error_m and left_rad <= max_error_rad:
            return step
        why = "its joints are too slow"
        if step.at_limit:
            why = f"{', '.join(step.at_limit)} would leave its limits"
        elif step.smallest_singular_value < SINGULAR_BELOW:
            why = f"it is at a singularity (smallest singular value {step.smallest_singular_value:.4f})"
        return Stop(
            StopReason.UNREACHABLE,
            f"the arm is {left_m:.3f} m and {left_rad:.3f} rad behind the setpoint, "
            f"allowed are {max_error_m} m and {max_error_rad} rad: {why}",
        )

    def _locate(self, joints: FloatArray) -> tuple[FloatArray, Rotation]:
        self._place(joints)
        tip_in_base = self._data.oMf[self._base].actInv(self._data.oMf[self._tip])
        turn = tip_in_base.rotation
        quat_xyzw = self._pin.Quaternion(turn).coeffs()
        return tip_in_base.translation + turn @ self._offset_m, Rotation.from_quat(quat_xyzw) * self._offset_turn

    def _place(self, joints: FloatArray) -> None:
        """Leave every link's pose in the data."""
        configuration = self._pin.neutral(self._model)
        for at, bounded, joint in zip(self._positions_at, self._bounded, joints, strict=True):
            # An endless joint is a point on the unit circle.
            configuration[at : at + (1 if bounded else 2)] = joint if bounded else (math.cos(joint), math.sin(joint))
        self._pin.framesForwardKinematics(self._model, self._data, configuration)

    def _reduced(self, urdf: str) -> Any:
        """The model with only the named joints; those must exist and be of one degree of freedom."""
        if len(urdf) > MAX_URDF_CHARACTERS:
            raise KinematicsError(f"URDF: expected at most {MAX_URDF_CHARACTERS} characters, got {len(urdf)}")
        try:
            model = self._pin.buildModelFromXML(urdf)
        except ValueError as error:
            raise KinematicsError(f"URDF: expected a robot description, got {urdf[:60]!r}: {error}") from error
        available = list(model.names)[1:]
        missing = [name for name in self._joints if name not in available]
        if missing or not self._joints or len(set(self._joints)) != len(self._joints):
            raise KinematicsError(
                f"joints: expected names of the URDF, got {list(self._joints)}; available {available}"
            )
        locked = [model.getJointId(name) for name in available if name not in self._joints]
        model = self._pin.buildReducedModel(model, locked, self._pin.neutral(model))
        odd = [name for name in self._joints if model.joints[model.getJointId(name)].nv != 1]
        if odd:
            raise KinematicsError(f"joints: expected revolute, continuous or prismatic ones, got {odd}")
        return model

    def _frame(self, name: str) -> int:
        link = self._pin.FrameType.BODY  # a joint may have the same name
        if not self._model.existFrame(name, link):
            available = [frame.name for frame in self._model.frames if frame.type == link]
            raise KinematicsError(f"link: expected one of the URDF, got {name!r}; available {available}")
        return int(self._model.getFrameId(name, link))

    def _check_limits(self) -> None:
        for name, low, high, speed in zip(self._joints, self._low, self._high, self._max_speed, strict=True):
            if not (low < high and math.isfinite(speed) and speed > 0):
                raise KinematicsError(
                    f"joint {name!r}: expected lower below upper and a velocity above zero in the URDF's <limit>, "
                    f"got {low}, {high} and {speed}"
                )

    def _checked(self, joints: ArrayLike) -> FloatArray:
        return _finite(joints, count=len(self._joints), name="joints")


def _damped(jacobian: FloatArray, twist: FloatArray) -> FloatArray:
    """Joint velocities by least squares, damped where the Jacobian (6, n) is nearly singular."""
    left, values, right = np.linalg.svd(jacobian, full_matrices=False)
    if not len(values):
        return np.zeros(jacobian.shape[1])
    nearness = max(0.0, 1.0 - (values[-1] / SINGULAR_BELOW) ** 2)
    damping = nearness * MAX_DAMPING**2
    return np.asarray(right.T @ (values / (values**2 + damping) * (left.T @ twist)))


def _finite(values: ArrayLike, *, count: int, name: str) -> FloatArray:
    array = frozen_array(values, shape=(count,), dtype=np.float64, name=name)
    if not np.isfinite(array).all():
        raise InvalidInputError(f"{name}: expected finite numbers, got {array.tolist()}")
    return array


def _period(period_s: float) -> float:
    if not (math.isfinite(period_s) and period_s > 0):
        raise InvalidInputError(f"period_s: expected a finite time above zero, got {period_s!r}")
    return period_s


def require_pinocchio() -> Any:
    """The library.

    Raises:
        KinematicsError: it is not installed; says how to get it.
    """
    try:
        return importlib.import_module("pinocchio")
    except ImportError as error:
        raise KinematicsError(
            f"inverse kinematics needs Pinocchio, which is not installed ({error}): "
            "pip install 'magma_ros[ik]', or ros-$ROS_DISTRO-pinocchio by apt"
        ) from error
