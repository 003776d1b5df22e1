"""The camera's pixels and those of the policy's picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.camera_view import CameraView
from magma_ros.contract import CameraSpec

POINTS = st.lists(st.tuples(st.floats(-0.5, 639.5), st.floats(-0.5, 479.5)), min_size=1, max_size=4)


def view(*, rotate_180: bool = False) -> CameraView:
    """A camera of 640 x 480 px whose pictures the policy sees in 128 x 96."""
    return CameraView(CameraSpec("image", 96, 128, rotate_180=rotate_180), width_px=640, height_px=480)


@pytest.mark.parametrize("rotate_180", [False, True])
@given(points=POINTS)
def test_there_and_back(points: list[tuple[float, float]], *, rotate_180: bool) -> None:
    """A place in one picture comes back from the other."""
    both = view(rotate_180=rotate_180)
    np.testing.assert_allclose(points, both.to_camera(both.to_seen(points)), atol=1e-9)


@pytest.mark.parametrize("rotate_180", [False, True])
def test_places_go_where_the_pixels_go(*, rotate_180: bool) -> None:
    """The brightest spot of the policy's picture is where the formula puts that of the camera's."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:105, 500:505] = 255
    both = view(rotate_180=rotate_180)
    seen = both.seen(image)
    row, column = np.unravel_index(seen[..., 0].argmax(), seen.shape[:2])
    np.testing.assert_allclose([column, row], both.to_seen((502.0, 102.0)), atol=0.01)
    assert (96, 128, 3) == seen.shape
