"""When a piece of an answer may begin."""

from __future__ import annotations

import math

import pytest

from magma_ros.spare_time import MARGIN, SpareTime


def test_nothing_fits_before_anything_was_timed() -> None:
    """While a picture may come that is acted on, an unknown duration never fits; while none may, it always does."""
    spare = SpareTime()
    assert not spare.fits(1e9, is_first=True)
    assert spare.fits(math.inf, is_first=True)


def test_a_first_piece_is_expected_to_take_as_long_as_an_inference() -> None:
    """Until it was timed itself, which then counts alone."""
    spare = SpareTime()
    spare.inference_took(0.1)
    assert (False, True) == (spare.fits(0.1 * MARGIN, is_first=True), spare.fits(0.11 * MARGIN, is_first=True))
    spare.piece_took(0.02, is_first=True)
    assert spare.fits(0.03 * MARGIN, is_first=True)
    assert not spare.fits(0.03 * MARGIN, is_first=False)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_policy_that_is_slow_now_is_given_more_time_and_a_hiccup_is_none(*, is_first: bool) -> None:
    """Of the last nine pieces the slowest but one counts: one slow piece among quick ones changes nothing, two do."""
    spare = SpareTime()
    for _ in range(9):
        spare.piece_took(0.01, is_first=is_first)
    spare.piece_took(0.5, is_first=is_first)
    assert spare.fits(0.5, is_first=is_first)
    spare.piece_took(0.5, is_first=is_first)
    assert not spare.fits(0.5, is_first=is_first)


@pytest.mark.parametrize("spare_s", [0.0, -1.0, -math.inf])
def test_nothing_fits_when_a_picture_is_due(spare_s: float) -> None:
    """A picture that may come at any moment leaves no time, however quick the pieces are."""
    spare = SpareTime()
    spare.piece_took(0.0, is_first=False)
    assert not spare.fits(spare_s, is_first=False)
