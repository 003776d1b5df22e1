"""What a row of the interface table is: a topic, service or parameter, with its quality of service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.lifecycle.node import LifecycleNode
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

ParameterValue = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Qos:
    """Quality of service; the history is always KEEP_LAST."""

    reliable: bool
    latched: bool = False
    depth: int = 1

    def profile(self) -> QoSProfile:
        """A fresh profile each time: rclpy's overrides edit the one they are given in place."""
        return QoSProfile(
            reliability=ReliabilityPolicy.RELIABLE if self.reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if self.latched else DurabilityPolicy.VOLATILE,
            history=HistoryPolicy.KEEP_LAST,
            depth=self.depth,
        )


SENSOR = Qos(reliable=False)
"""The newest sample or none: a late picture is worth nothing."""
STATE = Qos(reliable=True)
"""Offered for measured state, so that both reliable and best-effort readers connect."""
COMMAND = Qos(reliable=True)
"""Every command arrives or the next one replaces it; a late joiner gets none."""
STOP_REQUESTED = Qos(reliable=True, depth=100)
"""Of a stop: a `false` does not take the place of a `true` that came and nobody has read. Who sends it keeps one:
of more, those after a lost one are handed over only when that has come again, seconds later."""
LATCHED = Qos(reliable=True, latched=True)
"""A late joiner is told the present value at once."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; its name is relative, so that a namespace holds a whole arm."""

    name: str
    message: Any
    offered: Qos
    requested: Qos
    meaning: str

    def publisher(self, node: Node) -> Any:
        """A publisher on `node` with the offered quality of service, or what its parameters `qos_overrides` say."""
        return node.create_publisher(self.message, self.name, self.offered.profile(), **_publishing())

    def managed_publisher(self, node: LifecycleNode) -> Any:
        """The same, silent unless `node` is active."""
        return node.create_lifecycle_publisher(self.message, self.name, self.offered.profile(), **_publishing())

    def subscribe(
        self,
        node: Node,
        callback: Callable[[Any], None],
        *,
        raw: bool = False,
        callback_group: CallbackGroup | None = None,
    ) -> Any:
        """Let `callback` have every message, as bytes if `raw`; the quality of service may be overridden too.

        A reader that asks for nothing is compatible with every writer, and is not told when one is not: each such
        watch costs the executor time at every wake-up, for nothing.
        """
        events = SubscriptionEventCallbacks(use_default_callbacks=self.requested.reliable)
        return node.create_subscription(
            self.message,
            self.name,
            callback,
            self.requested.profile(),
            raw=raw,
            callback_group=callback_group,
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )


def _publishing() -> dict[str, Any]:
    """Overridable, and without a watch for incompatible readers: those are told themselves."""
    return {
        "event_callbacks": PublisherEventCallbacks(use_default_callbacks=False),
        "qos_overriding_options": QoSOverridingOptions.with_default_policies(),
    }


@dataclass(frozen=True, slots=True)
class Service:
    """One service or action; its name is relative."""

    name: str
    interface: Any
    meaning: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a node: its default gives the type, `minimum` and `maximum` the inclusive range of a number."""

    name: str
    default: ParameterValue
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    read_only: bool = False
