"""Marks and traces: a camera of 640 x 480 px whose pictures the policy sees in 64 x 48, a tenth as large.

The middle of the camera's pixel (0, 0) is -0.45 in the policy's picture: (0 + 0.5) / 10 - 0.5.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from std_msgs.msg import Header

from magma_ros.camera_view import CameraView
from magma_ros.contract import CameraSpec
from magma_ros.errors import InvalidInputError
from magma_ros.marks import Mark
from magma_ros.msg import Mark as MarkMessage
from magma_ros.msg import Trace as TraceMessage
from magma_ros.picture_questions import Trace
from magma_ros.ros.conversions import time_message
from magma_ros.ros.mark_messages import MAX_MARKS, mark_message, marks_in, points_px, size_of, traces_message
from magma_ros.ros.newest_pictures import Look

HEADER = Header(stamp=time_message(7.5), frame_id="eye")


def look(*, rotate_180=False):
    view = CameraView(CameraSpec("wrist", 48, 64, rotate_180=rotate_180), width_px=640, height_px=480)
    return Look(HEADER, view, np.zeros((48, 64, 3), np.uint8))


def mark(x_px, y_px, number=1):
    return MarkMessage(number=number, x_px=x_px, y_px=y_px)


def marks(*wanted, columns=0, rows=0, **kind):
    return marks_in(look(**kind), wanted, columns=columns, rows=rows)


def places(found):
    return np.array([(one.x_px, one.y_px) for one in found])


def test_wanted_marks_go_to_the_policys_pixels():
    """Numbers and order are kept; a grid that is named beside them, even an impossible one, is not drawn."""
    found = marks(mark(0.0, 0.0, 9), mark(504.5, 104.5, 2), columns=99, rows=99)
    assert [9, 2] == [one.number for one in found]
    np.testing.assert_allclose([[-0.45, -0.45], [50.0, 10.0]], places(found))


def test_marks_are_turned_with_the_camera():
    """What hangs upside down is seen from the other corner: 63 - 50 = 13, 47 - 10 = 37."""
    np.testing.assert_allclose([[13.0, 37.0]], places(marks(mark(504.5, 104.5), rotate_180=True)))


@pytest.mark.parametrize("place", [(-0.5, -0.5), (639.5, 479.5), (-0.5, 479.5), (639.5, -0.5)])
def test_the_picture_ends_at_the_edge_of_its_last_pixel(place):
    """Half a pixel from the middles of the corner pixels is still the picture."""
    assert 1 == len(marks(mark(*place)))


@pytest.mark.parametrize(
    "place",
    [(-0.51, 5.0), (639.51, 5.0), (5.0, -0.51), (5.0, 479.51), (500.0, 600.0), (np.nan, 5.0), (5.0, np.inf)],
)
def test_a_mark_outside_of_the_picture_is_refused(place):
    """The message has its number, the picture's size and the place; one that is no number is outside, too."""
    with pytest.raises(InvalidInputError) as caught:
        marks(mark(5.0, 5.0), mark(*place, number=7))
    assert f"mark 7: expected a place in the picture of 640 x 480 px, got ({place[0]}, {place[1]})" == str(caught.value)


def test_marks_count_from_one():
    """The message's default number is refused."""
    with pytest.raises(InvalidInputError):
        marks(mark(5.0, 5.0, number=0))


def test_at_most_256_marks_may_be_wanted():
    """The limit itself is allowed, one more is not."""
    many = [mark(5.0, 5.0, number) for number in range(1, MAX_MARKS + 2)]
    assert 256 == len(marks(*many[:256]))
    with pytest.raises(InvalidInputError, match=r"^marks: expected at most 256, got 257$"):
        marks(*many)


