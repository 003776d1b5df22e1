"""Drawn marks, boxes and segments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.marks import Box, Mark, disc_px, draw_boxes, draw_marks, draw_segments, label_places, segment_marks
from magma_ros.types import ImageArray


def grey(height: int, width: int) -> ImageArray:
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (256, 256), (480, 640), (1080, 1920)])
def test_a_mark_is_a_red_disc_with_white_digits_around_its_place(height: int, width: int) -> None:
    """At any size there are red and white pixels, centred on the mark, and nothing else changes."""
    x, y = width // 3, height // 2
    drawn = draw_marks(grey(height, width), [Mark(8, x, y)])
    changed = np.argwhere((drawn != 90).any(axis=2))
    assert [y, x] == ((changed.min(axis=0) + changed.max(axis=0)) / 2).tolist()
    extent = changed.max(axis=0) - changed.min(axis=0) + 1
    assert 2 * max(7, round(0.03 * width)) > extent[0] >= max(7, 0.03 * width)
    assert (drawn == [255, 0, 0]).all(axis=2).any()
    assert (drawn[:, :, 1] > 200).any()


def test_numbers_can_be_told_apart_in_a_small_picture() -> None:
    """In a picture of 256 px the discs of all numbers up to 19 differ clearly."""
    discs = [draw_marks(grey(256, 256), [Mark(n, 20, 20)])[8:33, 8:33].astype(int) for n in range(1, 20)]
    gaps = [np.abs(a - b).max() for i, a in enumerate(discs) for b in discs[:i]]
    assert min(gaps) > 100


@pytest.mark.parametrize(("number", "width_px"), [(1, 64), (9, 256), (12, 256), (88, 640)])
def test_a_disc_is_as_wide_as_it_is_said_to_be(number: int, width_px: int) -> None:
    """In a picture of that width; as wide as high."""
    drawn = draw_marks(np.zeros((64, width_px, 3), np.uint8), [Mark(number, 32.0, 32.0)])
    rows, columns = np.nonzero(drawn.any(axis=2))
    sizes = [int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1]
    assert [disc_px(number, width_px=width_px)] * 2 == sizes


def test_the_picture_that_was_given_stays_as_it_was() -> None:
    """Marks, boxes and segments are drawn on copies."""
    picture = grey(64, 64)
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 10:30, 10:30] = True
    for drawn in (
        draw_marks(picture, [Mark(1, 5, 5)]),
        draw_boxes(picture, [Box(1, 5, 5, 20, 20)]),
        draw_segments(picture, mask),
    ):
        assert (drawn != 90).any()
        assert (picture == 90).all()


@given(st.floats(-50, 150), st.floats(-50, 150), st.integers(1, 9999))
def test_a_mark_beyond_the_edge_is_cut_off(x_px: float, y_px: float, number: int) -> None:
    """Wherever a mark is, drawing it gives a picture of the same size."""
    assert (80, 100, 3) == draw_marks(grey(80, 100), [Mark(number, x_px, y_px)]).shape


@pytest.mark.parametrize("kind", [lambda: Mark(0, 1, 1), lambda: Mark(1, np.nan, 1), lambda: Box(1, 5, 0, 4, 1)])
def test_marks_and_boxes_that_are_nowhere_are_refused(kind) -> None:
    """Numbers begin at 1, places are finite, and no side of a box is beyond the opposite one."""
    with pytest.raises(InvalidInputError):
        kind()


def common_area(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def test_labels_stand_clear_where_there_is_room() -> None:
    """Among boxes with gaps as wide as a label, no label overlaps a box or another label."""
    boxes = [Box(1 + c + 4 * r, 40 + 90 * c, 40 + 60 * r, 90 + 90 * c, 70 + 60 * r) for r in range(4) for c in range(4)]
    sizes = [(18, 14)] * len(boxes)
    places = label_places(boxes, sizes, width_px=420, height_px=300)
    labels = [(x, y, x + 18, y + 14) for x, y in places]
    sides = [(b.left_px, b.top_px, b.right_px, b.bottom_px) for b in boxes]
    others = [common_area(a, b) for i, a in enumerate(labels) for b in [*labels[:i], *sides]]
    assert max(others) == 0.0


def test_a_label_avoids_the_neighbour_above() -> None:
    """Where another box is right above, the label goes elsewhere."""
    boxes = [Box(1, 100, 50, 200, 99), Box(2, 100, 100, 200, 150)]
    places = label_places(boxes, [(20, 15)] * 2, width_px=400, height_px=300)
    label = (places[1][0], places[1][1], places[1][0] + 20, places[1][1] + 15)
    assert 0.0 == sum(common_area(label, (b.left_px, b.top_px, b.right_px, b.bottom_px)) for b in boxes)


@given(
    st.lists(
        st.tuples(st.integers(0, 180), st.integers(0, 130), st.integers(0, 40), st.integers(0, 30)),
        min_size=1,
        max_size=12,
    )
)
def test_labels_lie_in_the_picture(corners: list[tuple[int, int, int, int]]) -> None:
    """However boxes lie, even at the edge, each label is whole."""
    boxes = [Box(1 + i, x, y, x + w, y + h) for i, (x, y, w, h) in enumerate(corners)]
    for x, y in label_places(boxes, [(20, 12)] * len(boxes), width_px=200, height_px=150):
        assert 0 <= x <= 180
        assert 0 <= y <= 138


def test_a_box_is_outlined_and_labelled() -> None:
    """The outline is on the box's sides, and the plate's digits are white."""
    drawn = draw_boxes(grey(200, 300), [Box(5, 100, 80, 180, 120)])
    assert (drawn[80, 100:181] != 90).any(axis=1).all()
    assert (drawn[80:121, 180] != 90).any(axis=1).all()
    assert (drawn.min(axis=2) > 200).any()


def test_a_segment_has_its_mark_inside() -> None:
    """Of a ring, whose centre of mass is outside of it, the mark is on the ring."""
    y, x = np.mgrid[:100, :120]
    radius = np.hypot(x - 60, y - 50)
    masks = np.stack([(radius > 25) & (radius < 40), radius < 15])
    marks = segment_marks(masks)
    assert [1, 2] == [mark.number for mark in marks]
    assert masks[0, round(marks[0].y_px), round(marks[0].x_px)]
    assert (60.0, 50.0) == (marks[1].x_px, marks[1].y_px)


def test_segments_are_tinted_and_empty_ones_refused() -> None:
    """Pixels of a segment change, others do not; a segment without pixels has no mark."""
    masks = np.zeros((1, 100, 120), bool)
    with pytest.raises(InvalidInputError):
        segment_marks(masks)
    masks[0, 20:80, 20:80] = True
    drawn = draw_segments(grey(100, 120), masks)
    assert (drawn[20:80, 20:80] != 90).any(axis=2).all()
    assert (drawn[85:, 85:] == 90).all()
