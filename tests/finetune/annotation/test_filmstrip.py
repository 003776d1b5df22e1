"""Pictures of a window for people: marks and paths lie on what they belong to, however much a picture is enlarged."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.finetune.annotation.filmstrip import CELL_HEIGHT_PX, filmstrip
from magma_ros.finetune.traces import MarkedFrame
from magma_ros.marks import Mark

SIDE_PX = 32
PLACE_PX = 8.25  # six times as large: 6 · (8.25 + 0.5) - 0.5 = 52


def marked(*, is_moving: bool) -> MarkedFrame:
    """One mark, at the same place in both pictures."""
    return MarkedFrame(
        frame=0,
        history=(),
        marks=(Mark(1, PLACE_PX, PLACE_PX),),
        paths=np.full((2, 1, 2), PLACE_PX, np.float32),
        is_moving=(is_moving,),
        no_trace=None,
    )


@pytest.mark.parametrize(("is_moving", "cell"), [(False, 0), (True, 1)])
def test_marks_and_paths_are_enlarged_about_the_middles_of_pixels(*, is_moving: bool, cell: int) -> None:
    """The mark's disc in the first picture and the dot at a path's end in the last lie where that pixel's middle is."""
    film = np.full((2, SIDE_PX, SIDE_PX, 3), 90, np.uint8)
    shown = filmstrip(film, marked(is_moving=is_moving))
    left = cell * (CELL_HEIGHT_PX + 4)
    picture = shown[:, left : left + CELL_HEIGHT_PX].astype(int)
    rows, columns = np.nonzero(np.ptp(picture, axis=-1) > 30)
    assert (52.0, 52.0) == ((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2)
