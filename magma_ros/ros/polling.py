"""Subscriptions that are read when somebody needs them instead of waking the executor for every message.

Each wake-up of rclpy's executor costs most of a millisecond, whatever the message; measured state comes 50 to 1000
times a second and only the newest counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from magma_ros.ros.endpoints import Topic

DEPTH = 64
"""Messages that wait between two reads: several publishers may share a topic, and a slow one's must not be lost."""


class PolledSubscription:
    """One topic; its messages wait until `read`."""

    def __init__(self, node: Node, topic: Topic, keep: Callable[[Any], None]) -> None:
        """Subscribe on `node` with a queue of `DEPTH`; `keep` gets each message, oldest first."""
        self._keep = keep
        waiting = replace(topic, requested=replace(topic.requested, depth=max(DEPTH, topic.requested.depth)))
        self._subscription = waiting.subscribe(node, keep, callback_group=_NeverReady())

    def read(self) -> None:
        """Hand over what has come since the last time."""
        handle = self._subscription.handle
        with handle:
            for _ in range(DEPTH):
                taken = handle.take_message(self._subscription.msg_type, self._subscription.raw)
                if taken is None:
                    return
                self._keep(taken[0])


class _NeverReady(CallbackGroup):
    """Keeps its entities out of the executor's wait."""

    def can_execute(self, entity: Any) -> bool:  # noqa: ARG002  rclpy's signature
        return False

    def beginning_execution(self, entity: Any) -> bool:  # noqa: ARG002  same
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing is ever executed."""
