"""A person's orders to the recorder, one after the other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rclpy.node import Node
from rclpy.task import Future

from magma_ros.ros.interface import END_EPISODE, START_EPISODE
from magma_ros.srv import EndEpisode, StartEpisode
from magma_ros.teleop_devices import Order

PATIENCE_S = 10.0
"""Longest wait for a recorder to be there and to answer [s]; closing a bag takes at most 8."""

_OUTCOMES: Mapping[Order, int] = MappingProxyType(
    {
        Order.SUCCESS: EndEpisode.Request.SUCCESS,
        Order.FAILURE: EndEpisode.Request.FAILURE,
        Order.DISCARD: EndEpisode.Request.DISCARD,
    }
)


class EpisodeClient:
    """Calls the recorder's services, and says in the log what it answered.

    Attributes:
        fault: Why the last order was not carried out; empty when it was.
    """

    def __init__(self, node: Node) -> None:
        self.fault = ""
        self._logger = node.get_logger()
        self._start = node.create_client(StartEpisode, START_EPISODE.name)
        self._end = node.create_client(EndEpisode, END_EPISODE.name)
        self._waiting: deque[tuple[Order, Any, Any, float]] = deque()
        self._asked: Future | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether an order is not answered yet."""
        return bool(self._waiting)

    def start(self, *, instruction: str, operator: str) -> None:
        """Order to record the next episode."""
        request = StartEpisode.Request(instruction=instruction, operator_name=operator)
        self._waiting.append((Order.START, self._start, request, time.monotonic()))

    def end(self, order: Order) -> None:
        """Order to end the episode as SUCCESS, FAILURE or DISCARD."""
        self._waiting.append((order, self._end, EndEpisode.Request(outcome=_OUTCOMES[order]), time.monotonic()))

    def poll(self) -> None:
        """Ask, or look for the answer; never waits."""
        if not self._waiting:
            return
        order, client, request, since_s = self._waiting[0]
        if self._asked is None and client.service_is_ready():
            self._asked = client.call_async(request)
        if self._asked is not None and self._asked.done():
            answer = self._asked.result()
            self._finish(order, "" if answer.accepted else answer.message)
        elif time.monotonic() - since_s > PATIENCE_S:
            self._finish(order, f"expected a recorder with episodes:=true to answer within {PATIENCE_S:.0f} s")

    def _finish(self, order: Order, fault: str) -> None:
        self._waiting.popleft()
        self._asked, self.fault = None, fault
        if fault:
            self._logger.error(f"{order.value}: {fault}")  # noqa: G004  rclpy formats nothing itself
        else:
            self._logger.info(f"{order.value}: done")  # noqa: G004  same
