"""A fast camera does not make a fast policy."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.pacing import Pacer


def taken(pacer: Pacer, stamps_s: list[float]) -> list[float]:
    return [stamp_s for stamp_s in stamps_s if pacer.is_due(stamp_s)]


def test_a_faster_camera_is_thinned_out_to_the_control_rate() -> None:
    """Of 30 pictures in a second, a policy of 5 Hz gets every sixth."""
    assert [0, 6, 12, 18, 24] == [round(30 * s) for s in taken(Pacer(5.0), [i / 30 for i in range(30)])]


def test_a_camera_at_the_control_rate_loses_nothing_by_jitter() -> None:
    """Pictures that come 10 ms early or late at 5 Hz are all taken."""
    stamps_s = [0.2 * i + (0.01 if i % 2 else -0.01) for i in range(50)]
    assert stamps_s == taken(Pacer(5.0), stamps_s)


def test_time_that_runs_backwards_starts_afresh() -> None:
    """After a clock was set back, the next picture is taken at once."""
    pacer = Pacer(5.0)
    assert pacer.is_due(100.0)
    assert pacer.is_due(50.0)
    assert not pacer.is_due(50.1)


def test_after_a_reset_the_next_picture_is_due() -> None:
    """A new instruction does not wait for the old one's period."""
    pacer = Pacer(5.0)
    assert pacer.is_due(1.0)
    pacer.reset()
    assert pacer.is_due(1.01)


@given(
    rate_hz=st.floats(1.0, 20.0),
    gaps_s=st.lists(st.floats(0.001, 1.0), min_size=1, max_size=200),
)
def test_never_more_often_than_the_rate_allows(rate_hz: float, gaps_s: list[float]) -> None:
    """Whatever the camera does, two pictures that are acted on are at least 0.7 control periods apart."""
    stamps_s = [sum(gaps_s[: i + 1]) for i in range(len(gaps_s))]
    chosen = taken(Pacer(rate_hz), stamps_s)
    assert all(b - a >= 0.7 / rate_hz - 1e-9 for a, b in itertools.pairwise(chosen))


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(rate_hz: float) -> None:
    """Zero, negative and endless rates cannot be asked for."""
    with pytest.raises(InvalidInputError, match="rate_hz"):
        Pacer(rate_hz)


def test_it_tells_when_the_next_picture_is_due() -> None:
    """No earlier picture is taken and that one is; before the first one any will do."""
    pacer = Pacer(5.0)
    assert -math.inf == pacer.next_s
    assert pacer.is_due(10.0)
    assert not pacer.is_due(pacer.next_s - 1e-6)
    assert pacer.is_due(pacer.next_s)
