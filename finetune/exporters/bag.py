"""Our episodes as recordings of an arm: one rosbag2 MCAP bag each, with the topics of the arm's file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped, Vector3
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys.store import Typestore
from std_msgs.msg import Header

from magma_ros.arm import Arm, PoseFromTopic
from magma_ros.contract import ActionContract
from magma_ros.episode_notes import EpisodeNotes, EpisodeOutcome
from magma_ros.episodes import Episode, EpisodeDataset
from magma_ros.errors import EpisodeError, InvalidInputError
from magma_ros.finetune.importers.bag import SEED_NOTE, STAMPS_NOTE
from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.ros import endpoints, interface
from magma_ros.ros.bag_reader import absolute_name
from magma_ros.ros.camera_topics import camera_topics
from magma_ros.ros.conversions import (
    GripperJoint,
    action_message,
    contract_message,
    joint_state_message,
    nanoseconds,
    pose_message,
    time_message,
)
from magma_ros.ros.measured_state import tf_topic
from magma_ros.ros.pictures import image_message
from magma_ros.ros.recorded_topics import bag_qos, bag_types, type_name
from magma_ros.types import Proprio
from magma_ros.whole_files import to_disk

Message = tuple[str, Any]
"""A topic as the arm's file names it, and what is said on it."""


def export_bags(
    dataset: EpisodeDataset, output: Path, arm: Arm, *, on_episode: Callable[[int], None] = lambda _: None
) -> list[Path]:
    """Write each episode of `dataset` into a bag `output`/episode_000000 …; gives the folders.

    Pictures, joints, gripper, pose and the action (on `taken_action`) of a step have the step's capture time; the exact
    times and the seed are in the notes of the bag, beside instruction, operator and outcome.

    Raises:
        EpisodeError: the contract or an episode does not fit the arm, or a bag exists or can't be written.
    """
    _require_fit(dataset.contract, arm)
    types = bag_types({type_name(topic.message) for topic in _topics(arm)})
    folders = []
    for index in range(len(dataset)):
        folder = output / f"episode_{index:06d}"
        try:
            _write(folder, dataset.read(index), dataset.contract, arm, types)
        except (OSError, WriterError, InvalidInputError) as error:
            raise EpisodeError(f"{folder}: episode {index} cannot be exported: {error}") from error
        folders.append(folder)
        on_episode(index + 1)
    return folders


def _require_fit(contract: ActionContract, arm: Arm) -> None:
    if contract.frame != arm.frames.base:
        raise EpisodeError(
            f"arm {arm.name!r}: expected actions in its base {arm.frames.base!r}, got {contract.frame!r}"
        )
    source = arm.topics.ee_pose
    if source.child != arm.frames.end_effector:
        raise EpisodeError(
            f"arm {arm.name!r}: expected one whose end effector is measured, got that of {source.child!r}"
        )


