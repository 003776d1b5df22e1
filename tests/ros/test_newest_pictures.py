"""Messages of cameras, and what a policy sees of the newest ones."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from magma_ros.contract import CameraSpec
from magma_ros.errors import InvalidInputError
from magma_ros.ros.conversions import time_message
from magma_ros.ros.newest_pictures import NewestPictures
from magma_ros.ros.pictures import image_message
from tests.examples import CONTRACT

FRONT, WRIST = CameraSpec("front", 2, 3), CameraSpec("wrist", 2, 3, rotate_180=True)
BOTH = replace(CONTRACT, cameras=(FRONT, WRIST))
BLOCKS = np.arange(0, 180, 10, dtype=np.uint8).reshape(2, 3, 3)
"""A policy's picture; the camera's has each of its pixels twice in each direction."""


def message(blocks=BLOCKS, *, stamp_s=99.5):
    large = blocks.repeat(2, axis=0).repeat(2, axis=1)
    return image_message(large, stamp=time_message(stamp_s), frame_id="eye")


def kept(**messages):
    pictures = NewestPictures(lambda: 100.0)
    for camera, one in messages.items():
        pictures.keep(camera, one)
    return pictures


def look(pictures, camera, *, max_age_s=0.5):
    return pictures.look(camera, contract=BOTH, max_age_s=max_age_s)


def test_the_newest_picture_is_reduced_to_the_policys_size():
    """Each pixel of the policy's picture is the mean of its block; header, stamp and the camera's size are kept."""
    found = look(kept(front=message()), "front")
    np.testing.assert_array_equal(BLOCKS, found.image)
    assert ("eye", 99.5) == (found.header.frame_id, found.stamp_s)
    assert (FRONT, 6, 4) == (found.view.camera, found.view.width_px, found.view.height_px)


def test_a_camera_that_hangs_upside_down_is_turned():
    """The first pixel that the policy sees is the camera's last."""
    found = look(kept(wrist=message()), "wrist")
    np.testing.assert_array_equal(BLOCKS[::-1, ::-1], found.image)
    assert WRIST == found.view.camera


def test_no_name_is_the_first_camera_of_the_contract():
    """An empty name finds `front`, although the picture of `wrist` came later."""
    assert FRONT == look(kept(front=message(), wrist=message(BLOCKS + 1)), "").view.camera


def test_only_the_last_picture_of_each_camera_counts():
    """A later message replaces that of its own camera and no other's."""
    pictures = kept(front=message(), wrist=message())
    pictures.keep("front", message(BLOCKS + 5, stamp_s=99.75))
    assert [5, 150] == [look(pictures, name).image[0, 0, 0] for name in ("front", "wrist")]
    assert [99.75, 99.5] == [look(pictures, name).stamp_s for name in ("front", "wrist")]


@pytest.mark.parametrize("stamp_s", [99.5, 100.0, 100.0625])
def test_a_picture_of_the_present_is_shown(stamp_s):
    """As old as is allowed, of this moment, and ahead of the node's clock by less than a tenth of a second."""
    assert stamp_s == look(kept(front=message(stamp_s=stamp_s)), "front").stamp_s


@pytest.mark.parametrize(
    ("stamp_s", "max_age_s", "age"),
    [(98.0, 0.5, "2.0"), (99.49, 0.5, "0.5"), (98.99, 1.0, "1.0"), (100.2, 0.5, "-0.2")],
)
def test_a_picture_of_another_time_is_refused_with_its_age(stamp_s, max_age_s, age):
    """Too old, by however little; or of a clock that runs ahead or was set back since."""
    expected = f"camera 'front': expected a picture of the last {max_age_s} s, the newest is {age} s old"
    with pytest.raises(InvalidInputError, match=f"^{re.escape(expected)}$"):
        look(kept(front=message(stamp_s=stamp_s)), "front", max_age_s=max_age_s)


def test_a_camera_that_the_policy_does_not_have_is_named():
    """A picture of it does not help; the message has what there is, and no more of the wrong name than 64 letters."""
    pictures = kept(front=message(), side=message())
    with pytest.raises(InvalidInputError, match=r"^camera: expected one of \['front', 'wrist'\], got 'side'$"):
        look(pictures, "side")
    with pytest.raises(InvalidInputError, match=r"got 'x{64}'$"):
        look(pictures, "x" * 65)


def test_a_camera_that_has_shown_nothing_is_named():
    """The other camera's picture is not taken in its place."""
    with pytest.raises(InvalidInputError, match=r"^camera 'wrist': expected a picture, got none yet$"):
        look(kept(front=message()), "wrist")


def test_a_picture_is_decoded_when_it_is_looked_at():
    """A broken message is kept like any other, and is an error of the one who asks."""
    broken = message()
    broken.encoding = "32FC1"
    with pytest.raises(InvalidInputError, match="image encoding"):
        look(kept(front=broken), "front")
