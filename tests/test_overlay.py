from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.overlay import FOOTER_PX, HEADER_PX, RED, WIDTH_PX, Caption, Scale, annotate
from tests.examples import make_action

SCALE = Scale(translation_m=0.04, rotation_rad=0.3)
CAPTION = Caption(instruction="put the carrot on the plate", policy="ACTING 3", motion="MOVING", latency_s=0.132)
GREY = np.full((480, 640, 3), 127, np.uint8)


def drawn(caption=CAPTION, action=None, image=GREY):
    return annotate(image, caption, action, SCALE)


def gauge(*row):
    """The part of the picture that the gauge is in."""
    return drawn(action=make_action(*row))[-FOOTER_PX - 104 : -FOOTER_PX - 8, 8:220]


def green(picture):
    return (picture[..., 1].astype(int) - picture[..., 0]) > 60


def test_the_camera_picture_is_shown_whole_and_untouched_where_nothing_is_drawn():
    """Between the bands, above the gauge, stand the camera's own pixels, and the input is not written to."""
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    image.setflags(write=False)
    picture = drawn(image=image, action=make_action(0.01))
    np.testing.assert_array_equal(image[:300], picture[HEADER_PX : HEADER_PX + 300])


@pytest.mark.parametrize(
    ("size", "height"), [((480, 640), 480), ((128, 128), 640), ((1080, 1920), 360), ((900, 9), 960)]
)
def test_every_camera_gives_pictures_of_one_width(size, height):
    """Small pictures are enlarged and large ones reduced, so that text is readable and cost bounded."""
    picture = drawn(image=np.zeros((*size, 3), np.uint8), action=make_action(0.01))
    assert (HEADER_PX + height + FOOTER_PX, WIDTH_PX, 3) == picture.shape


@pytest.mark.parametrize(
    ("row", "down", "right"), [((0.04,), -1, 0), ((-0.04,), 1, 0), ((0.0, 0.04), 0, -1), ((0.0, -0.04), 0, 1)]
)
def test_the_arrow_points_along_the_displacement_in_the_base_frame(row, down, right):
    """Forwards is up and left is left, as one looks along the arm from its base."""
    rows, columns = np.nonzero(green(gauge(*row))[:, :96])
    towards = np.array([rows.mean() - 48, columns.mean() - 48])
    assert [down, right] == [int(np.sign(v)) if abs(v) > 5 else 0 for v in towards]


@pytest.mark.parametrize(("z_m", "side"), [(0.02, -1), (-0.02, 1)])
def test_the_bar_of_z_rises_and_falls(z_m, side):
    """A displacement upwards is a bar above the line, one downwards below it."""
    rows, _ = np.nonzero(green(gauge(0.0, 0.0, z_m))[:, 100:111])
    assert side == np.sign(rows.mean() - 48)


def test_rotation_and_gripper_are_in_the_gauge():
    """Each axis of rotation and the opening change the gauge, each in a place of its own."""
    still = gauge()
    changed = []
    for row in ([0, 0, 0, 0.2], [0, 0, 0, 0, 0.2], [0, 0, 0, 0, 0, 0.2], [0, 0, 0, 0, 0, 0, 0.0]):
        _, columns = np.nonzero((gauge(*row) != still).any(axis=-1))
        changed.append((columns.min(), columns.max()))
    assert all(before[1] < after[0] for before, after in pairwise(changed))


def test_a_broken_action_is_drawn_within_the_gauge():
    """Numbers that are not finite or beyond the scale neither raise nor leave the gauge."""
    wild = drawn(action=make_action(np.nan, np.inf, -5.0, 9.0, np.nan, 0.0, 7.0))
    outside = np.ones(wild.shape[:2], bool)
    outside[-FOOTER_PX - 104 : -FOOTER_PX - 8, 8:220] = False
    np.testing.assert_array_equal(drawn()[outside], wild[outside])


def red_share(**changes):
    picture = drawn(Caption(instruction="x", policy="ACTING", motion="y", **changes))
    return float((picture == RED).all(axis=-1).mean())


def test_a_halt_is_red_and_nothing_else_is():
    """HALTED frames the picture in red; dry run and holding don't use that colour."""
    assert 0.0 == red_share(is_dry_run=True) == red_share(is_moving=True) == red_share()
    assert red_share(is_halted=True) > 0.03


@pytest.mark.parametrize(
    "changes",
    [
        {"instruction": "close the drawer"},
        {"policy": "STOPPED stale_observation"},
        {"motion": "HOLDING stale_state"},
        {"latency_s": 0.5},
        {"latency_s": None},
        {"detail": "no picture for 0.6 s"},
        {"is_dry_run": True},
        {"is_moving": True},
    ],
)
def test_every_part_of_the_caption_is_visible(changes):
    """Changing one field changes pixels."""
    base = {"instruction": "put", "policy": "ACTING", "motion": "MOVING", "latency_s": 0.132}
    assert (drawn(Caption(**base)) != drawn(Caption(**{**base, **changes}))).any()


def test_a_trace_is_drawn_where_the_camera_sees_it():
    """In a picture of another size, from its first point to its last, and nowhere else."""
    small = np.full((120, 160, 3), 127, np.uint8)
    trace = np.array([[20.0, 10.0], [60.0, 10.0], [100.0, 10.0]])
    with_trace = annotate(small, CAPTION, None, SCALE, traces=[trace])
    changed = (with_trace != annotate(small, CAPTION, None, SCALE)).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max()) == (pytest.approx(4 * 20 - 4 + 2, abs=2), pytest.approx(4 * 100 + 2, abs=3))
    assert abs(rows.mean() - HEADER_PX - 4 * 10.5) < 1.5


@pytest.mark.parametrize("trace", [np.empty((0, 2)), np.array([[1.0, 2.0]]), np.full((3, 2), np.nan)])
def test_a_trace_that_is_none_is_not_drawn(trace):
    """No point, a single one, and numbers of no sense leave the picture as it is."""
    np.testing.assert_array_equal(drawn(), annotate(GREY, CAPTION, None, SCALE, traces=[trace]))


def test_a_trace_far_outside_is_drawn_in_bounded_time():
    """Coordinates of any size are cut off."""
    assert drawn().shape == annotate(GREY, CAPTION, None, SCALE, traces=[np.array([[0.0, 0.0], [1e300, -1e300]])]).shape


def test_long_and_foreign_text_is_cut_and_replaced():
    """A sentence of a megabyte in any script, with line ends, is drawn in bounded time and width."""
    picture = drawn(Caption(instruction="лимон\n" * 200_000, policy="A", motion="B"))
    assert (HEADER_PX + 480 + FOOTER_PX, WIDTH_PX, 3) == picture.shape


def test_what_is_no_picture_is_refused():
    """A float array is not a picture."""
    with pytest.raises(InvalidInputError, match="expected a uint8 array"):
        drawn(image=np.zeros((4, 4, 3)))
