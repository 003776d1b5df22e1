"""Reading one recording of an arm: its numbers at once, its pictures when it is known which are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String

from magma_ros.arm import Arm
from magma_ros.errors import ImportDataError, InvalidInputError
from magma_ros.finetune.importers.bag_contents import Contents, Shot, Taken
from magma_ros.msg import EndEffectorDelta, MotionStatus, PolicyStatus
from magma_ros.ros import interface
from magma_ros.ros.bag_reader import BagReader
from magma_ros.ros.camera_topics import recorded_cameras
from magma_ros.ros.conversions import (
    GripperJoint,
    action_from_message,
    contract_from_message,
    positions_from_message,
    seconds,
)
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.pictures import picture_from_message
from magma_ros.synchronizer import Synchronizer
from magma_ros.types import ImageArray

CAMERA_SLOP_S = 0.05
"""Largest difference between the stamps of pictures that are seen together, as the policy node's default [s]."""

Takes = dict[str, tuple[Any, Callable[[Any], None]]]
"""Absolute topic → its message class, and what takes its messages."""


class Recorded:
    """One bag of one arm.

    Attributes:
        notes: What the bag says about itself.
    """

    def __init__(self, bag: BagReader, arm: Arm, *, absolute: Callable[[str], str], camera_lag_s: float = 0.0) -> None:
        """Look for the cameras of `arm`.

        Args:
            bag: The recording.
            arm: Whose file maps the topics.
            absolute: Gives the name of a topic in the bag.
            camera_lag_s: How long after its capture a picture is stamped [s].

        Raises:
            RecordingError: a camera is missing.
        """
        self.notes = bag.notes
        self._bag, self._arm, self._absolute, self._camera_lag_s = bag, arm, absolute, camera_lag_s
        self._cameras = recorded_cameras(bag.topics, arm, camera_topic="", absolute=absolute)

    def gather(self) -> Contents:
        """Read everything once.

        Raises:
            RecordingError: a message is damaged or of another type.
            ContractError: an action contract that can't be read.
        """
        gatherer = _Gatherer(self._arm, [camera for camera, _ in self._cameras.values()], self._camera_lag_s)
        takes: Takes = {
            name: (topic.message, partial(gatherer.shoot, camera)) for name, (camera, topic) in self._cameras.items()
        }
        takes |= {self._absolute(name): take for name, take in gatherer.takes(self._absolute).items()}
        for name, _, message in self._bag.read({name: kind for name, (kind, _) in takes.items()}):
            takes[name][1](message)
        return gatherer.found

    def pictures(self, shots: Sequence[Shot]) -> dict[str, ImageArray]:
        """Pictures of the shots, camera → (T, height, width, 3).

        Raises:
            ImportDataError: one can't be decoded, or they differ in size.
        """
        wanted = {place: step for step, shot in enumerate(shots) for place in shot.places.items()}
        found: dict[str, dict[int, ImageArray]] = {camera: {} for camera, _ in self._cameras.values()}
        counts: Counter[str] = Counter()
        for name, _, message in self._bag.read({name: topic.message for name, (_, topic) in self._cameras.items()}):
            camera = self._cameras[name][0]
            step = wanted.get((camera, counts[camera]))
            counts[camera] += 1
            if step is not None:
                try:
                    found[camera][step] = picture_from_message(message)
                except InvalidInputError as error:
                    raise ImportDataError(
                        f"camera {camera!r}, {seconds(message.header.stamp):.3f} s: {error}"
                    ) from error
        return {camera: _stacked(pictures, camera) for camera, pictures in found.items()}


class _Gatherer:
    """Takes the messages of one recording in the order in which they were received."""

    def __init__(self, arm: Arm, cameras: Collection[str], camera_lag_s: float) -> None:
        self.found = Contents()
        self._arm, self._camera_lag_s = arm, camera_lag_s
        self._measured = MeasuredState(arm)
        self.found.refused = self._measured.rejected
        self._sets: Synchronizer[int] = Synchronizer(list(cameras), slop_s=CAMERA_SLOP_S)
        self._counts: Counter[str] = Counter()
        self._is_person = False
        gripper = arm.gripper
        self._gripper = GripperJoint(gripper.joint, gripper.closed_position, gripper.open_position)

    def takes(self, absolute: Callable[[str], str]) -> Takes:
        """What takes the messages of each topic but the cameras', by relative name."""
        actions = [interface.TAKEN_ACTION.name, interface.POLICY_ACTION.name]
        actions += [self._arm.output.topic] if self._arm.output.kind == "ee_delta" else []
        return {
            **{topic.name: (topic.message, partial(self._measure, keep)) for topic, keep in self._measured.inputs()},
            **{name: (EndEffectorDelta, partial(self._take, absolute(name))) for name in actions},
            interface.MOTION_STATUS.name: (MotionStatus, self._follow),
            interface.STATUS.name: (PolicyStatus, self._instruct),
            interface.ACTION_CONTRACT.name: (String, self._agree),
            interface.TASK_SUCCESS.name: (Bool, self._judge),
        }

    def shoot(self, camera: str, message: Any) -> None:
        """A picture of `camera`, which may complete a set of those that were taken together."""
        members = self._sets.offer(camera, seconds(message.header.stamp) - self._camera_lag_s, self._counts[camera])
        self._counts[camera] += 1
        if members is not None:
            places = {name: member.value for name, member in members.items()}
            oldest_s = min(member.stamp_s for member in members.values())
            self.found.shots.append(Shot(oldest_s, places, self._is_person))

    def _measure(self, keep: Callable[[Any], None], message: Any) -> None:
        num_refused = self._measured.rejected.total()
        keep(message)
        if self._measured.rejected.total() > num_refused:
            return
        if isinstance(message, JointState):
            self._remember_joints(message)
        elif (located := self._measured.pose()) is not None:
            self.found.poses[located.stamp_s] = np.concatenate([located.pose.position_m, located.pose.quat_xyzw])

    def _remember_joints(self, message: JointState) -> None:
        positions = positions_from_message(message, wanted={*self._arm.home.joints, self._gripper.name})
        for name, position in positions.items():
            value = self._gripper.opening(position) if name == self._gripper.name else position
            self.found.joints.setdefault(name, []).append((seconds(message.header.stamp), value))

    def _take(self, topic: str, message: EndEffectorDelta) -> None:
        action = action_from_message(message)
        self.found.frames.add(action.frame)
        taken = Taken(seconds(message.header.stamp), action.to_array(), self._is_person)
        self.found.actions.setdefault(topic, []).append(taken)

    def _follow(self, status: MotionStatus) -> None:
        self._is_person = status.actor == MotionStatus.PERSON

    def _instruct(self, status: PolicyStatus) -> None:
        sentence = status.instruction.strip()
        if sentence and sentence not in self.found.instructions:
            self.found.instructions.append(sentence)

    def _agree(self, message: String) -> None:
        contract = contract_from_message(message)
        if contract not in self.found.contracts:
            self.found.contracts.append(contract)

    def _judge(self, message: Bool) -> None:
        self.found.success = bool(message.data)


def _stacked(pictures: Mapping[int, ImageArray], camera: str) -> ImageArray:
    sizes = {picture.shape for picture in pictures.values()}
    if len(sizes) != 1:
        raise ImportDataError(f"camera {camera!r}: expected pictures of one size, got {sorted(sizes)}")
    return np.stack([pictures[step] for step in sorted(pictures)])
