"""Gripper goals as the gripper's driver takes them, a topic or an action of control_msgs; nothing waits for it."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.action.client import ActionClient
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from magma_ros.arm import Arm, Gripper, GripperCommandAction, GripperTopic, ParallelGripperCommandAction
from magma_ros.errors import ArmConfigError
from magma_ros.ros.endpoints import COMMAND, Topic

NO_SERVER = "no_server"
"""Nobody serves the action: the goal was not sent."""
REFUSED = "refused"
"""The server did not accept the goal."""

_SHORTEST_MOTION_S = 0.1


class GripperOutput(Protocol):
    """Where gripper goals go.

    Attributes:
        failures: Goals that did not reach the gripper, by the reasons at the top of this module.
    """

    failures: Counter[str]

    def send(self, position: float) -> bool:
        """A new goal for the gripper's joint, in its unit; whether it went out. An action may refuse it later."""
        ...

    def take_refusal(self) -> bool:
        """Whether a goal that went out was refused since the last call."""
        ...


def gripper_output(arm: Arm, node: Node) -> GripperOutput | None:
    """The output that the file of `arm` names, on `node`; None where each step carries the gripper's goal.

    Raises:
        ArmConfigError: control_msgs is needed and not installed, or the gripper's goals are to be part of steps and
            the arm takes none.
    """
    command = arm.gripper.command
    if isinstance(command, GripperTopic):
        if command.message in _MESSAGES:
            return _GripperTopicOutput(arm.gripper, command, node)
        if arm.output.kind == "ee_delta":
            return None
        raise ArmConfigError(
            f"gripper.command.message: expected one of {sorted(_MESSAGES)} beside output.kind {arm.output.kind!r}, "
            f"got {command.message!r}"
        )
    return _GripperActionOutput(arm.gripper, command, node)


class _GripperTopicOutput:
    """Goals as messages on a topic."""

    def __init__(self, gripper: Gripper, command: GripperTopic, node: Node) -> None:
        kind, self._message = _MESSAGES[command.message]
        self._gripper = gripper
        self._publisher = Topic(command.topic, kind, COMMAND, COMMAND, "goals of a gripper").publisher(node)
        self.failures: Counter[str] = Counter()

    def send(self, position: float) -> bool:
        """As the protocol says."""
        self._publisher.publish(self._message(self._gripper, position))
        return True

    def take_refusal(self) -> bool:
        """Nobody answers a message."""
        return False


class _GripperActionOutput:
    """Goals of an action; a newer one replaces the one under way, as gripper controllers do it."""

    def __init__(
        self, gripper: Gripper, command: GripperCommandAction | ParallelGripperCommandAction, node: Node
    ) -> None:
        self._gripper, self._command, self._log = gripper, command, node.get_logger()
        interface = _action_interface(command)
        self._goal = interface.Goal
        self._client = ActionClient(node, interface, command.action)
        self._was_refused = False
        self.failures: Counter[str] = Counter()

    def send(self, position: float) -> bool:
        """As the protocol says."""
        if not self._client.server_is_ready():
            self._fail(NO_SERVER, f"nobody serves it; the goal {position:.4g} was not sent")
            return False
        self._client.send_goal_async(self._goal_to(position)).add_done_callback(self._answered)
        return True

    def take_refusal(self) -> bool:
        """As the protocol says; answers come on the executor's thread."""
        was_refused, self._was_refused = self._was_refused, False
        return was_refused

    def _goal_to(self, position: float) -> Any:
        goal = self._goal()
        if isinstance(self._command, GripperCommandAction):
            goal.command.position, goal.command.max_effort = position, self._command.max_effort_n
        else:
            efforts = [self._command.max_effort_n] if self._command.max_effort_n else []
            goal.command = JointState(name=[self._gripper.joint], position=[position], effort=efforts)
        return goal

    def _answered(self, answer: Future) -> None:
        handle = answer.result()
        if handle is None or not handle.accepted:
            self._fail(REFUSED, "the goal was refused")
            self._was_refused = True

    def _fail(self, reason: str, detail: str) -> None:
        self.failures[reason] += 1
        self._log.warning(f"gripper action {self._command.action!r}: {detail}", throttle_duration_sec=5.0)


def _action_interface(command: GripperCommandAction | ParallelGripperCommandAction) -> Any:
    name = "GripperCommand" if isinstance(command, GripperCommandAction) else "ParallelGripperCommand"
    try:
        return getattr(importlib.import_module("control_msgs.action"), name)
    except (ImportError, AttributeError) as error:
        raise ArmConfigError(
            f"gripper.command: {command.kind!r} needs control_msgs/action/{name}, which is not installed ({error}): "
            "install ros-$ROS_DISTRO-control-msgs"
        ) from error


def _float(_: Gripper, position: float) -> Float64:
    return Float64(data=position)


def _floats(_: Gripper, position: float) -> Float64MultiArray:
    return Float64MultiArray(data=[position])


def _trajectory(gripper: Gripper, position: float) -> JointTrajectory:
    """Reached when the next goal may come: a dwell from now."""
    duration = Duration(seconds=max(gripper.dwell_s, _SHORTEST_MOTION_S)).to_msg()
    point = JointTrajectoryPoint(positions=[position], time_from_start=duration)
    return JointTrajectory(joint_names=[gripper.joint], points=[point])


_MESSAGES: dict[str, tuple[Any, Callable[[Gripper, float], Any]]] = {
    "std_msgs/msg/Float64": (Float64, _float),
    "std_msgs/msg/Float64MultiArray": (Float64MultiArray, _floats),
    "trajectory_msgs/msg/JointTrajectory": (JointTrajectory, _trajectory),
}
