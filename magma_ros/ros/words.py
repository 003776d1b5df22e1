"""What a policy node says beside what it does: answers, and whether the arm goes where it was seen going."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from magma_ros.arm import Arm
from magma_ros.ros.acting import Acting
from magma_ros.ros.camera_geometry import CameraGeometry
from magma_ros.ros.conversions import seconds
from magma_ros.ros.diagnostics import Diagnostics
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.newest_pictures import NewestPictures
from magma_ros.ros.talk_server import DEFAULT_TRACE_STEPS, TalkServer
from magma_ros.ros.trace_watch import TraceWatch


class Words:
    """Puts together who sees, who answers and who compares; nothing in here moves the arm."""

    def __init__(
        self, node: Node, *, arm: Arm, acting: Acting, measured: MeasuredState, diagnostics: Diagnostics
    ) -> None:
        """Offer everything on `node`.

        Raises:
            ArmConfigError: a camera's place comes from tf, and tf2_msgs is not installed.
        """
        clock = node.get_clock()
        self._pictures = NewestPictures(lambda: seconds(clock.now().to_msg()))
        self._talks = TalkServer(node, acting=acting, pictures=self._pictures, now_s=time.monotonic)
        cameras = {camera.name: CameraGeometry(arm, camera) for camera in arm.topics.cameras}
        for geometry in cameras.values():
            geometry.subscribe(node)
        self._traces = TraceWatch(
            acting=acting,
            measured=measured,
            cameras=cameras,
            pictures=self._pictures,
            talks=self._talks,
            diagnostics=diagnostics,
        )

    def configure(self, parameters: Mapping[str, Any]) -> None:
        """Take the node's parameters that are about words."""
        self._talks.timeout_s = parameters["answer_timeout_s"]
        self._talks.trace_steps = parameters["trace_steps"] or DEFAULT_TRACE_STEPS
        self._traces.num_steps = parameters["trace_steps"]
        self._traces.max_share = parameters["max_trace_divergence"]

    def see(self, camera: str, message: Image | CompressedImage) -> None:
        """A picture of `camera` came, and was acted on if it was to be."""
        self._pictures.keep(camera, message)

    def watch(self) -> None:
        """Look how far answers are; called often."""
        self._talks.watch()
        self._traces.watch()

    def forget(self, why: str) -> None:
        """End the question under way, if any."""
        self._talks.forget(why)
