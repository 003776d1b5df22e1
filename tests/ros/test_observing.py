from array import array

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage

from magma_ros.ros import conversions, pictures
from magma_ros.ros.observing import Observer
from magma_ros.types import Observation, Proprio, StopReason

GRIPPER = conversions.GripperJoint("gripper", 0.0, 1.0)
MEASURED = Proprio(np.array([0.3, 0.0, 0.2]), np.array([0.0, 0.0, 0.0, 1.0]), 0.5, np.array([0.1]))


@pytest.fixture
def observer():
    return Observer(camera="image", gripper=GRIPPER, frame="base_link", max_proprio_lag_s=0.5)


def picture(sec=10, nanosec=0):
    pixels = np.full((4, 6, 3), 9, np.uint8)
    return pictures.image_message(pixels, stamp=Time(sec=sec, nanosec=nanosec), frame_id="camera")


def measure(observer, sec=10, frame="base_link"):
    stamp = Time(sec=sec)
    observer.keep(conversions.joint_state_message(MEASURED, joint_names=("waist",), gripper=GRIPPER, stamp=stamp))
    observer.keep(conversions.pose_message(MEASURED, frame=frame, stamp=stamp))


def test_a_picture_and_measured_state_make_one_observation(observer):
    """The picture under the contract's name, the instruction, the capture time and the newest measured state."""
    measure(observer)
    seen = observer.observe(picture(nanosec=200_000_000), instruction="lift")
    assert isinstance(seen, Observation)
    assert (seen.instruction, seen.stamp_s, seen.images["image"].shape) == ("lift", 10.2, (4, 6, 3))
    assert seen.proprio.ee_position_m.tolist() == [0.3, 0.0, 0.2]


def test_without_measured_state_there_is_none_in_the_observation(observer):
    """Nothing measured, or measured too long before the picture, is None: never an old value."""
    assert observer.observe(picture(), instruction="lift").proprio is None
    measure(observer, sec=9)
    assert observer.observe(picture(), instruction="lift").proprio is None


def test_without_a_gripper_joint_there_is_no_measured_state():
    """An arm whose gripper nothing measures gives pictures only."""
    observer = Observer(camera="image", gripper=None, frame="base_link", max_proprio_lag_s=0.5)
    measure(observer)
    assert observer.observe(picture(), instruction="lift").proprio is None


def test_a_malformed_picture_is_a_stop(observer):
    """What cannot be read stops the arm with the reason, instead of raising."""
    bad = picture()
    bad.encoding = "jpeg"
    stop = observer.observe(bad, instruction="lift")
    assert stop.reason is StopReason.NO_OBSERVATION
    assert "jpeg" in stop.detail


def test_a_compressed_picture_is_an_observation(observer):
    """JPEG and PNG are read as raw pictures are; one that does not decode stops the arm with the reason."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    png = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    message = CompressedImage(format="rgb8; png compressed bgr8", data=array("B", png))
    message.header.stamp = Time(sec=10)
    seen = observer.observe(message, instruction="lift")
    assert np.array_equal(pixels, seen.images["image"])
    assert seen.stamp_s == 10.0
    message.data = array("B", png[:-1])
    assert observer.observe(message, instruction="lift").reason is StopReason.NO_OBSERVATION


def test_malformed_measured_state_is_a_stop(observer):
    """A pose in another frame stops the arm: it is worse than none."""
    measure(observer, frame="map")
    assert observer.observe(picture(), instruction="lift").reason is StopReason.NO_PROPRIO
