import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros.finetune.importers.series import Series


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e3, 1e3)), min_size=1, max_size=12))
def test_a_sample_is_given_back_to_the_bit(samples):
    """At its own time, whatever stands before and after it."""
    times, values = [time / 1000 for time, _ in samples], [[value] for _, value in samples]
    series = Series.of(times, values)
    np.testing.assert_array_equal(series.values, series.at(series.times_s))
    assert series.covers(series.times_s, max_gap_s=0.0).all()


def test_between_two_samples_values_are_on_the_line():
    """A quarter of the way is a quarter of the change."""
    series = Series.of([2.0, 1.0], [[8.0, 0.0], [4.0, 1.0]])
    np.testing.assert_allclose([[5.0, 0.75]], series.at(np.array([1.25])))


def test_between_two_orientations_is_the_shortest_turn():
    """Also where the sign of a quaternion changes; at a sample it is that sample's."""
    first, last = Rotation.from_rotvec([0.0, 0.0, 0.2]).as_quat(), -Rotation.from_rotvec([0.0, 0.0, 0.6]).as_quat()
    found = Series.of([0.0, 1.0], [first, last]).quats_at(np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal([first, last], found[[0, 2]])
    np.testing.assert_allclose([0.0, 0.0, 0.4], Rotation.from_quat(found[1]).as_rotvec(), atol=1e-12)


@pytest.mark.parametrize(("wanted_s", "expected"), [(0.9, False), (1.0, True), (1.1, True), (1.5, False), (2.1, False)])
def test_times_outside_the_samples_and_in_gaps_are_not_covered(wanted_s, expected):
    """Nothing is known before the first sample, after the last, and between two that are too far apart."""
    series = Series.of([1.0, 1.2, 2.0], [[0.0]] * 3)
    assert [expected] == series.covers(np.array([wanted_s]), max_gap_s=0.3).tolist()