def _write(folder: Path, episode: Episode, contract: ActionContract, arm: Arm, types: Typestore) -> None:
    """One bag, which appears whole or not at all."""
    _require_writable(folder, episode, arm)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    writer = Writer(partial, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
    for name, text in _notes(episode, arm).items():
        writer.set_custom_data(name, text)
    writer.open()
    topics = {
        topic.name: writer.add_connection(
            absolute_name(topic.name, ""),
            type_name(topic.message),
            typestore=types,
            offered_qos_profiles=(bag_qos(topic.offered),),
        )
        for topic in _topics(arm)
    }
    for stamp_ns, name, message in _messages(episode, contract, arm):
        writer.write(topics[name], stamp_ns, serialize_message(message))
    writer.close()
    to_disk(partial)
    partial.replace(folder)


def _require_writable(folder: Path, episode: Episode, arm: Arm) -> None:
    cameras = {camera.name for camera in arm.topics.cameras}
    if set(episode.images) != cameras:
        raise InvalidInputError(
            f"cameras: expected those of arm {arm.name!r}, {sorted(cameras)}, got {sorted(episode.images)}"
        )
    if (np.abs(np.linalg.norm(episode.ee_quat_xyzw, axis=1) - 1.0) > 1e-3).any():
        raise InvalidInputError("ee_quat_xyzw: expected unit norm")
    stamps = [nanoseconds(time_message(stamp)) for stamp in episode.stamps_s.tolist()]
    if (np.diff(stamps) < 1000).any():
        raise InvalidInputError("stamps_s: expected steps at least a microsecond apart")
    if folder.exists():
        raise EpisodeError(f"{folder}: exists already")


def _topics(arm: Arm) -> list[endpoints.Topic]:
    """What an exported bag has; names as in the arm's file."""
    joints = dict.fromkeys((arm.topics.joint_states, arm.gripper.joint_states))
    own = [interface.ACTION_CONTRACT, interface.STATUS, interface.MOTION_STATUS, interface.TAKEN_ACTION]
    cameras = camera_topics(arm, camera_topic="", image_transport="raw").values()
    return [*cameras, *(replace(interface.JOINTS, name=name) for name in joints), _pose_topic(arm), *own]


def _pose_topic(arm: Arm) -> endpoints.Topic:
    source = arm.topics.ee_pose
    if isinstance(source, PoseFromTopic):
        return replace(interface.EE_POSE, name=source.topic)
    return tf_topic("/tf", latched=False)


def _pose_message(proprio: Proprio, arm: Arm, stamp: Time) -> Any:
    source = arm.topics.ee_pose
    message = pose_message(proprio, frame=source.parent, stamp=stamp)
    if isinstance(source, PoseFromTopic):
        return message
    link = TransformStamped(header=message.header, child_frame_id=source.child)
    place, link.transform.rotation = message.pose.position, message.pose.orientation
    link.transform.translation = Vector3(x=place.x, y=place.y, z=place.z)
    return _pose_topic(arm).message(transforms=[link])


def _messages(episode: Episode, contract: ActionContract, arm: Arm) -> Iterator[tuple[int, str, Any]]:
    """Every message with its time [ns] and its topic as the arm's file names it."""
    for step in range(len(episode)):
        stamp = time_message(float(episode.stamps_s[step]))
        if step == 0:
            yield nanoseconds(stamp), interface.ACTION_CONTRACT.name, contract_message(contract)
            header = Header(stamp=stamp, frame_id=contract.frame)
            said = PolicyStatus(header=header, state=PolicyStatus.ACTING, instruction=episode.instruction)
            yield nanoseconds(stamp), interface.STATUS.name, said
        for place, (name, message) in enumerate(_step(episode, step, contract, arm, stamp)):
            yield nanoseconds(stamp) + place, name, message  # received one after the other


def _step(episode: Episode, step: int, contract: ActionContract, arm: Arm, stamp: Time) -> Iterator[Message]:
    observation = episode.observation(step)
    proprio = observation.proprio
    assert isinstance(proprio, Proprio)
    gripper = GripperJoint(arm.gripper.joint, arm.gripper.closed_position, arm.gripper.open_position)
    joints = joint_state_message(proprio, joint_names=arm.home.joints, gripper=gripper, stamp=stamp)
    for name in dict.fromkeys((arm.topics.joint_states, arm.gripper.joint_states)):
        yield name, joints
    yield _pose_topic(arm).name, _pose_message(proprio, arm, stamp)
    for camera in arm.topics.cameras:
        yield camera.topic, image_message(observation.images[camera.name], stamp=stamp, frame_id=camera.name)
    actor = MotionStatus.PERSON if episode.interventions[step] else MotionStatus.POLICY
    header = Header(stamp=stamp, frame_id=contract.frame)
    yield interface.MOTION_STATUS.name, MotionStatus(header=header, state=MotionStatus.MOVING, actor=actor)
    yield interface.TAKEN_ACTION.name, action_message(episode.action(step, frame=contract.frame), stamp=stamp)


def _notes(episode: Episode, arm: Arm) -> dict[str, str]:
    outcome: EpisodeOutcome = "success" if episode.success else "failure"
    notes = EpisodeNotes(
        instruction=episode.instruction, operator=episode.operator, arm=arm.name, started="", outcome=outcome
    )
    exact = {STAMPS_NOTE: json.dumps(episode.stamps_s.tolist()), SEED_NOTE: str(episode.seed)}
    return {**notes.to_dict(), **exact}
