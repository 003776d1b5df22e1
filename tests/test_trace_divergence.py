"""Executed against predicted traces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.trace_divergence import PredictedPath, ToolPath

LINE = np.array([[10.0, 20.0], [14.0, 20.0], [18.0, 20.0], [22.0, 20.0]])


def path(stamps_s: np.ndarray, places: np.ndarray) -> ToolPath:
    """A tool that was measured there."""
    made = ToolPath()
    for stamp_s, place in zip(stamps_s, places, strict=True):
        made.add(stamp_s, place)
    return made


def predicted() -> PredictedPath:
    """4 px to the right in each step of 0.2 s, from 100 s on."""
    return PredictedPath(LINE, began_s=100.0, step_s=0.2)


def test_an_arm_that_goes_as_predicted_does_not_diverge() -> None:
    """However often it was measured between the points."""
    stamps = np.linspace(99.0, 101.0, 41)
    executed = path(stamps, LINE[0] + np.clip(stamps - 100.0, 0.0, 0.6)[:, None] * [20.0, 0.0])
    assert predicted().divergence_px(executed) == pytest.approx(0.0, abs=1e-9)


def test_an_arm_that_is_held_diverges_by_the_mean_of_the_motion() -> None:
    """4, 8 and 12 px were expected, none was made: 8 px."""
    executed = path(np.array([99.9, 100.3, 100.6]), np.repeat(LINE[:1], 3, axis=0))
    assert 8.0 == predicted().divergence_px(executed)


@pytest.mark.parametrize(("first_s", "last_s"), [(99.0, 100.5), (100.3, 102.0), (99.0, 99.5)])
def test_nothing_is_said_before_everything_was_measured(first_s: float, last_s: float) -> None:
    """Not while a point is still due, and not when the beginning was missed."""
    assert predicted().divergence_px(path(np.array([first_s, last_s]), LINE[:2])) is None


def test_nothing_is_said_of_an_arm_that_was_never_measured() -> None:
    """An empty path has no newest place either."""
    assert predicted().divergence_px(ToolPath()) is None
    assert float("-inf") == ToolPath().newest_s


@given(shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_a_path_beside_the_predicted_one_diverges_by_its_distance(shift: tuple[float, float]) -> None:
    """A constant distance is the divergence."""
    executed = path(100.0 + 0.2 * np.arange(4), LINE + shift)
    assert predicted().divergence_px(executed) == pytest.approx(np.hypot(*shift), abs=1e-9)


def test_old_and_broken_measurements_change_nothing() -> None:
    """A stamp that is not newer and a place that is no number are left out."""
    executed = path(
        np.array([100.0, 99.0, 100.2, 100.4, 100.6, 100.6]), np.vstack([LINE[0], LINE[3], LINE[1:], LINE[0]])
    )
    executed.add(100.8, (np.nan, 0.0))
    assert predicted().divergence_px(executed) == pytest.approx(0.0, abs=1e-9)
    assert 100.6 == executed.newest_s


@pytest.mark.parametrize("points", [LINE[:1], LINE * np.nan, LINE.ravel()])
def test_a_prediction_that_is_none_is_refused(points: np.ndarray) -> None:
    """A start alone, numbers of no sense, and another shape are errors."""
    with pytest.raises(InvalidInputError):
        PredictedPath(points, began_s=0.0, step_s=0.1)
