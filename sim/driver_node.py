"""A stand-in for a real arm's driver: no physics and no pictures, but its commands, its time-out and its state."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.arm import TwistOutput
from magma_ros.errors import EnvError
from magma_ros.ros import conversions, interface
from magma_ros.ros.conversions import GripperJoint
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.spin import run
from magma_ros.sim.driver_commands import MotionCommands, gripper_topic, motion_message, opening_of
from magma_ros.sim.driver_state import StatePublisher
from magma_ros.sim.kinematic_arm import FAULTS, KinematicArm, Ramp
from magma_ros.types import Pose, Proprio

DOWN_QUAT_XYZW = (0.0, 0.5**0.5, 0.0, 0.5**0.5)
"""Orientation at home: the end effector's x axis, along the fingers, points down."""
GRIPPER_TRAVEL_S = 0.5
_SPEED_RESERVE = 2.0  # the driver's own limits, as a multiple of what the arm's file allows
_DEFAULT_TIMEOUT_S = 0.1  # where the arm's file has none: only twists time out
_LONGEST_TICK_S = 0.1


class DriverNode(Node):
    """Follows the commands of one arm's output, and publishes its measured state as the arm's file says.

    It has no links: the joints stay where home has them.
    """

    def __init__(self) -> None:
        """At home and at rest.

        Raises:
            ArmConfigError: there is no such arm.
            EnvError: no such fault, a form of command that it cannot take, or a message type that is not installed.
        """
        super().__init__("driver_node")
        declare(self, interface.DRIVER_PARAMETERS)
        self._options = values(self, interface.DRIVER_PARAMETERS)
        fault, arm = self._options["fault"], arms.load(self._options["arm"])
        if fault not in FAULTS:
            raise EnvError(f"fault: expected one of {sorted(FAULTS)}, got {fault!r}")
        self._model = KinematicArm(
            Pose(np.array(arm.home.ee_position_m), np.array(DOWN_QUAT_XYZW)),
            lag_s=self._options["lag_s"],
            max_speed_m_s=_SPEED_RESERVE * arm.limits.max_speed_m_s,
            max_speed_rad_s=_SPEED_RESERVE * arm.limits.max_speed_rad_s,
            fault=FAULTS[fault],
        )
        timeout_s = arm.output.command_timeout_s if isinstance(arm.output, TwistOutput) else _DEFAULT_TIMEOUT_S
        self._commands = MotionCommands(
            self._model, frame=arm.frames.base, timeout_s=self._options["command_timeout_s"] or timeout_s
        )
        gripper = arm.gripper
        self._joint = GripperJoint(gripper.joint, gripper.closed_position, gripper.open_position)
        self._opening = Ramp(1.0, rate=1.0 / GRIPPER_TRAVEL_S)
        self._joints_rad = np.array(arm.home.positions_rad)
        self._noise = np.random.default_rng(seed=0)
        self._state = StatePublisher(self, arm, gripper=self._joint)
        self._logged: set[str] = set()
        self._last_s = self._now_s()
        qos = interface.COMMAND.profile
        self.create_subscription(motion_message(arm), arm.output.topic, self._on_command, qos())
        self.create_subscription(*gripper_topic(arm), self._on_gripper, qos())
        self._timer = self.create_timer(1.0 / self._options["rate_hz"], self._tick)
        self.get_logger().info(f"{arm.name}: {arm.output.kind} on {arm.output.topic}, fault: {fault}")

    def close(self) -> None:
        """Nothing moves any more."""
        self._timer.cancel()

    def _on_command(self, message: Any) -> None:
        refusal = self._commands.take(message, self._now_s())
        kind = refusal.partition(":")[0]
        if kind and kind not in self._logged:
            self._logged.add(kind)
            self.get_logger().warning(f"command refused: {refusal} (further ones are not logged)")

    def _on_gripper(self, message: Any) -> None:
        opening = opening_of(message, self._joint)
        if opening is not None:
            self._opening.goal = opening

    def _tick(self) -> None:
        now_s = self._now_s()
        period_s = min(now_s - self._last_s, _LONGEST_TICK_S)
        self._last_s = now_s
        self._commands.expire(now_s)
        if period_s > 0.0:
            self._model.advance(period_s)
            self._opening.advance(period_s)
        self._state.publish(self._measured(), self.get_clock().now().to_msg())

    def _measured(self) -> Proprio:
        pose = self._model.pose
        position = pose.position_m + self._noise.normal(0.0, self._options["noise_m"], 3)
        turn = Rotation.from_rotvec(self._noise.normal(0.0, self._options["noise_rad"], 3))
        quat = (turn * Rotation.from_quat(pose.quat_xyzw)).as_quat()
        return Proprio(position, quat, self._opening.value, self._joints_rad)

    def _now_s(self) -> float:
        return conversions.seconds(self.get_clock().now().to_msg())


def main() -> int:
    """Run the stand-in until SIGINT or SIGTERM; returns the exit status."""
    return run(DriverNode)


if __name__ == "__main__":
    sys.exit(main())
