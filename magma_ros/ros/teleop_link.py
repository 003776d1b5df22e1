"""What the supervisor hears of a person: twists and wishes for the gripper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_msgs.msg import Float64

from magma_ros.ros.conversions import seconds
from magma_ros.ros.interface import TELEOP_GRIPPER, TELEOP_TWIST
from magma_ros.ros.polling import PolledSubscription
from magma_ros.teleoperation import Teleoperation, Twist


class TeleopLink:
    """Read it on each tick: a twist that is not heard in time counts as silence."""

    def __init__(self, node: Node, teleoperation: Teleoperation, *, now_s: Callable[[], float]) -> None:
        """Tell `teleoperation` what comes on `node`; `now_s` is the node's clock [s]."""
        self._teleoperation, self._now_s = teleoperation, now_s
        self._twists = PolledSubscription(node, TELEOP_TWIST, self._on_twist)
        self._openings = PolledSubscription(node, TELEOP_GRIPPER, self._on_opening)

    def listen(self) -> None:
        """Hear what a person has said since the last time; the caller holds the supervisor's lock."""
        self._twists.read()
        self._openings.read()

    def _on_twist(self, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        twist = Twist(
            np.array([linear.x, linear.y, linear.z]),
            np.array([angular.x, angular.y, angular.z]),
            message.header.frame_id,
            seconds(message.header.stamp),
        )
        self._teleoperation.wish(twist, now_s=self._now_s())

    def _on_opening(self, message: Float64) -> None:
        self._teleoperation.wish_opening(message.data, now_s=self._now_s())
