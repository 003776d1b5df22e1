"""When a clock was set, and when it only went on."""

from __future__ import annotations

import pytest

from magma_ros.clock_watch import ClockWatch


def watch_at(now_s: float, steady_s: float | None) -> ClockWatch:
    watch = ClockWatch()
    assert watch.jump_s(now_s, steady_s) is None
    return watch


@pytest.mark.parametrize(
    ("now_s", "steady_s"), [(100.02, 7.02), (100.52, 7.02), (105.0, 12.0), (104.5, 12.0), (100.0, 7.4)]
)
def test_time_that_passes_is_no_jump(now_s: float, steady_s: float) -> None:
    """Both clocks went on alike, within half a second, however long ago the last look was."""
    assert watch_at(100.0, 7.0).jump_s(now_s, steady_s) is None


@pytest.mark.parametrize(
    ("now_s", "steady_s", "expected"), [(103.02, 7.02, 3.0), (100.1, 8.0, -0.9), (99.9999, 7.02, -0.0201)]
)
def test_a_clock_that_was_set_jumped(now_s: float, steady_s: float, expected: float) -> None:
    """Forwards, to where it stands still, and backwards by however little."""
    assert watch_at(100.0, 7.0).jump_s(now_s, steady_s) == pytest.approx(expected)


@pytest.mark.parametrize(("now_s", "expected"), [(100.4, None), (100.6, 0.6), (99.9, -0.1)])
def test_simulated_time_is_compared_with_itself(now_s: float, expected: float | None) -> None:
    """Without a steady clock a leap forwards of more than half a second, or any way back, is a jump."""
    assert watch_at(100.0, None).jump_s(now_s, None) == (expected if expected is None else pytest.approx(expected))


def test_after_forgetting_any_time_is_the_first() -> None:
    """Nothing is compared with what was before."""
    watch = watch_at(100.0, 7.0)
    watch.forget()
    assert watch.jump_s(5.0, 8.0) is None
    assert watch.jump_s(9.0, 8.1) == pytest.approx(3.9)
