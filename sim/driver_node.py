"""A stand-in for a real arm's driver: no physics and no pictures, but its commands, its time-out and its state.

What it moves can be replaced by something with physics (sim/servo_node.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.arm import Arm, TwistOutput
from magma_ros.errors import EnvError
from magma_ros.ros import conversions, endpoints, interface
from magma_ros.ros.conversions import GripperJoint
from magma_ros.ros.endpoints import Parameter
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


class Body(Protocol):
    """What a driver moves.

    Attributes:
        start: Where its end effector is at first, in the base frame.
    """

    start: Pose

    def move(self, target_in_base: Pose, opening: float, period_s: float) -> Proprio:
        """What is measured `period_s` [s] later, when the end effector and the gripper (0 … 1) are told to be there."""
        ...


MakeBody = Callable[[Arm, dict[str, Any]], Body]
"""Called with the arm and the node's parameters by name."""


class NoBody:
    """Nothing but numbers: the end effector is where it is told to be, and the joints stay where home has them."""

    def __init__(self, arm: Arm, options: dict[str, Any]) -> None:
        """Measured with normal noise of the parameters `noise_m` and `noise_rad`, from a fixed seed."""
        self.start = Pose(np.array(arm.home.ee_position_m), np.array(DOWN_QUAT_XYZW))
        self._joints_rad = np.array(arm.home.positions_rad)
        self._noise_m, self._noise_rad = options["noise_m"], options["noise_rad"]
        self._rng = np.random.default_rng(seed=0)

    def move(self, target_in_base: Pose, opening: float, period_s: float) -> Proprio:  # noqa: ARG002  at once
        """The target, with noise."""
        position = target_in_base.position_m + self._rng.normal(0.0, self._noise_m, 3)
        turn = Rotation.from_rotvec(self._rng.normal(0.0, self._noise_rad, 3))
        quat = (turn * Rotation.from_quat(target_in_base.quat_xyzw)).as_quat()
        return Proprio(position, quat, opening, self._joints_rad)


class DriverNode(Node):
    """Follows the commands of one arm's output, and publishes its measured state as the arm's file says."""

    def __init__(
        self,
        name: str = "driver_node",
        *,
        parameters: Sequence[Parameter] = interface.DRIVER_PARAMETERS,
        make_body: MakeBody = NoBody,
    ) -> None:
        """At rest where the body starts.

        Raises:
            ArmConfigError: there is no such arm.
            EnvError: no such fault, a form of command that it cannot take, or a message type that is not installed.
        """
        super().__init__(name)
        declare(self, parameters)
        options = values(self, parameters)
        fault, self.arm = options["fault"], arms.load(options["arm"])
        if fault not in FAULTS:
            raise EnvError(f"fault: expected one of {sorted(FAULTS)}, got {fault!r}")
        arm, output, gripper = self.arm, self.arm.output, self.arm.gripper
        joint = GripperJoint(gripper.joint, gripper.closed_position, gripper.open_position)
        self._state = StatePublisher(self, arm, gripper=joint)
        self._body = make_body(arm, options)
        self._model = KinematicArm(
            self._body.start,
            lag_s=options["lag_s"],
            max_speed_m_s=_SPEED_RESERVE * arm.limits.max_speed_m_s,
            max_speed_rad_s=_SPEED_RESERVE * arm.limits.max_speed_rad_s,
            fault=FAULTS[fault],
        )
        timeout_s = output.command_timeout_s if isinstance(output, TwistOutput) else _DEFAULT_TIMEOUT_S
        self._commands = MotionCommands(
            self._model, frame=arm.frames.base, timeout_s=options["command_timeout_s"] or timeout_s
        )
        self._joint, self._opening = joint, Ramp(1.0, rate=1.0 / GRIPPER_TRAVEL_S)
        self._logged: set[str] = set()
        self._last_s = self._now_s()
        self.create_subscription(motion_message(arm), output.topic, self._on_command, endpoints.COMMAND.profile())
        self.create_subscription(*gripper_topic(arm), self._on_gripper, endpoints.COMMAND.profile())
        self._timer = self.create_timer(1.0 / options["rate_hz"], self._tick)
        self.get_logger().info(f"{arm.name}: {output.kind} on {output.topic}, fault: {fault}")

    def begin_afresh(self, start: Pose) -> None:
        """At rest at `start` in the base frame, the gripper on its way to open; earlier commands are forgotten."""
        self._model.begin(start)
        self._opening.goal = 1.0

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
        proprio = self._body.move(self._model.pose, self._opening.value, max(period_s, 0.0))
        self._state.publish(proprio, self.get_clock().now().to_msg())

    def _now_s(self) -> float:
        return conversions.seconds(self.get_clock().now().to_msg())


def main() -> int:
    """Run the stand-in until SIGINT or SIGTERM; returns the exit status."""
    return run(DriverNode)


if __name__ == "__main__":
    sys.exit(main())
