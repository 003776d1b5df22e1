"""One recording, message by message: what is kept of each topic, and which pictures are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Header

from magma_ros import arms
from magma_ros.calibration import NotCalibrated
from magma_ros.errors import ImportDataError, RecordingError
from magma_ros.finetune.importers.bag_contents import Shot
from magma_ros.finetune.importers.bag_gathering import Recorded
from magma_ros.msg import EndEffectorDelta, MotionStatus, PolicyStatus
from magma_ros.ros.conversions import contract_message, time_message
from magma_ros.ros.pictures import image_message
from tests.examples import CONTRACT

SIM = arms.load("sim")
CAMERA = "camera/image_raw"
(SCENE,) = SIM.topics.cameras
TWO_CAMERAS = replace(
    SIM,
    topics=replace(
        SIM.topics, cameras=(SCENE, replace(SCENE, name="wrist", topic="wrist", calibration=NotCalibrated()))
    ),
)


class GivenBag:
    """A recording of the given messages, in the order in which they were received; those of `/lamp` are nobody's."""

    def __init__(self, *messages: tuple[str, Any]) -> None:
        self._messages = [(f"/{name}", message) for name, message in messages]
        self.topics = frozenset({name for name, _ in self._messages} | {"/lamp", f"/{CAMERA}"})
        self.notes = {"operator": "Ada"}

    def read(self, wanted: Mapping[str, Any]) -> Iterator[tuple[str, int, Any]]:
        for number, (name, message) in enumerate(self._messages):
            if name in wanted:
                assert isinstance(message, wanted[name])
                yield name, number, message


def recorded(*messages: tuple[str, Any], arm: Any = SIM, camera_lag_s: float = 0.0) -> Recorded:
    """Those messages, of an arm without a namespace."""
    bag: Any = GivenBag(*messages)
    return Recorded(bag, arm, absolute=lambda name: f"/{name}", camera_lag_s=camera_lag_s)


def header(stamp_s: float, frame: str = "base_link") -> Header:
    return Header(stamp=time_message(stamp_s), frame_id=frame)


def pose(stamp_s: float, *, x_m: float = 0.0, frame: str = "base_link") -> tuple[str, PoseStamped]:
    message = PoseStamped(header=header(stamp_s, frame))
    message.pose.position.x = x_m
    return "ee_pose", message


def joints(stamp_s: float, **positions: float) -> tuple[str, JointState]:
    return "joint_states", JointState(header=header(stamp_s), name=[*positions], position=[*positions.values()])


def picture(stamp_s: float, *, level: int = 0, size: int = 8, topic: str = CAMERA) -> tuple[str, Image]:
    shown = np.full((size, size, 3), level, np.uint8)
    return topic, image_message(shown, stamp=time_message(stamp_s), frame_id="camera")


def action(topic: str, stamp_s: float, *, x_m: float, frame: str = "base_link") -> tuple[str, EndEffectorDelta]:
    message = EndEffectorDelta(header=header(stamp_s, frame))
    message.translation_m.x, message.gripper_opening = x_m, 0.25
    return topic, message


def acting(actor: int) -> tuple[str, MotionStatus]:
    return "motion_status", MotionStatus(actor=actor)


def test_joints_are_kept_by_name_and_the_gripper_as_an_opening() -> None:
    """A gripper whose joint is 0.1 when it is closed and 0.5 when it is open; joints of others are left out."""
    arm = replace(SIM, gripper=replace(SIM.gripper, closed_position=0.1, open_position=0.5))
    found = recorded(joints(1.0, waist=0.5, lamp=9.0), joints(1.5, gripper=0.4, waist=0.75), arm=arm).gather()
    assert {"waist": [(1.0, 0.5), (1.5, 0.75)], "gripper": [(1.5, pytest.approx(0.75))]} == found.joints


def test_poses_are_kept_by_their_stamps() -> None:
    """Position and quaternion xyzw of the end effector in the base."""
    found = recorded(pose(1.0, x_m=0.25), pose(1.5, x_m=0.5)).gather()
    assert [1.0, 1.5] == list(found.poses)
    np.testing.assert_allclose([0.25, 0, 0, 0, 0, 0, 1], found.poses[1.0])
    np.testing.assert_allclose([0.5, 0, 0, 0, 0, 0, 1], found.poses[1.5])


def test_what_is_refused_is_counted_and_not_kept() -> None:
    """A pose in another frame, and joints that are not finite; the good ones around them stay."""
    found = recorded(
        pose(1.0, x_m=0.25), pose(2.0, frame="map"), joints(1.0, waist=0.5), joints(2.0, waist=float("nan"))
    ).gather()
    assert {"wrong_frame": 1, "bad_joints": 1} == dict(found.refused)
    assert ([1.0], {"waist": [(1.0, 0.5)]}) == (list(found.poses), found.joints)


