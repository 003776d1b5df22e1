"""Where points are in a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.camera_model import CameraModel
from magma_ros.errors import InvalidInputError
from magma_ros.types import Pose

MATRIX = np.array([[500.0, 0.0, 319.5], [0.0, 510.0, 239.5], [0.0, 0.0, 1.0]])
HERE = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
ABOVE = Pose(np.array([0.0, 0.0, 2.0]), np.array([1.0, 0.0, 0.0, 0.0]))
"""2 m over the base's origin, looking down, its x along the base's."""


def camera(distortion: tuple[float, ...] = ()) -> CameraModel:
    """A camera of 640 x 480 px."""
    return CameraModel(MATRIX, np.array(distortion), width_px=640, height_px=480)


def test_what_is_straight_ahead_is_at_the_principal_point() -> None:
    """From above, the base's origin is in the middle, what is further along x to the right, along y upwards."""
    points = [[0.0, 0.0, 0.0], [0.2, 0.0, 0.0], [0.0, 0.2, 0.0]]
    pixels = camera().project(points, pose_camera_in_base=ABOVE)
    np.testing.assert_allclose([[319.5, 239.5], [369.5, 239.5], [319.5, 188.5]], pixels)


def test_what_is_behind_the_camera_is_nowhere() -> None:
    """It gets no pixel, and its neighbours keep theirs."""
    pixels = camera().project([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], pose_camera_in_base=HERE)
    assert [True, False, True] == np.isnan(pixels).any(axis=1).tolist()


@given(
    places=st.lists(st.tuples(st.floats(-0.4, 0.4), st.floats(-0.3, 0.3)), min_size=1, max_size=5),
    strength=st.sampled_from([(), (0.1, -0.05, 0.001, -0.002, 0.01), (-0.2, 0.03, 0.0, 0.0)]),
)
def test_rays_lead_back_to_their_pixels(places: list[tuple[float, float]], strength: tuple[float, ...]) -> None:
    """A point 1 m in front of the camera is on the ray of its pixel, whatever the lens."""
    points = np.column_stack([places, np.ones(len(places))])
    model = camera(strength)
    pixels = model.project(points, pose_camera_in_base=HERE)
    np.testing.assert_allclose(points, model.rays(pixels), atol=2e-3)


@pytest.mark.parametrize(
    ("matrix", "distortion"),
    [
        (np.zeros((3, 3)), ()),
        (np.full((3, 3), np.nan), ()),
        (MATRIX, (1.0,)),
        (MATRIX, (np.inf,) * 5),
        (MATRIX[:2], ()),
    ],
)
def test_what_describes_no_camera_is_refused(matrix: np.ndarray, distortion: tuple[float, ...]) -> None:
    """A matrix of zeros, which ROS sends for a camera that is not calibrated, and numbers of no sense are errors."""
    with pytest.raises(InvalidInputError):
        CameraModel(matrix, np.array(distortion), width_px=640, height_px=480)
