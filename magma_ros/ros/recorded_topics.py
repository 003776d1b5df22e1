"""What of the graph is recorded, with the definitions that make a bag readable anywhere; no node in here."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from geometry_msgs.msg import PoseStamped, TwistStamped
from rosbags.interfaces import Qos as BagQos
from rosbags.interfaces import QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from trajectory_msgs.msg import JointTrajectory

from magma_ros.arm import Arm, GripperTopic
from magma_ros.errors import ArmConfigError, RecordingError
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import interface
from magma_ros.ros.camera_topics import camera_topics, info_topics
from magma_ros.ros.endpoints import Qos, Topic
from magma_ros.ros.measured_state import MeasuredState, tf_topic

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_OURS = (
    interface.POLICY_ACTION,
    interface.TAKEN_ACTION,
    interface.TELEOP_TWIST,
    interface.TELEOP_GRIPPER,
    interface.ACTION_CHUNK,
    interface.ACTION_CONTRACT,
    interface.STATUS,
    interface.MOTION_STATUS,
    interface.SETPOINT,
    interface.EMERGENCY_STOP,
    interface.PREDICTED_TRACES,
    interface.DIAGNOSTICS,
)
_COMMANDS = {
    "ee_delta": EndEffectorDelta,
    "twist": TwistStamped,
    "pose": PoseStamped,
    "joint_trajectory": JointTrajectory,
}
_DEPTH = 100
"""What may wait for the executor, per topic: two seconds of a command at 50 Hz."""
_CAMERA_DEPTH = 10
_FOREVER = QosTime(9223372036, 854775807)


def recorded_topics(arm: Arm, *, camera_topic: str, image_transport: str) -> list[Topic]:
    """What a replay or a person needs of `arm`: cameras, measured state, the stack's own topics, commands; tf aside.

    Raises:
        ArmConfigError: see `camera_topics`; or the pose comes from tf, and tf2_msgs is not installed.
        RecordingError: a message package that the arm's file names is not installed.
    """
    cameras = camera_topics(arm, camera_topic=camera_topic, image_transport=image_transport).values()
    measured = [*(topic for topic, _ in MeasuredState(arm).inputs())]
    topics = [replace(topic, requested=Qos(reliable=False, depth=_CAMERA_DEPTH)) for topic in cameras]
    infos = info_topics(arm).values()
    topics += [_deep(topic, reliable=topic.requested.reliable) for topic in (*measured, *infos, *_OURS)]
    topics += [_deep(topic, reliable=True) for topic in _commands(arm)]
    return list({topic.name: topic for topic in topics}.values())


def tf_topics() -> list[Topic]:
    """Frames, of the arm and of everything around it; none where tf2_msgs is not installed."""
    try:
        return [tf_topic("/tf", latched=False), tf_topic("/tf_static", latched=True)]
    except ArmConfigError:
        return []


def message_type(name: str) -> Any | None:
    """The class of the type `pkg/msg/Type`, or None when its package is not installed."""
    package, _, kind = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind)
    except ModuleNotFoundError:
        return None


def type_name(message: Any) -> str:
    """The ROS name of a message class: `pkg/msg/Type`."""
    return f"{message.__module__.partition('.')[0]}/msg/{message.__name__}"


def bag_types(names: Iterable[str]) -> Typestore:
    """The installed definitions of the types `names`, and of every type in them.

    Raises:
        RecordingError: a definition is not installed.
    """
    definitions: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions.update(get_types_from_msg(_definition(name), name))
            waiting += [other for _, field in definitions[name][1] for other in _named(field)]
    store = get_typestore(Stores.EMPTY)
    store.register(definitions)
    return store


def bag_qos(offered: Qos) -> BagQos:
    """What a player of the bag offers again."""
    return BagQos(
        history=QosHistory.KEEP_LAST,
        depth=offered.depth,
        reliability=QosReliability.RELIABLE if offered.reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if offered.latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def _commands(arm: Arm) -> Iterator[Topic]:
    """The topics that move the arm and its gripper; a gripper that is an action has none."""
    yield replace(interface.EE_DELTA, name=arm.output.topic, message=_COMMANDS[arm.output.kind])
    if isinstance(arm.gripper.command, GripperTopic):
        message = message_type(arm.gripper.command.message)
        if message is None:
            raise RecordingError(f"gripper: expected the installed type of {arm.gripper.command}, found none")
        yield replace(interface.EE_DELTA, name=arm.gripper.command.topic, message=message)


def _deep(topic: Topic, *, reliable: bool) -> Topic:
    return replace(topic, requested=Qos(reliable=reliable, latched=topic.requested.latched, depth=_DEPTH))


def _definition(name: str) -> str:
    package, _, kind = name.split("/")
    try:
        return (Path(get_package_share_directory(package)) / "msg" / f"{kind}.msg").read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError) as error:
        raise RecordingError(f"{name}: expected its installed definition: {error}") from error


def _named(field: Any) -> Iterator[str]:
    """Types that a field's description in rosbags' form names: (kind, name) or (kind, (element, length))."""
    _, inner = field
    if isinstance(inner, str):
        yield inner
    elif isinstance(inner[0], tuple):
        yield from _named(inner[0])
