"""Listening to the graph for a bounded time: what is published, how often, how old, and who commands the arm."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String

from magma_ros.arm import Arm, JointTrajectoryOutput, PoseFromTopic
from magma_ros.doctor.options import Listening
from magma_ros.ros import endpoints
from magma_ros.ros.camera_topics import camera_topics
from magma_ros.ros.conversions import seconds
from magma_ros.ros.endpoints import Qos, Topic
from magma_ros.ros.interface import EE_POSE, JOINTS
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.stops import Stop
from magma_ros.types import Proprio

DISCOVERY_S = 5.0
"""Longest wait for everything that is listened to, before the time to listen begins [s]: a DDS participant that has
missed the first announcements of another hears the next one after 3 s."""
_DEPTH = 50
_SPIN_S = 0.05


@dataclass(slots=True)
class Stream:
    """One topic that carries stamped messages.

    Attributes:
        topic, kind: Full name, and the type that is expected.
        publishers: Full names of the nodes that publish it.
        kinds: Types that are offered under this name.
        ages_s: Of each message that came, its age by the node's clock: negative when stamped in the future [s].
        received_s: When each came, by a steady clock [s].
    """

    topic: str
    kind: str
    publishers: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    ages_s: list[float] = field(default_factory=list)
    received_s: list[float] = field(default_factory=list)

    @property
    def hz(self) -> float:
        """Messages in a second; 0 with fewer than two."""
        if len(self.received_s) < 2:
            return 0.0
        return (len(self.received_s) - 1) / max(self.received_s[-1] - self.received_s[0], 1e-9)

    @property
    def age_s(self) -> float:
        """The median age; there must be a message."""
        return median(self.ages_s)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the graph was like while the doctor listened.

    Attributes:
        listened_s: For how long [s].
        cameras, joints, gripper, ee_pose: Streams by what the arm's file calls them; `ee_pose` is None for tf.
        measured: The measured state as the nodes would use it, or why not.
        rejected: Messages of measured state that they would refuse, by reason.
        commanders, drivers: Nodes that publish, and that take, the command topic `command`.
        has_robot_description: Whether it came; None where the arm's output needs none.
        topics, services: Full name → types.
        nodes: Full names, one twice if two nodes share it.
    """

    listened_s: float
    cameras: Mapping[str, Stream]
    joints: Stream
    gripper: Stream
    ee_pose: Stream | None
    measured: Proprio | Stop
    rejected: Mapping[str, int]
    command: str
    commanders: tuple[str, ...]
    drivers: tuple[str, ...]
    has_robot_description: bool | None
    topics: Mapping[str, tuple[str, ...]]
    services: Mapping[str, tuple[str, ...]]
    nodes: tuple[str, ...]
    namespace: str

    def full(self, name: str) -> str:
        """The full name of what the arm's file calls `name`."""
        return name if name.startswith("/") else f"{self.namespace.rstrip('/')}/{name}"


def listen(arm: Arm, options: Listening) -> Heard:
    """Join the graph as the node `doctor`, listen and leave; publishes nothing of its own.

    Takes `options.listen_s`, and up to `DISCOVERY_S` before that while something is not heard of yet.

    Raises:
        ArmConfigError: no such camera or transport, or tf is needed and tf2_msgs is not installed.
    """
    cameras = camera_topics(arm, camera_topic=options.camera_topic, image_transport=options.image_transport)
    context = Context()
    rclpy.init(args=[], context=context)
    overrides = [Parameter("use_sim_time", value=options.use_sim_time)]
    node = Node("doctor", context=context, namespace=options.namespace, parameter_overrides=overrides)
    executor = SingleThreadedExecutor(context=context)
    try:
        executor.add_node(node)
        return _listen(node, executor, arm, cameras, options.listen_s)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def _listen(
    node: Node, executor: SingleThreadedExecutor, arm: Arm, cameras: Mapping[str, Topic], listen_s: float
) -> Heard:
    measured = MeasuredState(arm)
    measured.subscribe(node)
    source, output = arm.topics.ee_pose, arm.output
    pictures = {name: _stream(node, topic) for name, topic in cameras.items()}
    joints = _stream(node, _named(JOINTS, arm.topics.joint_states))
    shares_topic = arm.gripper.joint_states == arm.topics.joint_states
    gripper = joints if shares_topic else _stream(node, _named(JOINTS, arm.gripper.joint_states))
    ee_pose = _stream(node, _named(EE_POSE, source.topic)) if isinstance(source, PoseFromTopic) else None
    descriptions: list[String] = []
    if isinstance(output, JointTrajectoryOutput):
        profile = endpoints.LATCHED.profile()
        node.create_subscription(String, output.robot_description_topic, descriptions.append, profile)
    streams = (*pictures.values(), joints, gripper, *([ee_pose] if ee_pose else []))
    _spin(executor, DISCOVERY_S, until=lambda: all(stream.received_s for stream in streams))
    _spin(executor, listen_s)
    offered = dict(node.get_topic_names_and_types())
    for stream in streams:
        stream.publishers = _nodes(node.get_publishers_info_by_topic(stream.topic))
        stream.kinds = tuple(offered.get(stream.topic, ())) if stream.publishers else ()
    return Heard(
        listened_s=listen_s,
        cameras=pictures,
        joints=joints,
        gripper=gripper,
        ee_pose=ee_pose,
        measured=measured.proprio(since_s=_now_s(node) - arm.limits.max_observation_age_s),
        rejected=dict(measured.rejected),
        command=node.resolve_topic_name(output.topic),
        commanders=_nodes(node.get_publishers_info_by_topic(output.topic)),
        drivers=_nodes(node.get_subscriptions_info_by_topic(output.topic)),
        has_robot_description=bool(descriptions) if isinstance(output, JointTrajectoryOutput) else None,
        topics={name: tuple(kinds) for name, kinds in offered.items()},
        services={name: tuple(kinds) for name, kinds in node.get_service_names_and_types()},
        nodes=tuple(sorted(f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces())),
        namespace=node.get_namespace(),
    )


def _spin(executor: SingleThreadedExecutor, duration_s: float, *, until: Callable[[], bool] = lambda: False) -> None:
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s and not until():
        executor.spin_once(timeout_sec=_SPIN_S)


def _stream(node: Node, topic: Topic) -> Stream:
    module, name = topic.message.__module__.split(".")[0], topic.message.__name__
    stream = Stream(node.resolve_topic_name(topic.name), f"{module}/msg/{name}")
    node.create_subscription(
        topic.message, topic.name, _counted(node, stream), Qos(reliable=False, depth=_DEPTH).profile()
    )
    return stream


def _counted(node: Node, stream: Stream) -> Callable[[Any], None]:
    def count(message: Any) -> None:
        stream.received_s.append(time.monotonic())
        stream.ages_s.append(_now_s(node) - seconds(message.header.stamp))

    return count


def _named(topic: Topic, name: str) -> Topic:
    return Topic(name, topic.message, topic.offered, topic.requested, topic.meaning)


def _nodes(endpoints: list[Any]) -> tuple[str, ...]:
    return tuple(sorted(f"{end.node_namespace.rstrip('/')}/{end.node_name}" for end in endpoints))


def _now_s(node: Node) -> float:
    return seconds(node.get_clock().now().to_msg())
