"""What the supervisor hears of the policy beside its actions: that it lives, that it wants to rest, what it means."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from rclpy.node import Node
from std_msgs.msg import String

from magma_ros.errors import MagmaRosError
from magma_ros.msg import PolicyStatus
from magma_ros.ros.conversions import contract_from_message
from magma_ros.ros.diagnostics import Diagnostics
from magma_ros.ros.interface import ACTION_CONTRACT, STATUS
from magma_ros.ros.polling import PolledSubscription
from magma_ros.stops import Stop, StopReason
from magma_ros.teleoperation import Teleoperation

_ENDED = (PolicyStatus.STOPPED, PolicyStatus.UNCONFIGURED)
_REASONS = {reason.value: reason for reason in StopReason}


class PolicyLink:
    """Read it before each action and on each tick: a hold is heard before the action that follows it."""

    def __init__(
        self,
        node: Node,
        teleoperation: Teleoperation,
        *,
        lock: AbstractContextManager[object],
        now_s: Callable[[], float],
        diagnostics: Diagnostics,
    ) -> None:
        """Tell `teleoperation`, holding `lock`, what is heard on `node`; `now_s` is the node's clock [s]."""
        self._teleoperation, self._lock, self._now_s = teleoperation, lock, now_s
        self._logger, self._diagnostics = node.get_logger(), diagnostics
        self._statuses = PolledSubscription(node, STATUS, self._on_status)
        ACTION_CONTRACT.subscribe(node, self._on_contract)

    def listen(self) -> None:
        """Hear what the policy node has said since the last time; the caller holds the lock."""
        self._statuses.read()

    def _on_status(self, message: PolicyStatus) -> None:
        ended = None
        if message.state in _ENDED:
            reason = _REASONS.get(message.stop_reason, StopReason.POLICY_FAILED)
            ended = Stop(reason, f"the policy stopped: {message.detail or message.stop_reason}")
        self._teleoperation.policy_said(ended=ended, now_s=self._now_s())

    def _on_contract(self, message: String) -> None:
        try:
            contract = contract_from_message(message)
        except MagmaRosError as error:
            self._diagnostics.count("refused messages", "action_contract")
            self._logger.error(f"action_contract: {error}")  # noqa: G004, TRY400  rclpy formats nothing itself
            return
        with self._lock:
            self._teleoperation.adopt(contract)
        self._logger.info(f"the policy's numbers mean: {contract}")  # noqa: G004  same
