"""Bounds on entropy are a margin above good actions, never looser than the usual ones, and travel as plain numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.entropy_bounds import USUAL, EntropyBounds, bounds_above, entropy_bounds_of
from magma_ros.errors import ContractError


def test_bounds_are_the_quantiles_of_good_actions() -> None:
    """Of magma-tiny's actions on held-out frames 99 % have less than 3.464 nat and 99.9 % less than 3.8."""
    assert EntropyBounds(3.464, 3.8) == bounds_above(3.464, 3.8)


def test_holding_is_a_step_above_slowing() -> None:
    """Of a few dozen frames, or of a network that is sure of everything, both quantiles are almost the same."""
    assert EntropyBounds(2.0, 2.3) == bounds_above(2.0, 2.01)
    assert EntropyBounds(0.3, 0.6) == bounds_above(0.0, 0.0)


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_they_only_tighten(slow_nats: float, hold_nats: float) -> None:
    """However unsure good actions are, the bounds are those of any policy or lower, and in order."""
    bounds = bounds_above(slow_nats, hold_nats)
    assert 0 < bounds.slow_nats <= bounds.hold_nats
    assert bounds.slow_nats <= USUAL.slow_nats
    assert bounds.hold_nats <= USUAL.hold_nats


def test_no_idea_is_beyond_the_usual_bound() -> None:
    """A uniform choice of 256 actions is held."""
    assert math.log(256) > USUAL.hold_nats


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -0.1])
def test_bounds_are_not_made_of_nonsense(nonsense: float) -> None:
    """What is no entropy is refused, wherever it stands."""
    for pair in ((nonsense, 3.0), (3.0, nonsense)):
        with pytest.raises(ContractError, match="entropy"):
            bounds_above(*pair)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"slow_nats": 1.0},
        {"slow_nats": "1", "hold_nats": 2.0},
        {"slow_nats": True, "hold_nats": 2.0},
        {"slow_nats": 3.0, "hold_nats": 2.0},
        {"slow_nats": 0.0, "hold_nats": 2.0},
        {"slow_nats": 1.0, "hold_nats": math.inf},
        {"slow_nats": math.nan, "hold_nats": 2.0},
    ],
)
def test_stored_bounds_that_make_no_sense_are_refused(data: dict[str, object]) -> None:
    """A bound that is missing, no number, in the wrong order or without end."""
    with pytest.raises(ContractError, match="entropy"):
        EntropyBounds.from_dict(data)


def test_they_are_stored_as_plain_numbers() -> None:
    """What is written is read back, and whole numbers are numbers."""
    assert EntropyBounds.from_dict(USUAL.to_dict()) == USUAL
    assert EntropyBounds.from_dict({"slow_nats": 2, "hold_nats": 3}) == EntropyBounds(2.0, 3.0)


def test_a_policy_without_bounds_has_none() -> None:
    """Any object may be asked."""
    assert entropy_bounds_of(object()) is None
