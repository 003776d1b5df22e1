"""The recorder: what the arm's sensors, the policy and the motion node say, into an MCAP bag; wiring only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node

from magma_ros import arms
from magma_ros.bag_writer import BagTopic, BagWriter
from magma_ros.ros import interface
from magma_ros.ros.diagnostics import Diagnostics, Level
from magma_ros.ros.interface import Topic
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.recorded_topics import bag_qos, bag_types, recorded_topics, tf_topics, type_name
from magma_ros.ros.spin import run

_REPORT_PERIOD_S = 0.5


class RecorderNode(Node):
    """Records serialized messages as they come, unread; ends by itself when the disk is full and stays alive."""

    def __init__(self) -> None:
        """Begin to record.

        Raises:
            ArmConfigError: the arm's file is missing or wrong.
            RecordingError: the output folder exists, there is too little space, or a message type is not installed.
        """
        super().__init__("recorder_node")
        declare(self, interface.RECORDER_PARAMETERS)
        parameters = values(self, interface.RECORDER_PARAMETERS)
        arm = arms.load(parameters["arm"])
        transport = {name: parameters[name] for name in ("camera_topic", "image_transport")}
        frames = tf_topics()
        topics = list({topic.name: topic for topic in (*recorded_topics(arm, **transport), *frames)}.values())
        self._folder = Path(parameters["output"] or f"recording_{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}").expanduser()
        self._writer = BagWriter(
            self._folder,
            {
                t.name: BagTopic(self.resolve_topic_name(t.name), type_name(t.message), (bag_qos(t.offered),))
                for t in topics
            },
            types=bag_types({type_name(topic.message) for topic in topics}),
            min_free_bytes=round(parameters["min_free_gib"] * 2**30),
        )
        self._missing = "" if frames else ", without tf: tf2_msgs is not installed"
        self._reported_drops: dict[str, int] = {}
        self._has_ended = False
        self._diagnostics = Diagnostics(self, hardware_id=arm.name)
        self._topics: list[Any] = [topic.subscribe(self, self._keep(topic), raw=True) for topic in topics]
        self.create_timer(_REPORT_PERIOD_S, self._report)
        self.get_logger().info(f"recording {len(topics)} topics into {self._folder.absolute()}{self._missing}")

    def close(self) -> None:
        """Write what is queued and close the bag."""
        fault = self._writer.close()
        self._report_drops()
        total = self._writer.num_written.total()
        if fault and not self._has_ended:
            self.get_logger().error(fault)
        self.get_logger().info(f"{total} messages are in {self._folder.absolute()}")

    def _keep(self, topic: Topic) -> Callable[[bytes], None]:
        return partial(self._on_message, topic.name)

    def _on_message(self, name: str, message: bytes) -> None:
        self._writer.offer(name, self.get_clock().now().nanoseconds, message)

    def _report(self) -> None:
        if self._has_ended:
            return
        self._report_drops()
        if self._writer.ended:
            self._has_ended = True
            self._diagnostics.level(Level.ERROR, self._writer.ended)
            self.get_logger().error(f"{self._folder.absolute()}: {self._writer.ended}")
            for topic in self._topics:
                self.destroy_subscription(topic)
        else:
            total = self._writer.num_written.total()
            level = Level.WARN if self._missing else Level.OK
            self._diagnostics.level(level, f"{total} messages in {self._folder}{self._missing}")

    def _report_drops(self) -> None:
        """Tell of what the disk was too slow for since the last report."""
        for name, count in dict(self._writer.num_dropped).items():
            new = count - self._reported_drops.get(name, 0)
            if new > 0:
                self._reported_drops[name] = count
                self._diagnostics.count("dropped because the disk was too slow", name, new)
                self.get_logger().warning(f"{name}: {new} messages dropped, the disk is too slow")


def main() -> int:
    """Record until SIGINT or SIGTERM; returns the exit status."""
    return run(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
