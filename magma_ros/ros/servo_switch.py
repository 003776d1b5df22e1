"""MoveIt Servo listens to one kind of command; telling it which, without ever waiting for the answer."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any, Literal

from rclpy.node import Node
from rclpy.task import Future

from magma_ros.errors import ArmConfigError
from magma_ros.stops import Stop, StopReason

_RETRY_AFTER_S = 1.0
_LOST_AFTER_S = 5.0
"""Without an answer: Fast DDS drops the one to a client that is new to the server [s]."""


class ServoSwitch:
    """Asks a `moveit_msgs/srv/ServoCommandType` server until it says yes, and again whenever it was restarted."""

    def __init__(
        self, node: Node, service: str, kind: Literal["TWIST", "POSE"], *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is asked before the first `poll`; waits are timed with `now_s` [s], which nobody sets.

        Raises:
            ArmConfigError: moveit_msgs is not installed.
        """
        try:
            interface = importlib.import_module("moveit_msgs.srv").ServoCommandType
        except ImportError as error:
            raise ArmConfigError(
                f"output.command_type_service: {service!r} needs the ROS package moveit_msgs, which is not installed "
                f"({error}): install ros-$ROS_DISTRO-moveit-msgs, or leave the key empty and switch Servo by hand"
            ) from error
        self._now_s, self._service, self._kind = now_s, service, kind
        self._client = node.create_client(interface, service)
        self._request = interface.Request(command_type=getattr(interface.Request, kind))
        self._answer: Future | None = None
        self._asked_s = self._now_s()

    def poll(self) -> Stop | None:
        """None once Servo listens to this kind of command; otherwise why it does not. Asks if need be, never waits."""
        if not self._client.service_is_ready():
            self._forget()
            return self._not_ready("is not there: start MoveIt Servo")
        if self._answer is None:
            self._ask()
        assert self._answer is not None
        if not self._answer.done():
            self._forget_after(_LOST_AFTER_S)
            return self._not_ready("has not answered yet")
        response: Any = self._answer.result()
        if response is not None and response.success:
            return None
        self._forget_after(_RETRY_AFTER_S)
        return self._not_ready(f"refused to listen to {self._kind} commands")

    def _ask(self) -> None:
        self._asked_s = self._now_s()
        self._answer = self._client.call_async(self._request)

    def _forget_after(self, longest_s: float) -> None:
        if self._now_s() - self._asked_s > longest_s:
            self._forget()

    def _forget(self) -> None:
        if self._answer is not None:
            self._client.remove_pending_request(self._answer)
            self._answer = None

    def _not_ready(self, why: str) -> Stop:
        return Stop(StopReason.OUTPUT_NOT_READY, f"{self._service} {why}")
