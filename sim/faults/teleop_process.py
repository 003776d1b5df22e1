"""A stand-in for a person's device: it leads the end effector around a circle, or says what a broken one would."""

from __future__ import annotations

import math
import sys
from pathlib import Path

from geometry_msgs.msg import TwistStamped, Vector3
from rclpy.node import Node
from std_msgs.msg import Header

from magma_ros import arms
from magma_ros.msg import MotionStatus
from magma_ros.ros import conversions, interface
from magma_ros.ros.spin import run
from magma_ros.sim.faults.settings import CONTRACT, RADIUS_M, STEP_M, RunFiles
from magma_ros.sim.faults.switch import Switch
from magma_ros.stops import StopReason

_PERIOD_S, _OLD_S = 0.02, 1.0
_SPEED_M_S = STEP_M * CONTRACT.control_rate_hz
_RESTS_AFTER = {StopReason.TELEOP_SILENT.value, StopReason.NON_FINITE.value}


class TeleopDeviceNode(Node):
    """Publishes what its switch says; a device rests before it moves anything, and after each stop."""

    def __init__(self) -> None:
        super().__init__("teleop_device_node")
        files = RunFiles(Path(self.declare_parameter("run_folder", "").value))
        self._switch = Switch(files.switch("teleop"))
        self._frame = arms.load(files.arm).frames.base
        self._publisher = interface.TELEOP_TWIST.publisher(self)
        self._rests = True
        self._angle_rad = 0.0
        interface.MOTION_STATUS.subscribe(self, self._on_motion_status)
        self.create_timer(_PERIOD_S, self._speak)

    def close(self) -> None:
        """Nothing is held."""

    def _on_motion_status(self, message: MotionStatus) -> None:
        self._rests = message.state in (MotionStatus.INACTIVE, MotionStatus.HALTED) or message.reason in _RESTS_AFTER

    def _speak(self) -> None:
        fault = self._switch.ordered
        stamp = self.get_clock().now().to_msg()
        if fault == "teleop_stale":
            stamp = conversions.time_message(conversions.seconds(stamp) - _OLD_S)
        message = TwistStamped(header=Header(stamp=stamp, frame_id=self._frame))
        if fault == "teleop_nan":
            message.twist.linear.y = math.nan
        elif not self._rests:
            speed_m_s = 4 * _SPEED_M_S if fault == "teleop_too_fast" else _SPEED_M_S
            self._angle_rad += _PERIOD_S * _SPEED_M_S / RADIUS_M
            message.twist.linear = Vector3(
                x=speed_m_s * math.cos(self._angle_rad), y=speed_m_s * math.sin(self._angle_rad)
            )
        self._switch.begin(fault)
        self._publisher.publish(message)


def main() -> int:
    """Run the device until SIGINT or SIGTERM; returns the exit status."""
    return run(TeleopDeviceNode)


if __name__ == "__main__":
    sys.exit(main())
