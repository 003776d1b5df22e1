"""A node under test and a peer on the other side of its topics, both spun by the test until what it waits for is so."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

_LIMIT_S = 20.0
_NUMBERS = itertools.count()


class TwoNodes:
    """`node` is under test; what `peer` hears on a topic is in the list that `listen` returns.

    Both are in a namespace of their own: DDS may remember the nodes of the test before for a while.
    """

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._namespace = f"test_{next(_NUMBERS)}"
        self._executor = SingleThreadedExecutor(context=self._context)
        self.node, self.peer = self._add("node"), self._add("peer")

    def listen(self, message, topic: str) -> list:
        """Everything that comes on `topic`, from when the publisher is found."""
        heard: list = []
        self.peer.create_subscription(message, topic, heard.append, 10)
        self.wait(lambda: self.peer.count_publishers(topic) > 0)
        return heard

    def wait(self, is_so: Callable[[], bool]) -> None:
        """Spin both nodes until `is_so`, within a limit."""
        end = time.monotonic() + _LIMIT_S
        while not is_so():
            assert time.monotonic() < end, f"still not so after {_LIMIT_S} s"
            self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        """End both nodes."""
        self._executor.shutdown()
        self.node.destroy_node()
        self.peer.destroy_node()
        rclpy.shutdown(context=self._context)

    def _add(self, name: str) -> Node:
        node = Node(name, context=self._context, namespace=self._namespace)
        self._executor.add_node(node)
        return node
