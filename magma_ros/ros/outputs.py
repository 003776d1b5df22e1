"""Commands of an arm as its driver takes them: twists, poses, joint trajectories or steps."""

from __future__ import annotations

import math
from typing import Literal, Protocol

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped, Vector3
from rclpy.node import Node
from std_msgs.msg import Header

from magma_ros import arm as arms
from magma_ros.arm import Arm
from magma_ros.errors import ArmConfigError
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros.command_topic import CommandTopic
from magma_ros.ros.conversions import action_message, seconds, stamped_pose_message
from magma_ros.ros.servo_switch import ServoSwitch
from magma_ros.ros.trajectory_output import JointTrajectoryOutput
from magma_ros.servoing import TwistTracker
from magma_ros.setpoint import Setpoint
from magma_ros.stops import Stop
from magma_ros.types import Action, Pose, Proprio


class SetpointOutput(Protocol):
    """Where setpoints go; nothing here waits for anybody."""

    def send(self, setpoint: Setpoint, *, stamp: Time, measured: Proprio | None = None) -> Stop | None:
        """Command `setpoint`, every command period.

        Args:
            setpoint: Of now, in the arm's base frame.
            stamp: The present in the node's clock.
            measured: The arm's state, joints in the order of its home; None where it is not known.

        Returns:
            Why nothing that moves was sent; None when it was.
        """
        ...

    def hold(self, *, stamp: Time) -> None:
        """The last word: the arm comes to rest. A `send` that follows starts from rest."""
        ...

    def publisher_count(self) -> int:
        """Publishers on the command topic, ours included."""
        ...


def setpoint_output(arm: Arm, node: Node) -> SetpointOutput:
    """The output that the file of `arm` names, on `node`.

    Raises:
        ArmConfigError: the arm takes steps, or moveit_msgs is needed and not installed.
        KinematicsError: Pinocchio is needed and not installed.
    """
    if isinstance(arm.output, arms.TwistOutput):
        return TwistOutput(arm, arm.output, node)
    if isinstance(arm.output, arms.PoseOutput):
        return PoseOutput(arm.output, node)
    if isinstance(arm.output, arms.JointTrajectoryOutput):
        return JointTrajectoryOutput(arm, arm.output, node)
    raise ArmConfigError(f"output.kind: expected twist, pose or joint_trajectory, got {arm.output.kind!r}")


class TwistOutput(CommandTopic):
    """TwistStamped in m/s and rad/s: the setpoint's velocity and a bounded correction towards its path.

    A velocity alone loses the way: a controller that integrates it adds up rounding, late messages and scaling, and
    nothing ever brings the arm back (`servoing.TwistTracker` does, and says how).
    """

    def __init__(self, arm: Arm, output: arms.TwistOutput, node: Node) -> None:
        super().__init__(node, output.topic, TwistStamped)
        self._frame = output.frame
        self._switch = _switch(node, output.command_type_service, "TWIST")
        self._tracker = TwistTracker(arm.limits)
        self._sent_s = -math.inf

    def send(self, setpoint: Setpoint, *, stamp: Time, measured: Proprio | None = None) -> Stop | None:
        """As the protocol says; zero speed while Servo does not listen."""
        stop = None if self._switch is None else self._switch.poll()
        if stop is not None:
            self.hold(stamp=stamp)
            return stop
        now_s = seconds(stamp)
        if now_s < self._sent_s:  # the clock was set back: the path before it means nothing
            self._tracker.reset()
        self._sent_s = now_s
        pose = None if measured is None else Pose(measured.ee_position_m, measured.ee_quat_xyzw)
        linear, angular = self._tracker.twist(setpoint, pose, now_s=now_s)
        self._publish(linear.tolist(), angular.tolist(), stamp)
        return None

    def hold(self, *, stamp: Time) -> None:
        """Zero speed."""
        self._tracker.reset()
        self._publish([0.0] * 3, [0.0] * 3, stamp)

    def _publish(self, linear: list[float], angular: list[float], stamp: Time) -> None:
        (x, y, z), (turn_x, turn_y, turn_z) = linear, angular
        twist = Twist(linear=Vector3(x=x, y=y, z=z), angular=Vector3(x=turn_x, y=turn_y, z=turn_z))
        self.publish(TwistStamped(header=Header(stamp=stamp, frame_id=self._frame), twist=twist))


class PoseOutput(CommandTopic):
    """PoseStamped of where the end effector should be now; the arm goes no further than the last one."""

    def __init__(self, output: arms.PoseOutput, node: Node) -> None:
        super().__init__(node, output.topic, PoseStamped)
        self._frame = output.frame
        self._switch = _switch(node, output.command_type_service, "POSE")

    def send(self, setpoint: Setpoint, *, stamp: Time, measured: Proprio | None = None) -> Stop | None:  # noqa: ARG002  the protocol's
        """As the protocol says; the measured state is not needed."""
        stop = None if self._switch is None else self._switch.poll()
        if stop is None:
            self.publish(stamped_pose_message(setpoint.pose, frame=self._frame, stamp=stamp))
        return stop

    def hold(self, *, stamp: Time) -> None:
        """Nothing: there is no further pose to reach."""


class StepOutput(CommandTopic):
    """EndEffectorDelta for an arm that interpolates each step by itself."""

    def __init__(self, arm: Arm, node: Node) -> None:
        """Publish on the topic of `arm`.

        Raises:
            ArmConfigError: the arm takes setpoints.
        """
        if not isinstance(arm.output, arms.EeDeltaOutput):
            raise ArmConfigError(f"output.kind: expected ee_delta, got {arm.output.kind!r}")
        super().__init__(node, arm.output.topic, EndEffectorDelta)

    def send(self, action: Action, *, stamp: Time) -> None:
        """Command `action`; `stamp` is the capture time of the picture that it answers."""
        self.publish(action_message(action, stamp=stamp))


def _switch(node: Node, service: str, kind: Literal["TWIST", "POSE"]) -> ServoSwitch | None:
    return ServoSwitch(node, service, kind) if service else None