def test_actions_are_kept_by_topic_with_who_had_the_arm() -> None:
    """As of the last word before them; without any, the policy had it. The frames are told."""
    found = recorded(
        action("policy_action", 1.0, x_m=0.01),
        action("taken_action", 1.0, x_m=0.01),
        acting(MotionStatus.PERSON),
        action("taken_action", 1.5, x_m=0.02, frame="tool0"),
        acting(MotionStatus.POLICY),
        action("ee_delta", 2.0, x_m=0.03),
    ).gather()
    kept = {
        topic: [(taken.stamp_s, taken.row[0], taken.row[6], taken.by_person) for taken in all_taken]
        for topic, all_taken in found.actions.items()
    }
    assert {
        "/policy_action": [(1.0, 0.01, 0.25, False)],
        "/taken_action": [(1.0, 0.01, 0.25, False), (1.5, 0.02, 0.25, True)],
        "/ee_delta": [(2.0, 0.03, 0.25, False)],
    } == kept
    assert {"base_link", "tool0"} == found.frames


def test_sentences_and_contracts_are_kept_once_and_the_last_verdict_counts() -> None:
    """Sentences without spaces at their ends, and no empty ones."""
    said = [("policy_status", PolicyStatus(instruction=text)) for text in ("stack", " stack ", "  ", "fold", "stack")]
    other = replace(CONTRACT, control_rate_hz=10.0)
    agreed = [("action_contract", contract_message(contract)) for contract in (CONTRACT, other, CONTRACT)]
    judged = [("task_success", Bool(data=done)) for done in (True, False)]
    found = recorded(*said, *agreed, *judged).gather()
    assert (["stack", "fold"], [CONTRACT, other], False) == (found.instructions, found.contracts, found.success)
    assert recorded().gather().success is None


def test_a_shot_says_when_it_was_taken_and_which_picture_it_is() -> None:
    """Stamped 30 ms late, the camera showed what was before that; a person had the arm at the second."""
    found = recorded(
        picture(1.03), acting(MotionStatus.PERSON), picture(1.23), acting(MotionStatus.POLICY), camera_lag_s=0.03
    ).gather()
    first, second = found.shots
    assert (pytest.approx(1.0), {"image": 0}, False) == (first.stamp_s, first.places, first.by_person)
    assert (pytest.approx(1.2), {"image": 1}, True) == (second.stamp_s, second.places, second.by_person)


def test_pictures_of_two_cameras_are_one_shot_within_50_ms() -> None:
    """The stamp is the older one's; a picture without its other is counted and in no shot."""
    found = recorded(
        picture(1.0), picture(1.0625, topic="wrist"), picture(1.5), picture(1.46875, topic="wrist"), arm=TWO_CAMERAS
    ).gather()
    assert [Shot(1.46875, {"image": 1, "wrist": 1}, by_person=False)] == found.shots


def test_pictures_are_those_of_the_shots_in_their_order() -> None:
    """Of four recorded ones the fourth and the second; what else there is is not even decoded."""
    broken = Image(header=header(1.0), encoding="rgb8", height=8, width=8, step=24)
    bag = recorded((CAMERA, broken), picture(1.2, level=2), picture(1.4, level=3), picture(1.6, level=4))
    shown = bag.pictures([Shot(1.6, {"image": 3}, by_person=False), Shot(1.2, {"image": 1}, by_person=False)])
    assert ["image"] == list(shown)
    assert (2, 8, 8, 3) == shown["image"].shape
    assert [4, 2] == shown["image"][:, 0, 0, 0].tolist()
    with pytest.raises(ImportDataError, match=r"^camera 'image', 1\.000 s: "):
        bag.pictures([Shot(1.0, {"image": 0}, by_person=False)])


def test_pictures_of_several_sizes_are_refused() -> None:
    """They are no array."""
    bag = recorded(picture(1.0), picture(1.2, size=6))
    with pytest.raises(
        ImportDataError, match=r"^camera 'image': expected pictures of one size, got \[\(6, 6, 3\), \(8, 8, 3\)\]$"
    ):
        bag.pictures([Shot(1.0, {"image": place}, by_person=False) for place in (0, 1)])


def test_a_camera_that_was_not_recorded_is_named() -> None:
    """At once, before anything is read; what the bag says about itself is handed on."""
    with pytest.raises(RecordingError, match=r"^cameras: expected .*/wrist .*in the bag, which has "):
        recorded(arm=TWO_CAMERAS)
    assert {"operator": "Ada"} == recorded().notes
