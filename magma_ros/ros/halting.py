"""A person's ways to halt the arm and to let it move again: a topic and two services."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from magma_ros.ros.interface import EMERGENCY_STOP, HALT, RESET_HALT
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Supervisor


class Halting:
    """Served in every lifecycle state: a halt of an inactive node holds when it is activated."""

    def __init__(
        self,
        node: Node,
        supervisor: Supervisor,
        *,
        lock: AbstractContextManager[object],
        reset: Callable[[], None],
        present_cause: Callable[[], str],
    ) -> None:
        """Halt `supervisor` and `reset` it, holding `lock`; `present_cause` says why that makes no sense yet."""
        self._supervisor, self._lock, self._reset, self._present_cause = supervisor, lock, reset, present_cause
        EMERGENCY_STOP.subscribe(node, self._on_topic)
        node.create_service(Trigger, HALT.name, self._on_halt)
        node.create_service(Trigger, RESET_HALT.name, self._on_reset)

    def _on_topic(self, message: Bool) -> None:
        if message.data:
            self._halt("true on the topic emergency_stop")

    def _on_halt(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._halt("the service emergency_stop was called")
        response.success = True
        return response

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = self._present_cause()
        response.success = not response.message
        if response.success:
            with self._lock:
                self._reset()
        return response

    def _halt(self, why: str) -> None:
        with self._lock:
            self._supervisor.halt(Stop(StopReason.EMERGENCY_STOP, why))
