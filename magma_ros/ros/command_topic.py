"""The topic of one arm's commands, and who else writes to it."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from magma_ros.ros.endpoints import COMMAND, Topic


class CommandTopic:
    """A publisher of commands, and the number of publishers on its topic."""

    def __init__(self, node: Node, name: str, message: Any) -> None:
        self._node = node
        self._publisher = Topic(name, message, COMMAND, COMMAND, "command of an arm").publisher(node)

    def publish(self, message: Any) -> None:
        """Send one command."""
        self._publisher.publish(message)

    def publisher_count(self) -> int:
        """Publishers on the topic that are known of now, ours included."""
        return int(self._node.count_publishers(self._publisher.topic_name))