def test_without_marks_a_grid_is_drawn():
    """Six by four cells, numbered row by row; the first is in the middle of 64 / 6 x 12 px, the last opposite."""
    found = marks()
    assert list(range(1, 25)) == [one.number for one in found]
    np.testing.assert_allclose([[64 / 12 - 0.5, 5.5], [63.5 - 64 / 12, 41.5]], places((found[0], found[-1])))
    assert 6 == len({one.x_px for one in found})


@pytest.mark.parametrize(
    ("columns", "rows", "last"), [(2, 0, (47.5, 41.5)), (0, 3, (63.5 - 64 / 12, 39.5)), (1, 1, (31.5, 23.5))]
)
def test_a_grid_may_be_chosen(columns, rows, last):
    """Each number that is 0 is the default's, and the grid is in the policy's pixels."""
    found = marks(columns=columns, rows=rows)
    assert (columns or 6) * (rows or 4) == len(found)
    np.testing.assert_allclose([last], places(found[-1:]))


def test_a_grid_that_is_too_fine_is_refused():
    """33 columns are one too many."""
    with pytest.raises(InvalidInputError, match="grid: expected 1 to 32"):
        marks(columns=33)


def test_the_size_is_that_of_the_policys_picture():
    """Not that of the camera's."""
    assert {"width_px": 64, "height_px": 48} == size_of(look())


def test_a_mark_goes_back_to_the_cameras_pixels():
    """The policy's (50, 10) is the middle of a block of ten by ten."""
    sent = mark_message(look(), Mark(3, 50.0, 10.0))
    assert (3, 504.5, 104.5) == (sent.number, pytest.approx(sent.x_px), pytest.approx(sent.y_px))


@settings(max_examples=30)
@given(x_px=st.floats(-0.5, 639.5), y_px=st.floats(-0.5, 479.5), number=st.integers(1, 999), turned=st.booleans())
def test_a_mark_comes_back_as_it_went(x_px, y_px, number, turned):
    """There and back it is the same number at the same place."""
    (found,) = marks(mark(x_px, y_px, number), rotate_180=turned)
    back = mark_message(look(rotate_180=turned), found)
    assert number == back.number
    np.testing.assert_allclose([x_px, y_px], [back.x_px, back.y_px], atol=1e-9)


def test_traces_are_told_in_the_cameras_pixels():
    """Header, camera, its own size and the step stand beside them; each trace keeps its number and its order."""
    traces = [Trace(2, np.array([[50.0, 10.0], [51.0, 9.0]])), Trace(5, np.array([[0.0, 0.0]]))]
    sent = traces_message(look(), traces, step_s=0.2)
    assert (HEADER, "wrist", 640, 480, 0.2) == (sent.header, sent.camera, sent.width_px, sent.height_px, sent.step_s)
    assert [2, 5] == [trace.number for trace in sent.traces]
    np.testing.assert_allclose([504.5, 514.5], sent.traces[0].x_px)
    np.testing.assert_allclose([104.5, 94.5], sent.traces[0].y_px)
    np.testing.assert_allclose([[4.5, 4.5]], points_px(sent.traces[1]))


def test_no_traces_are_an_empty_message():
    """A policy that sees nothing move says so."""
    assert [] == traces_message(look(), [], step_s=0.2).traces


def test_a_trace_is_read_point_by_point():
    """Each point has its x beside its y."""
    np.testing.assert_array_equal([[1.0, 4.0], [2.0, 5.0]], points_px(TraceMessage(x_px=[1.0, 2.0], y_px=[4.0, 5.0])))


@pytest.mark.parametrize(
    ("x_px", "y_px"),
    [([], []), ([1.0, 2.0], [1.0]), ([], [1.0]), ([1.0, np.nan], [1.0, 2.0]), ([1.0, 2.0], [-np.inf, 2.0])],
)
def test_a_malformed_trace_has_no_points(x_px, y_px):
    """Unequal lengths or a number that is none: nothing of it is used, nor is anything of an empty one."""
    assert (0, 2) == points_px(TraceMessage(x_px=x_px, y_px=y_px)).shape
