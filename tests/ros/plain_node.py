"""A node without a graph: all that a class publishes, offers and logs is in its lists, and its clock stands still."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

from rclpy.task import Future
from rclpy.time import Time

from magma_ros.ros.conversions import time_message


class PlainNode:
    """What the classes of `magma_ros/ros` ask of a node.

    Attributes:
        now_s: What its clock shows [s].
        published: Messages by topic.
        topics: Subscriptions by topic.
        services: Callbacks by service.
        clients: Clients by service.
        lines: What was logged, each with its level.
        num_others: Publishers of other nodes on every topic.
    """

    def __init__(self):
        self.now_s = 0.0
        self.published, self.topics, self.services, self.clients = defaultdict(list), {}, {}, {}
        self.lines, self.num_others = [], 0

    def get_clock(self):
        return self

    def now(self):
        return Time.from_msg(time_message(self.now_s))

    def get_logger(self):
        return SimpleNamespace(
            **{
                level: lambda text, level=level: self.lines.append((level, text))
                for level in ("info", "warning", "error")
            }
        )

    def create_publisher(self, message, name, _qos, **_):
        def publish(sent):
            assert isinstance(sent, message)
            self.published[name].append(sent)

        return SimpleNamespace(publish=publish, topic_name=name)

    def count_publishers(self, _name):
        return 1 + self.num_others

    def create_subscription(self, message, name, callback, _qos, **_):
        self.topics[name] = PlainSubscription(message, callback)
        return self.topics[name]

    def create_service(self, interface, name, callback, **_):
        self.services[name] = lambda **fields: callback(interface.Request(**fields), interface.Response())

    def create_client(self, interface, name):
        self.clients[name] = PlainClient(interface)
        return self.clients[name]


class PlainSubscription:
    """Messages come when a test sends them; those in `waiting` are there to be polled."""

    def __init__(self, message, callback):
        self.msg_type, self.raw, self.waiting, self.handle = message, False, [], self
        self._callback = callback

    def send(self, **fields):
        self._callback(self.msg_type(**fields))

    def take_message(self, _kind, _raw):
        return (self.waiting.pop(0), None) if self.waiting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class PlainClient:
    """A service whose server is there when `is_ready`; a test answers the requests in `asked` by their futures."""

    def __init__(self, interface):
        self.interface, self.is_ready = interface, True
        self.asked, self.pending, self.withdrawn = [], [], []

    def service_is_ready(self):
        return self.is_ready

    def call_async(self, request):
        self.asked.append(request)
        self.pending.append(Future())
        return self.pending[-1]

    def remove_pending_request(self, future):
        self.withdrawn.append(future)

    def answer(self, **fields):
        self.pending[-1].set_result(self.interface.Response(**fields))


class HeldLock:
    """A lock that knows whether it is held."""

    def __init__(self):
        self.is_held = False

    def __enter__(self):
        assert not self.is_held
        self.is_held = True

    def __exit__(self, *_):
        self.is_held = False
