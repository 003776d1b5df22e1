from array import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage

from magma_ros import arms
from magma_ros.errors import InvalidInputError
from magma_ros.ros.conversions import time_message
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.observing import Observer
from magma_ros.stops import StopReason
from magma_ros.synchronizer import UNMATCHED
from magma_ros.types import Observation
from tests.ros.arm_messages import measured_state, picture, pose_stamped

ARM = arms.load("sim")


def observer(*cameras, measured=None, max_identical_pictures=0):
    return Observer(
        cameras or ("image",),
        measured or measured_state(ARM, stamp_s=10.0),
        slop_s=0.05,
        max_proprio_lag_s=0.5,
        max_identical_pictures=max_identical_pictures,
    )


def png(pixels, stamp_s):
    data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    message = CompressedImage(format="rgb8; png compressed bgr8", data=array("B", data))
    message.header.stamp = time_message(stamp_s)
    return message


def test_a_picture_and_measured_state_make_one_observation():
    """The picture under the contract's name, the instruction, the capture time and the newest measured state."""
    seen = observer().observe("image", picture(10.25), instruction="lift")
    assert isinstance(seen, Observation)
    assert ("lift", 10.25, (4, 6, 3)) == (seen.instruction, seen.stamp_s, seen.images["image"].shape)
    assert seen.proprio.ee_position_m.tolist() == [0.3, 0.0, 0.0]


def test_without_fresh_measured_state_there_is_no_observation():
    """Nothing measured, or measured too long before the picture, stops with its reason: never an old value."""
    assert observer(measured=MeasuredState(ARM)).observe("image", picture(10.0), instruction="lift").reason is (
        StopReason.NO_PROPRIO
    )
    assert observer().observe("image", picture(10.5), instruction="lift").proprio is not None
    late = observer()
    assert late.observe("image", picture(10.6), instruction="lift").reason is StopReason.STALE_STATE
    assert {"stale_state": 1} == dict(late.rejected)


def test_the_state_is_as_fresh_as_the_oldest_picture_needs():
    """With several cameras the lag of the measured state is counted from the oldest of their pictures."""
    eyes = observer("left", "right")
    assert eyes.observe("right", picture(10.54), instruction="lift") is None
    assert isinstance(eyes.observe("left", picture(10.5), instruction="lift"), Observation)


def test_pictures_that_were_taken_together_are_seen_together():
    """Two cameras make one observation, stamped as the older picture; what has no partner is counted."""
    eyes = observer("left", "right")
    assert eyes.observe("left", picture(10.0, shade=1), instruction="lift") is None
    assert eyes.observe("left", picture(10.1, shade=2), instruction="lift") is None
    seen = eyes.observe("right", picture(10.12, shade=3), instruction="lift")
    assert (10.1, ["left", "right"]) == (seen.stamp_s, list(seen.images))
    assert [2, 3] == [int(image[0, 0, 0]) for image in seen.images.values()]
    assert {UNMATCHED: 1} == dict(eyes.rejected)


def test_a_camera_that_is_not_looked_through_is_passed_over():
    """An arm may have more cameras than the policy wants."""
    eyes = observer("image")
    assert eyes.observe("wrist", picture(10.0), instruction="lift") is None
    assert not eyes.rejected


def test_a_malformed_picture_is_a_stop():
    """What cannot be read stops with the reason, instead of raising."""
    bad, eyes = picture(10.0), observer()
    bad.encoding = "jpeg"
    stop = eyes.observe("image", bad, instruction="lift")
    assert stop.reason is StopReason.NO_OBSERVATION
    assert "jpeg" in stop.detail
    assert {"no_observation": 1} == dict(eyes.rejected)


def test_a_picture_from_before_time_began_is_a_stop():
    """A stamp that no command could carry is refused where it comes in."""
    bad = picture(10.0)
    bad.header.stamp.sec = -5
    assert observer().observe("image", bad, instruction="lift").reason is StopReason.NO_OBSERVATION


def test_a_compressed_picture_is_an_observation():
    """JPEG and PNG are read as raw pictures are; one that does not decode stops with the reason."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    message = png(pixels, 10.0)
    eyes = observer()
    assert np.array_equal(pixels, eyes.observe("image", message, instruction="lift").images["image"])
    broken = png(pixels, 10.1)
    broken.data = broken.data[:-1]
    assert eyes.observe("image", broken, instruction="lift").reason is StopReason.NO_OBSERVATION


def shoot(eyes, *pictures):
    """Whether each picture was seen, or why not."""
    seen = [eyes.observe("image", message, instruction="lift") for message in pictures]
    return [None if isinstance(one, Observation) else one.reason for one in seen]


@pytest.mark.parametrize("kind", ["raw", "compressed"])
def test_a_camera_that_repeats_its_picture_is_frozen(kind):
    """The third picture of the same pixels stops, the next ones too, and a new picture is seen again."""

    def shot(stamp_s, shade):
        return picture(stamp_s, shade=shade) if kind == "raw" else png(np.full((4, 6, 3), shade, np.uint8), stamp_s)

    eyes, frozen = observer(max_identical_pictures=3), StopReason.FROZEN_CAMERA
    shots = [shot(10.0 + 0.1 * number, shade) for number, shade in enumerate([1, 1, 1, 1, 2])]
    assert [None, None, frozen, frozen, None] == shoot(eyes, *shots)
    assert {"frozen_camera": 2} == dict(eyes.rejected)


def test_a_frozen_camera_is_found_beside_a_living_one():
    """One camera of two that repeats itself stops, whatever the other one films."""
    eyes = observer("left", "right", max_identical_pictures=2)
    eyes.observe("left", picture(10.0, shade=1), instruction="lift")
    eyes.observe("right", picture(10.0, shade=1), instruction="lift")
    eyes.observe("left", picture(10.1, shade=2), instruction="lift")
    stop = eyes.observe("right", picture(10.1, shade=1), instruction="lift")
    assert stop.reason is StopReason.FROZEN_CAMERA
    assert "right" in stop.detail


def test_zero_lets_a_camera_repeat_itself():
    """Simulated cameras have no noise: with 0 a still scene is filmed for ever."""
    shots = [picture(10.0 + 0.01 * number) for number in range(20)]
    assert [None] * 20 == shoot(observer(max_identical_pictures=0), *shots)


@pytest.mark.parametrize("limit", [-1, 1])
def test_a_limit_that_freezes_every_camera_is_refused(limit):
    """One picture in a row is what every camera gives."""
    with pytest.raises(InvalidInputError, match="at least 2"):
        observer(max_identical_pictures=limit)


def test_a_state_in_another_frame_is_a_stop():
    """A pose in another frame is not used, and the stop tells of it: it is worse than none."""
    measured = MeasuredState(ARM)
    measured.keep_pose(pose_stamped("map", stamp_s=10.0))
    stop = observer(measured=measured).observe("image", picture(10.0), instruction="lift")
    assert stop.reason is StopReason.NO_PROPRIO
    assert "map" in stop.detail
