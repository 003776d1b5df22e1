"""A participant on the graph that notes each command when it comes, and speaks to the nodes as an operator would."""

from __future__ import annotations

import math
import threading
import time
from types import MappingProxyType
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, Float64
from std_srvs.srv import Trigger

from magma_ros.arm import Arm, GripperTopic
from magma_ros.errors import EnvError
from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import conversions, endpoints, interface
from magma_ros.sim.faults.measuring import Position, Report, Sample
from magma_ros.sim.faults.settings import pose_topic
from magma_ros.srv import SetInstruction

ANSWER_S = 8.0
"""Longest wait for the answer of a service [s]; where datagrams are lost, DDS asks for them again every 3 s."""

_OF_A_PANEL = MappingProxyType(
    {
        interface.HALT.name: Trigger,
        "motion_node/change_state": ChangeState,
        "policy_node/change_state": ChangeState,
    }
)
"""What a person's buttons call: their node and ours know each other long before one is pressed. DDS may deliver
the first request of a client 80 ms late to a server that does not know it yet."""

_CLOCK_PERIOD_S = 0.005


class Witness:
    """Notes on a thread of its own, from the moment it is made; the lists only grow.

    Attributes:
        commands, setpoints, reports: What came on the command topic, `setpoint`, and the two status topics.
        gripper_s: When gripper goals came [s].
        measured: Speeds of the measured end effector, each from two poses.
        motion, policy: The newest statuses; None before the first.
        second_publisher: Of the arm's command topic, while that fault is there.
        clock_offset_s: The simulated time less CLOCK_MONOTONIC [s]; used only with `simulate_time`.
    """

    def __init__(self, arm: Arm, *, simulate_time: bool) -> None:
        self.commands: list[Sample] = []
        self.setpoints: list[Position] = []
        self.reports: list[Report] = []
        self.gripper_s: list[float] = []
        self.measured: list[Sample] = []
        self.motion: MotionStatus | None = None
        self.policy: PolicyStatus | None = None
        self.clock_offset_s = 1000.0 - time.monotonic()
        self.second_publisher: Any = None
        self._last_pose: PoseStamped | None = None
        self._arm = arm
        self.context = Context()
        rclpy.init(context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("fault_witness", context=self.context)
        self._subscribe()
        self._stop_topic = interface.EMERGENCY_STOP.publisher(self.node)
        self._services: dict[str, Any] = {}
        for name, service in _OF_A_PANEL.items():
            self._services[name] = self.node.create_client(service, name)
        if simulate_time:
            self._clock = self.node.create_publisher(Clock, "/clock", 10)
            self.node.create_timer(_CLOCK_PERIOD_S, self.publish_clock)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._is_closing = False
        self._thread = threading.Thread(target=self._spin, name="witness")
        self._thread.start()

    def close(self) -> None:
        """Leave the graph."""
        self._is_closing = True
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    # What an operator does

    def press_emergency_stop(self) -> None:
        """Once, on the topic."""
        self._stop_topic.publish(Bool(data=True))

    def instruct(self, instruction: str) -> bool:
        """Give the policy node an instruction; whether it was accepted."""
        answer = self.call(SetInstruction, interface.SET_INSTRUCTION.name, instruction=instruction)
        return bool(answer.accepted)

    def reset_halt(self) -> bool:
        """Let the arm move again after a halt; False when that was refused."""
        return bool(self.call(Trigger, interface.RESET_HALT.name).success)

    def call(self, service: Any, name: str, **fields: Any) -> Any:
        """The answer of a service.

        Raises:
            EnvError: none came in time.
        """
        client = self.client(service, name)
        answered = threading.Event()
        future = client.call_async(service.Request(**fields))
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(ANSWER_S):
            raise EnvError(f"service {name}: expected an answer within {ANSWER_S} s, got none")
        return future.result()

    def client(self, service: Any, name: str) -> Any:
        """What calls a service, which is known to be there.

        Raises:
            EnvError: it is not there in time.
        """
        if name not in self._services:
            self._services[name] = self.node.create_client(service, name)
        if not self._services[name].wait_for_service(timeout_sec=ANSWER_S):
            raise EnvError(f"service {name}: expected it on the graph within {ANSWER_S} s, it is not there")
        return self._services[name]

    def take_off(self, publisher: Any) -> None:
        """Take a publisher off the graph soon, on the thread that spins: rclpy fails on what goes while it waits."""
        self._executor.create_task(self.node.destroy_publisher, publisher)

    def publish_clock(self) -> None:
        """The simulated time, now."""
        self._clock.publish(Clock(clock=conversions.time_message(time.monotonic() + self.clock_offset_s)))

    # What it notes

    def _subscribe(self) -> None:
        arm, node = self._arm, self.node
        assert isinstance(arm.gripper.command, GripperTopic)
        node.create_subscription(TwistStamped, arm.output.topic, self._on_command, endpoints.COMMAND.profile())
        node.create_subscription(Float64, arm.gripper.command.topic, self._on_gripper, endpoints.COMMAND.profile())
        if pose_topic(arm):
            node.create_subscription(PoseStamped, pose_topic(arm), self._on_pose, endpoints.SENSOR.profile())
        interface.SETPOINT.subscribe(node, self._on_setpoint)
        interface.MOTION_STATUS.subscribe(node, self._on_motion_status)
        interface.STATUS.subscribe(node, self._on_policy_status)

    def _on_command(self, message: TwistStamped) -> None:
        now_s, twist = time.monotonic(), message.twist
        self.commands.append(Sample(now_s, _length(twist.linear), _length(twist.angular)))

    def _on_gripper(self, _message: Float64) -> None:
        self.gripper_s.append(time.monotonic())

    def _on_setpoint(self, message: PoseStamped) -> None:
        at = message.pose.position
        self.setpoints.append(Position(time.monotonic(), (at.x, at.y, at.z)))

    def _on_pose(self, message: PoseStamped) -> None:
        last, self._last_pose = self._last_pose, message
        if last is None:
            return
        passed_s = conversions.seconds(message.header.stamp) - conversions.seconds(last.header.stamp)
        here, there = message.pose.position, last.pose.position
        if passed_s > 0:
            far_m = math.hypot(here.x - there.x, here.y - there.y, here.z - there.z)
            self.measured.append(Sample(time.monotonic(), far_m / passed_s, 0.0))

    def _on_motion_status(self, message: MotionStatus) -> None:
        self.motion = message
        halted = message.state == MotionStatus.HALTED
        self.reports.append(Report(time.monotonic(), interface.MOTION_STATUS.name, message.reason, halted=halted))

    def _on_policy_status(self, message: PolicyStatus) -> None:
        self.policy = message
        self.reports.append(Report(time.monotonic(), interface.STATUS.name, message.stop_reason))

    def _spin(self) -> None:
        while not self._is_closing:
            self._executor.spin_once(timeout_sec=0.1)


def _length(vector: Any) -> float:
    return math.sqrt(vector.x**2 + vector.y**2 + vector.z**2)
