"""Messages that no honest sender would send, on every topic that a node under test listens to."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from geometry_msgs.msg import PoseStamped, Twist, TwistStamped, Vector3
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64, Header, String

from magma_ros.msg import EndEffectorDelta, PolicyStatus
from magma_ros.ros import endpoints, interface
from magma_ros.sim.faults.graph import Graph
from magma_ros.sim.faults.settings import pose_topic

_LONG = "x" * 1_000_000
_BETWEEN_S = 0.01
_LATCHED = (interface.ACTION_CONTRACT.name, interface.STATUS.name)


def messages(graph: Graph) -> Iterator[tuple[str, Any]]:
    """Topic and message, each malformed in a way of its own."""
    stamp = graph.witness.node.get_clock().now().to_msg()
    good, camera = Header(stamp=stamp, frame_id="camera"), graph.arm.topics.cameras[0].topic
    for broken in (
        Image(header=good),
        Image(header=good, height=2**32 - 1, width=2**32 - 1, encoding="rgb8", step=1),
        Image(header=good, height=2, width=2, encoding=_LONG, step=6, data=bytes(12)),
        Image(header=good, height=240, width=320, encoding="rgb8", step=960, data=bytes(10)),
        Image(header=Header(frame_id=_LONG), height=1, width=1, encoding="rgb8", step=3, data=bytes(3)),
    ):
        yield camera, broken
    joints = graph.arm.topics.joint_states
    yield joints, JointState(header=good, name=["gripper", "gripper"], position=[math.nan])
    yield joints, JointState(header=good, name=[_LONG], position=[1e300])
    pose = PoseStamped(header=Header(stamp=stamp, frame_id="base_link"))
    pose.pose.position.x, pose.pose.orientation.w = math.inf, 7.0
    yield pose_topic(graph.arm), pose
    yield pose_topic(graph.arm), PoseStamped(header=Header(stamp=stamp, frame_id=_LONG))
    action = interface.POLICY_ACTION.name
    for x_m in (math.nan, math.inf, 1e300, -5.0):
        yield action, EndEffectorDelta(header=Header(stamp=stamp, frame_id="base_link"), translation_m=Vector3(x=x_m))
    yield action, EndEffectorDelta(header=Header(frame_id="base_link"), gripper_opening=math.nan)
    for speed_m_s in (math.nan, math.inf, 1e300):
        twist = Twist(linear=Vector3(x=speed_m_s))
        yield interface.TELEOP_TWIST.name, TwistStamped(header=Header(stamp=stamp, frame_id=_LONG), twist=twist)
    yield interface.TELEOP_TWIST.name, TwistStamped(twist=Twist(linear=Vector3(x=1.0)))
    for opening in (math.nan, -3.0, 7.0):
        yield interface.TELEOP_GRIPPER.name, Float64(data=opening)
    for contract in ("", "{", "[]", '{"frame": 7}', "[" * 5000, _LONG):
        yield interface.ACTION_CONTRACT.name, String(data=contract)
    yield interface.STATUS.name, PolicyStatus(state=255, stop_reason=_LONG, detail=_LONG)


def send_all(graph: Graph) -> float:
    """Send them all while the arm moves; the instant of the first [s]."""
    node, publishers = graph.witness.node, {}
    onset_s = time.monotonic()
    for topic, message in messages(graph):
        if topic not in publishers:
            qos = endpoints.LATCHED if topic in _LATCHED else endpoints.COMMAND
            publishers[topic] = node.create_publisher(type(message), topic, qos.profile())
            matched = publishers[topic].get_subscription_count
            graph.wait(lambda: matched() > 0, timeout_s=2.0, what=f"{topic} is read")  # noqa: B023 - called at once
        publishers[topic].publish(message)
        time.sleep(_BETWEEN_S)
    for publisher in publishers.values():
        publisher.wait_for_all_acked()
        graph.witness.take_off(publisher)
    return onset_s


def problems(graph: Graph, _onset_s: float) -> list[str]:
    """Processes that did not survive."""
    return graph.ended()
