"""CameraInfo, the arm's file and tf, joined to where a point is in the picture."""

from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time

from magma_ros import arms
from magma_ros.calibration import CameraInTf, FixedCamera, NotCalibrated
from magma_ros.errors import InvalidInputError, TransformError
from magma_ros.ros.camera_geometry import CameraGeometry
from magma_ros.ros.camera_info import camera_info_message, camera_model
from tests.ros.arm_messages import transform

ARM = arms.load("sim")
MATRIX = np.array([[100.0, 0.0, 31.5], [0.0, 100.0, 23.5], [0.0, 0.0, 1.0]])
AHEAD_M = np.array([0.0, 0.0, 1.0])
FIXED = FixedCamera(info="info", position_m=(0.0, 0.0, 0.0), quat_xyzw=(0.0, 0.0, 0.0, 1.0))


class Links:
    """What `/tf` sends, by its fields alone: tf2_msgs may be missing."""

    def __init__(self, *transforms):
        self.transforms = transforms


def geometry(calibration, *, info=True):
    made = CameraGeometry(ARM, replace(ARM.topics.cameras[0], calibration=calibration))
    if info:
        made.keep_info(camera_info_message(MATRIX, width_px=64, height_px=48, stamp=Time(), frame_id="eye"))
    return made


def test_a_fixed_camera_needs_its_info_alone():
    """The arm's file has its place; sizes are compared with the CameraInfo's."""
    made = geometry(FIXED)
    np.testing.assert_allclose([31.5, 23.5], made.project(AHEAD_M))
    made.require_size(width_px=64, height_px=48)
    with pytest.raises(InvalidInputError, match="64 x 48"):
        made.require_size(width_px=640, height_px=480)


def test_a_camera_in_tf_is_found_by_the_frame_of_its_info():
    """Links of /tf and /tf_static lead from the base to the frame that the CameraInfo names."""
    made = geometry(CameraInTf(info="info"))
    with pytest.raises(TransformError, match="'eye'"):
        made.project(AHEAD_M)
    made.keep_transforms(Links(transform("base_link", "wrist", stamp_s=1.0, x=0.1)), static=False)
    made.keep_transforms(Links(transform("wrist", "eye", stamp_s=0.0, x=0.1)), static=True)
    np.testing.assert_allclose([31.5 - 20.0, 23.5], made.project(AHEAD_M))


def test_a_link_that_cannot_be_used_is_told_where_one_is_missing():
    """A transform that is not finite changes nothing, and is named."""
    made = geometry(CameraInTf(info="info"))
    made.keep_transforms(Links(transform("base_link", "eye", stamp_s=1.0, x=float("nan"))), static=False)
    with pytest.raises(TransformError, match="latest refused"):
        made.project(AHEAD_M)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (geometry(NotCalibrated()), "not calibrated"),
        (geometry(FIXED, info=False), "no CameraInfo came yet"),
    ],
)
def test_what_is_missing_is_named(made, said):
    """A camera without a calibration, and one without CameraInfo."""
    with pytest.raises(TransformError, match=said):
        made.project(AHEAD_M)


def test_a_point_behind_the_camera_is_refused():
    """There is no pixel for it."""
    with pytest.raises(InvalidInputError, match="not in front"):
        geometry(FIXED).project(-AHEAD_M)


def test_an_info_that_says_nothing_is_named_until_a_better_one_comes():
    """ROS sends zeros for a camera that is not calibrated; fisheye lenses have another model."""
    made = geometry(FIXED, info=False)
    empty = camera_info_message(np.zeros((3, 3)), width_px=64, height_px=48, stamp=Time(), frame_id="eye")
    made.keep_info(empty)
    with pytest.raises(InvalidInputError, match="focal lengths"):
        made.project(AHEAD_M)
    bent = camera_info_message(MATRIX, width_px=64, height_px=48, stamp=Time(), frame_id="eye")
    bent.distortion_model = "equidistant"
    made.keep_info(bent)
    with pytest.raises(InvalidInputError, match="plumb_bob"):
        made.project(AHEAD_M)
    made.keep_info(camera_info_message(MATRIX, width_px=64, height_px=48, stamp=Time(), frame_id="eye"))
    assert (2,) == made.project(AHEAD_M).shape


def test_info_comes_back_from_its_message():
    """Matrix, size, and a lens that bends nothing."""
    model = camera_model(camera_info_message(MATRIX, width_px=64, height_px=48, stamp=Time(sec=3), frame_id="eye"))
    np.testing.assert_array_equal(MATRIX, model.matrix)
    assert (64, 48, [0.0] * 5) == (model.width_px, model.height_px, model.distortion.tolist())
