"""Joint trajectories of one point each, from the setpoint by inverse kinematics; the joints never jump."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from magma_ros import arm as arms
from magma_ros.arm import Arm
from magma_ros.errors import KinematicsError
from magma_ros.kinematics import Kinematics, require_pinocchio
from magma_ros.ros.command_topic import CommandTopic
from magma_ros.ros.endpoints import LATCHED, Topic
from magma_ros.setpoint import Setpoint
from magma_ros.stops import Stop, StopReason
from magma_ros.types import FloatArray, Proprio

MAX_JOINT_LAG_RAD = 0.35
"""A joint that is told to be further from where it is measured stops the arm; twice what the arm's limits need."""


class JointTrajectoryOutput(CommandTopic):
    """JointTrajectory with positions only, reached after the arm's `time_from_start_s`; starts at the measured joints.

    Joints follow the setpoint's pose itself, not its speed, so nothing drifts. Every command is within the joints'
    limits, and one period at their greatest speeds from the one before. The header's stamp is zero, which means "begin
    when this arrives": clocks of two machines need not agree.
    """

    def __init__(self, arm: Arm, output: arms.JointTrajectoryOutput, node: Node) -> None:
        """Publish on `node`, and wait there for the URDF.

        Raises:
            KinematicsError: Pinocchio is not installed.
        """
        require_pinocchio()
        super().__init__(node, output.topic, JointTrajectory)
        self._arm, self._output, self._log = arm, output, node.get_logger()
        self._order = [arm.home.joints.index(name) for name in output.joints]
        self._duration = Duration(seconds=output.time_from_start_s).to_msg()
        self._urdf = ""
        self._described: Kinematics | None = None  # by the executor's thread
        self._kinematics: Kinematics | None = None  # of the commands
        self._not_ready = f"{output.robot_description_topic}: expected the arm's URDF, got none yet"
        self._joints: FloatArray | None = None  # the last command; None at rest
        Topic(output.robot_description_topic, String, LATCHED, LATCHED, "URDF of the arm").subscribe(
            node, self._describe
        )

    def send(self, setpoint: Setpoint, *, stamp: Time, measured: Proprio | None = None) -> Stop | None:  # noqa: ARG002  zero is sent
        """As `SetpointOutput` says; without measured joints nothing is sent."""
        verdict = self._next(setpoint, measured)
        if isinstance(verdict, Stop):
            self._joints = None
            return verdict
        self._joints = verdict
        point = JointTrajectoryPoint(positions=verdict.tolist(), time_from_start=self._duration)
        self.publish(JointTrajectory(joint_names=list(self._output.joints), points=[point]))
        return None

    def hold(self, *, stamp: Time) -> None:  # noqa: ARG002  the protocol's
        """Nothing is sent: the arm rests at the last point, at most `time_from_start_s` from now."""
        self._joints = None

    def _next(self, setpoint: Setpoint, measured: Proprio | None) -> FloatArray | Stop:
        if self._kinematics is not self._described:
            self._kinematics, self._joints = self._described, None
        if self._kinematics is None:
            return Stop(StopReason.OUTPUT_NOT_READY, self._not_ready)
        if measured is None or len(measured.joint_positions_rad) != len(self._order):
            return Stop(StopReason.NO_PROPRIO, f"joint_states: expected {list(self._arm.home.joints)}, got none")
        limits, here = self._arm.limits, measured.joint_positions_rad[self._order]
        jump = self._jump(self._kinematics.error(here, setpoint.pose)) if self._joints is None else None
        if jump is not None:
            return jump
        step = self._kinematics.pose_step(
            here if self._joints is None else self._joints,
            setpoint.pose,
            period_s=1.0 / self._arm.command_rate_hz,
            max_error_m=limits.max_lag_m,
            max_error_rad=limits.max_lag_rad,
        )
        if isinstance(step, Stop):
            return step
        lags = np.abs(step.positions - here)
        if lags.max() > MAX_JOINT_LAG_RAD:
            late = self._output.joints[int(lags.argmax())]
            return Stop(
                StopReason.DISCONTINUITY,
                f"joint {late!r} is {lags.max():.3f} rad from its command, allowed are {MAX_JOINT_LAG_RAD}",
            )
        return step.positions

    def _jump(self, away: FloatArray) -> Stop | None:
        """Why motion cannot start from the measured joints, which are `away` from the setpoint: [m], [rad]."""
        limits = self._arm.limits
        away_m, away_rad = float(np.linalg.norm(away[:3])), float(np.linalg.norm(away[3:]))
        if away_m <= limits.max_lag_m and away_rad <= limits.max_lag_rad:
            return None
        return Stop(
            StopReason.START_JUMP,
            f"by URDF and joints the end effector is {away_m:.3f} m and {away_rad:.3f} rad from the setpoint, "
            f"allowed are {limits.max_lag_m} m and {limits.max_lag_rad} rad",
        )

    def _describe(self, message: String) -> None:
        """Take the arm's URDF; a new one is used from rest on."""
        if message.data == self._urdf:
            return
        self._urdf, self._described = message.data, None
        try:
            self._described = Kinematics.of_arm(self._arm, message.data, joints=self._output.joints)
        except KinematicsError as error:
            self._not_ready = f"{self._output.robot_description_topic}: {error}"
            self._log.error(self._not_ready)
