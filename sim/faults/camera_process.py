"""A stand-in for a camera: moving pixels at 30 Hz, or what a broken camera would show."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from sensor_msgs.msg import Image

from magma_ros import arms
from magma_ros.ros import conversions, endpoints, pictures
from magma_ros.ros.spin import run
from magma_ros.sim.faults.settings import CAMERA_RATE_HZ, CAMERA_SIZE_PX, RunFiles
from magma_ros.sim.faults.switch import Switch

_OLD_S = 1.0


class CameraNode(Node):
    """Publishes what its switch says."""

    def __init__(self) -> None:
        super().__init__("camera_node")
        files = RunFiles(Path(self.declare_parameter("run_folder", "").value))
        self._switch = Switch(files.switch("camera"))
        topic = arms.load(files.arm).topics.cameras[0].topic
        self._publisher = self.create_publisher(Image, topic, endpoints.SENSOR.profile())
        width_px, height_px = CAMERA_SIZE_PX
        self._picture = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
        self.create_timer(1.0 / CAMERA_RATE_HZ, self._shoot)

    def close(self) -> None:
        """Nothing is held."""

    def _shoot(self) -> None:
        fault = self._switch.ordered
        if fault == "silent":
            self._switch.begin(fault)
            return
        if fault != "frozen":
            self._picture = np.roll(self._picture, 1, axis=1)
        message = pictures.image_message(self._picture, stamp=self._stamp(fault), frame_id="camera")
        if fault == "garbage":
            message.step, message.encoding, message.height = 7, "rgb8\x01", 2**31
        self._switch.begin(fault)
        self._publisher.publish(message)

    def _stamp(self, fault: str) -> Time:
        now = self.get_clock().now().to_msg()
        shift_s = {"stale": -_OLD_S, "future": _OLD_S}.get(fault)
        return now if shift_s is None else conversions.time_message(conversions.seconds(now) + shift_s)


def main() -> int:
    """Run the camera until SIGINT or SIGTERM; returns the exit status."""
    return run(CameraNode)


if __name__ == "__main__":
    sys.exit(main())
