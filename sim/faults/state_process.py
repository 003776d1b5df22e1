"""Hands the measured state of the arm's driver on, truthfully or with a fault of the ways from robot to graph."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from magma_ros import arms
from magma_ros.ros import conversions, endpoints
from magma_ros.ros.spin import run
from magma_ros.sim.faults.settings import RunFiles, pose_topic
from magma_ros.sim.faults.switch import Switch

TRUE_PREFIX = "true_"
"""Before the topics that the driver publishes on."""

_OLD_S = 1.0
_PUSHED_SHARE = 1.5
"""Of what the arm may lag behind."""


class StateNode(Node):
    """Takes `true_X`, publishes `X`, as its switch says."""

    def __init__(self) -> None:
        super().__init__("state_node")
        files = RunFiles(Path(self.declare_parameter("run_folder", "").value))
        self._switch = Switch(files.switch("state"))
        self._arm = arms.load(files.arm)
        self._relay(self._arm.topics.joint_states, JointState)
        if pose_topic(self._arm):
            self._relay(pose_topic(self._arm), PoseStamped)
        else:
            self._relay_transforms()

    def close(self) -> None:
        """Nothing is held."""

    def _relay(self, topic: str, message_type: Any) -> None:
        publisher = self.create_publisher(message_type, topic, endpoints.STATE.profile())

        def hand_on(message: Any) -> None:
            fault = self._switch.ordered
            changed = True
            if fault == "silent" or (fault == "pose_silent" and message_type is PoseStamped):
                self._switch.begin(fault)
                return
            if fault == "stale" or (fault == "joints_stale" and message_type is JointState):
                stamp_s = conversions.seconds(message.header.stamp)
                message.header.stamp = conversions.time_message(stamp_s - _OLD_S)
            elif message_type is PoseStamped:
                changed = self._misplace(message, fault)
            else:
                changed = False
            if changed:
                self._switch.begin(fault)
            publisher.publish(message)

        self.create_subscription(message_type, TRUE_PREFIX + topic, hand_on, endpoints.STATE.profile())

    def _misplace(self, message: PoseStamped, fault: str) -> bool:
        position, workspace = message.pose.position, self._arm.limits.workspace
        if fault == "nan":
            position.y = math.nan
        elif fault == "wrong_frame":
            message.header.frame_id = "camera"
        elif fault == "outside":
            position.x = workspace.max_m[0] + 2 * workspace.margin_m
        elif fault == "pushed":
            position.z += _PUSHED_SHARE * self._arm.limits.max_lag_m
        elif fault == "below_table":
            position.z = self._arm.limits.table_height_m - 2 * workspace.margin_m
        else:
            return False
        return True

    def _relay_transforms(self) -> None:
        from tf2_msgs.msg import TFMessage  # noqa: PLC0415 - only an arm that is measured by tf needs it

        publisher = self.create_publisher(TFMessage, "/tf", endpoints.STATE.profile())

        def hand_on(message: TFMessage) -> None:
            fault = self._switch.ordered
            if fault:
                self._switch.begin(fault)
            else:
                publisher.publish(message)

        self.create_subscription(TFMessage, f"/{TRUE_PREFIX}tf", hand_on, endpoints.STATE.profile())


def main() -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    return run(StateNode)


if __name__ == "__main__":
    sys.exit(main())
