"""What goes out to one arm: its motion, as its file says, and its gripper."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.node import Node

from magma_ros.arm import Arm, EeDeltaOutput
from magma_ros.gripper import GripperFilter
from magma_ros.ros.gripper_output import gripper_output
from magma_ros.ros.outputs import StepOutput, setpoint_output
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Command, MotionState
from magma_ros.types import Action, Proprio


class MotionOutput:
    """The only writer of an arm's command topic; hands an arm that interpolates by itself each action instead."""

    def __init__(self, arm: Arm, node: Node) -> None:
        """Publish on `node` as `arm` says.

        Raises:
            MagmaRosError: a package or a description that this kind of output needs is missing.
        """
        self._steps = StepOutput(arm, node) if isinstance(arm.output, EeDeltaOutput) else None
        self._setpoints = None if self._steps else setpoint_output(arm, node)
        self._gripper = gripper_output(arm, node)
        self._gripper_filter = GripperFilter(arm.gripper)
        self._topic = arm.output.topic

    def gripper_counts(self) -> dict[str, int]:
        """Gripper goals that were kept back or did not reach the gripper, by reason."""
        failures = {} if self._gripper is None else dict(self._gripper.failures)
        return {StopReason.GRIPPER_CHATTER.value: self._gripper_filter.num_suppressed, **failures}

    def take(self, action: Action, *, stamp: Time, now_s: float) -> None:
        """An action that passed every check; `stamp` is that of its picture, `now_s` the present [s]."""
        if self._steps is not None:
            self._steps.send(action, stamp=stamp)
        if self._gripper is not None:
            self._move_gripper(self._gripper_filter.offer(action.gripper_opening, now_s))

    def send(self, command: Command, *, stamp: Time, now_s: float, measured: Proprio | Stop) -> Stop | None:
        """The command of one tick, or why nothing that moves was sent; without a setpoint the arm is told to hold."""
        refusal = None
        if self._setpoints is not None:
            if command.setpoint is None:
                self._setpoints.hold(stamp=stamp)
            else:
                state = measured if isinstance(measured, Proprio) else None
                refusal = self._setpoints.send(command.setpoint, stamp=stamp, measured=state)
        if command.state is MotionState.HALTED:
            self._gripper_filter.reset()  # after it the clock may be another
        elif command.stop is not None:
            self._gripper_filter.drop()
        elif self._gripper is not None:
            if self._gripper.take_refusal():
                self._gripper_filter.reset()  # the next action asks again
            self._move_gripper(self._gripper_filter.tick(now_s))
        return refusal

    def hold(self, *, stamp: Time) -> None:
        """The last word: zero speed, and no gripper goal later; an arm that gets steps holds by getting none."""
        self._gripper_filter.reset()
        if self._setpoints is not None:
            self._setpoints.hold(stamp=stamp)

    def second_commander(self) -> str:
        """Who else publishes commands to this arm, as a sentence; empty when nobody does."""
        output = self._steps or self._setpoints
        assert output is not None
        others = output.publisher_count() - 1
        return f"{others} more publish on {self._topic!r}: stop them, then call reset_halt" if others > 0 else ""

    def _move_gripper(self, position: float | None) -> None:
        if position is not None and self._gripper is not None and not self._gripper.send(position):
            self._gripper_filter.reset()  # the next action asks again
