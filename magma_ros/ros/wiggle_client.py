"""A stand-in for a policy that moves an arm through the motion node, one axis at a time, and watches what it does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from magma_ros.arm import Arm
from magma_ros.arms import safety_limits
from magma_ros.errors import MagmaRosError
from magma_ros.geometry import relative_ee_delta
from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import conversions, interface
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Action, FloatArray, Pose, StampedPose
from magma_ros.wiggle_motion import CONTROL_RATE_HZ, Rest, WiggleMotion, off_path, rest_of, wiggle_contract

_UNKNOWN_NODE, _NAMES_S = "_NODE_NAME_UNKNOWN_", 1.0  # what the middleware says at first, and how long [s]
_JOIN_S = 5.0
_HEARTBEAT_HZ = 50.0
_WAKE_S = 0.01
_STATE_AGE_S = 0.5
_REST_S = 0.3  # a setpoint that has not moved for so long is at rest
_LONGEST_MOTION_S = 30.0
_LEAP_M, _LEAP_RAD = 0.01, 0.1  # more between two setpoints is a new beginning, and no motion
_POSES_AT_REST = 10
_LEAST_SHARE = 0.2  # of what was asked for; a motion that was cut short by a hold still shows where it goes


class WiggleError(MagmaRosError):
    """The arm cannot be wiggled as things are."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One motion from rest to rest in the base frame: translation [m] and rotation vector [rad], shape (6,).

    Attributes:
        commanded: Of the setpoint.
        measured: Of the end effector.
        noise_m, noise_rad: Of `measured`, one standard deviation.
    """

    commanded: FloatArray
    measured: FloatArray
    noise_m: float
    noise_rad: float


class WiggleClient:
    """Speaks to the motion node as a policy does, so that every check and every stop applies."""

    def __init__(self, arm: Arm, motion: WiggleMotion, *, namespace: str) -> None:
        """Join the graph in `namespace` and listen; nothing is published before `begin`."""
        self._arm, self._motion, self._leg_number = arm, motion, 0
        self._limits = safety_limits(arm, wiggle_contract(arm))
        self._context = Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("wiggle", context=self._context, namespace=namespace or None)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._measured = MeasuredState(arm)
        self._measured.subscribe(self._node)
        self._status: MotionStatus | None = None
        self._poses: deque[StampedPose] = deque(maxlen=_POSES_AT_REST)
        self._setpoint: Pose | None = None
        self._told = np.zeros(6)
        self._told_at = 0.0
        self._state, self._detail = PolicyStatus.IDLE, ""
        self._is_commanding = False
        interface.MOTION_STATUS.subscribe(self._node, self._on_status)
        interface.SETPOINT.subscribe(self._node, self._on_setpoint)

    def join(self, *, may_be_dry: bool) -> FloatArray:
        """Wait for driver and motion node; gives the measured position of the end effector [m].

        Raises:
            WiggleError: one is missing, inactive or halted, moves nothing (`may_be_dry`), or a policy is there too.
        """
        self._wait(lambda: self._status is not None, _JOIN_S, "the motion node (motion_status)")
        self._wait(lambda: len(self._poses) == _POSES_AT_REST, _JOIN_S, "the measured pose of the end effector")
        status = self._require_status()
        if status.state == MotionStatus.INACTIVE:
            raise WiggleError("motion_node: expected it active, got inactive: configure and activate it")
        if status.dry_run and not may_be_dry:
            raise WiggleError("motion_node: expected one that moves the arm, got dry_run: start it without")
        self._require_alone(0)
        return self._poses[-1].pose.position_m

    def begin(self) -> None:
        """Be the policy from now on: contract, sign of life, actions."""
        self._actions = interface.POLICY_ACTION.publisher(self._node)
        self._contracts = interface.ACTION_CONTRACT.publisher(self._node)
        self._statuses = interface.STATUS.publisher(self._node)
        self._is_commanding = True
        self._begin_leg()
        self._node.create_timer(1.0 / _HEARTBEAT_HZ, self._say)
        self._wait(
            lambda: self._actions.get_subscription_count() > 0 and self._setpoint is not None,
            _JOIN_S,
            "a motion node that takes policy_action and shows its setpoint",
        )

    def go(self, displacement: FloatArray) -> Leg:
        """Move by `displacement`, translation [m] and rotation vector [rad], and come to rest; less if it goes wrong.

        Raises:
            WiggleError: the motion node halted, refused an action or took too long, or another policy came.
        """
        self._require_alone(1)
        self._begin_leg()
        self._spin_until(lambda: False, _REST_S)
        before = self._rest()
        self._told = np.zeros(6)
        self._state, self._detail = PolicyStatus.ACTING, ""

        def is_off_path() -> bool:
            return off_path(before.pose, displacement, self._poses[-1].pose)

        for step in self._motion.steps(displacement, self._limits):
            self._act(step)
            if self._spin_until(is_off_path, 1.0 / CONTROL_RATE_HZ):
                break
        sent_at = time.monotonic()
        end = sent_at + _LONGEST_MOTION_S
        while not (is_off_path() or time.monotonic() - max(self._told_at, sent_at) > _REST_S):
            self._spin(end, "the end of the motion")
        if is_off_path() or self._spin_until(is_off_path, self._motion.settle_s):
            self._stop()
        elif np.linalg.norm(self._told) < _LEAST_SHARE * np.linalg.norm(displacement):
            status = self._require_status()
            raise WiggleError(f"motion_node: expected it to move, it holds: {status.reason}: {status.detail}")
        return self._measure(before, self._rest())

    def close(self) -> None:
        """Let the arm rest and leave the graph."""
        if self._is_commanding:
            self._state, self._detail = PolicyStatus.STOPPED, "wiggle ended"
            self._say()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _measure(self, before: Rest, after: Rest) -> Leg:
        start, end = before.pose, after.pose
        moved = relative_ee_delta(start.position_m, start.quat_xyzw, end.position_m, end.quat_xyzw)
        noise_m, noise_rad = np.hypot(before.noise_m, after.noise_m), np.hypot(before.noise_rad, after.noise_rad)
        return Leg(self._told.copy(), np.concatenate(moved), float(noise_m), float(noise_rad))

    def _begin_leg(self) -> None:
        """Have the motion node begin afresh where the arm is."""
        self._leg_number += 1
        contract = wiggle_contract(self._arm, leg=self._leg_number)
        self._contracts.publish(conversions.contract_message(contract))

    def _act(self, step: FloatArray) -> None:
        now_s = self._now_s()
        proprio = self._measured.proprio(since_s=now_s - _STATE_AGE_S)
        if isinstance(proprio, Stop):
            raise WiggleError(f"measured state: {proprio.reason.value}: {proprio.detail}")
        action = Action(step[:3], step[3:], proprio.gripper_opening, self._arm.frames.base)
        stamp = conversions.time_message(self._poses[-1].stamp_s)
        self._actions.publish(conversions.action_message(action, stamp=stamp))

    def _stop(self) -> None:
        """Have the motion node bring the arm to rest: it does not do what it is told."""
        self._state, self._detail = PolicyStatus.STOPPED, "wiggle: the arm is off its path"
        self._say()
        self._spin_until(lambda: False, self._motion.settle_s)
        self._state = PolicyStatus.IDLE

    def _say(self) -> None:
        reason = StopReason.POLICY_FAILED.value if self._state == PolicyStatus.STOPPED else ""
        message = PolicyStatus(state=self._state, stop_reason=reason, detail=self._detail)
        message.header.stamp, message.header.frame_id = self._node.get_clock().now().to_msg(), self._arm.frames.base
        self._statuses.publish(message)

    def _rest(self) -> Rest:
        """Where the arm is, from measurements that begin now."""
        self._poses.clear()
        self._wait(lambda: len(self._poses) == _POSES_AT_REST, _JOIN_S, "measured poses")
        return rest_of([sample.pose for sample in self._poses])

    def _require_alone(self, num_own: int) -> None:
        name = interface.POLICY_ACTION.name
        if self._node.count_publishers(name) > num_own:
            self._spin_until(lambda: _UNKNOWN_NODE not in self._others_on(name), _NAMES_S)
            names = sorted(self._others_on(name))
            raise WiggleError(f"{name}: expected no other publisher, got {names}: end the policy first")

    def _others_on(self, topic: str) -> set[str]:
        """Names of the other nodes that publish there; a publisher is known a moment before its node is."""
        there = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(topic))
        return {info.node_name for info in there} - {self._node.get_name()}

    def _require_status(self) -> MotionStatus:
        assert self._status is not None
        return self._status

    def _wait(self, is_done: Callable[[], bool], timeout_s: float, what: str) -> None:
        end = time.monotonic() + timeout_s
        while not is_done():
            self._spin(end, what)

    def _spin_until(self, is_done: Callable[[], bool], duration_s: float) -> bool:
        """Whether `is_done` came true within `duration_s`; the graph is served meanwhile."""
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            self._spin(np.inf, "")
            if is_done():
                return True
        return False

    def _spin(self, end: float, what: str) -> None:
        if time.monotonic() > end:
            raise WiggleError(f"waited in vain for {what}")
        self._executor.spin_once(timeout_sec=_WAKE_S)
        newest = self._measured.pose()
        if newest is not None and (not self._poses or newest.stamp_s > self._poses[-1].stamp_s):
            self._poses.append(newest)
        status = self._status
        if status is not None and status.state == MotionStatus.HALTED:
            raise WiggleError(f"motion_node: halted: {status.reason}: {status.detail}")

    def _on_status(self, message: MotionStatus) -> None:
        self._status = message

    def _on_setpoint(self, message: PoseStamped) -> None:
        new, old = conversions.pose_from_message(message.pose), self._setpoint
        self._setpoint = new
        if old is None:
            return
        moved_m, turned_rad = relative_ee_delta(old.position_m, old.quat_xyzw, new.position_m, new.quat_xyzw)
        is_leap = np.linalg.norm(moved_m) > _LEAP_M or np.linalg.norm(turned_rad) > _LEAP_RAD
        if not is_leap and (moved_m.any() or turned_rad.any()):
            self._told += np.concatenate([moved_m, turned_rad])
            self._told_at = time.monotonic()

    def _now_s(self) -> float:
        return conversions.seconds(self._node.get_clock().now().to_msg())
