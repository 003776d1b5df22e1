"""From chunks to one action per tick."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.chunking import RecedingHorizon
from magma_ros.errors import InvalidInputError
from magma_ros.types import ActionChunk
from tests.examples import make_action, make_chunk

PERIOD_S = 0.2


def ramp(length: int, *, stamp_s: float = 10.0) -> ActionChunk:
    """A chunk whose action i moves i millimetres along x."""
    return make_chunk([make_action(i / 1000).to_array().tolist() for i in range(length)], stamp_s=stamp_s)


def executed(horizon: RecedingHorizon, times_s: list[float]) -> list[float | None]:
    actions = [horizon.next_action(time_s) for time_s in times_s]
    return [None if action is None else round(float(action.translation_m[0]) * 1000, 6) for action in actions]


def test_nothing_is_due_before_the_first_chunk() -> None:
    """A new horizon wants a chunk and has no action."""
    horizon = RecedingHorizon(1, control_period_s=PERIOD_S)
    assert horizon.needs_chunk(0.0)
    assert horizon.next_action(0.0) is None


def test_one_action_chunks_are_executed_once() -> None:
    """With a chunk of one action, every tick asks again."""
    horizon = RecedingHorizon(1, control_period_s=PERIOD_S)
    horizon.push(ramp(1))
    assert not horizon.needs_chunk(10.0)
    assert executed(horizon, [10.0, 10.2]) == [0.0, None]
    assert horizon.needs_chunk(10.2)


@given(length=st.integers(1, 12), execution_horizon=st.integers(1, 12))
def test_at_most_the_execution_horizon_is_executed_in_order(length: int, execution_horizon: int) -> None:
    """In step with the clock, the first actions come in order, up to the horizon or the chunk's end."""
    horizon = RecedingHorizon(execution_horizon, control_period_s=PERIOD_S)
    horizon.push(ramp(length))
    done = executed(horizon, [10.0 + i * PERIOD_S for i in range(15)])
    expected = list(range(min(length, execution_horizon)))
    assert done == expected + [None] * (15 - len(expected))


def test_elapsed_steps_are_dropped() -> None:
    """An answer that took two and a half periods starts with the third action."""
    horizon = RecedingHorizon(8, control_period_s=PERIOD_S)
    horizon.push(ramp(8))
    assert executed(horizon, [10.5, 10.7, 10.9]) == [2.0, 3.0, 4.0]


def test_a_skipped_tick_drops_its_action() -> None:
    """When ticks are late, actions follow the clock and are not replayed."""
    horizon = RecedingHorizon(8, control_period_s=PERIOD_S)
    horizon.push(ramp(8))
    assert executed(horizon, [10.0, 10.8]) == [0.0, 4.0]
    assert executed(horizon, [12.0]) == [None]


def test_fast_ticks_never_repeat_an_action() -> None:
    """Two ticks in one period give two successive actions, not the same displacement twice."""
    horizon = RecedingHorizon(8, control_period_s=PERIOD_S)
    horizon.push(ramp(8))
    assert executed(horizon, [10.0, 10.05]) == [0.0, 1.0]


def test_last_action_of_a_fresh_chunk_is_always_due() -> None:
    """However late the answer, one action is left for the safety filter to judge."""
    horizon = RecedingHorizon(4, control_period_s=PERIOD_S)
    horizon.push(ramp(4))
    assert executed(horizon, [100.0, 100.2]) == [3.0, None]


def test_stamps_from_the_future_start_with_the_first_action() -> None:
    """A chunk that is stamped ahead of now is executed from its beginning."""
    horizon = RecedingHorizon(4, control_period_s=PERIOD_S)
    horizon.push(ramp(4, stamp_s=10.05))
    assert executed(horizon, [10.0, 10.2]) == [0.0, 1.0]


def test_rounding_of_stamps_drops_no_action() -> None:
    """A clock in binary fractions counts whole periods as whole."""
    horizon = RecedingHorizon(100, control_period_s=0.1)
    horizon.push(ramp(100, stamp_s=0.0))
    times_s = [i / 10 for i in range(100)]
    assert executed(horizon, times_s) == [float(i) for i in range(100)]


def test_reset_and_push_forget_the_rest_of_a_chunk() -> None:
    """A new chunk replaces the old one; a reset leaves none."""
    horizon = RecedingHorizon(8, control_period_s=PERIOD_S)
    horizon.push(ramp(8))
    executed(horizon, [10.0, 10.2])
    horizon.push(ramp(2, stamp_s=10.4))
    assert executed(horizon, [10.4]) == [0.0]
    horizon.reset()
    assert horizon.needs_chunk(10.6)


@pytest.mark.parametrize(
    ("execution_horizon", "period_s"), [(0, 0.2), (-1, 0.2), (1, 0.0), (1, -0.1), (1, math.nan), (1, math.inf)]
)
def test_impossible_settings_are_refused(execution_horizon: int, period_s: float) -> None:
    """No horizon and no period raise."""
    with pytest.raises(InvalidInputError):
        RecedingHorizon(execution_horizon, control_period_s=period_s)


@pytest.mark.parametrize("stamp_s", [math.nan, math.inf, -math.inf])
def test_chunks_without_a_time_are_refused(stamp_s: float) -> None:
    """A stamp that is no number raises when the chunk comes."""
    with pytest.raises(InvalidInputError):
        RecedingHorizon(1, control_period_s=PERIOD_S).push(ramp(1, stamp_s=stamp_s))
