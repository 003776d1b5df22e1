"""Rotations and composing displacements."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros.errors import InvalidInputError
from magma_ros.geometry import (
    compose_ee_delta,
    compose_poses,
    quat_distance_rad,
    relative_ee_delta,
    rotation_vector_to_rpy,
    rpy_to_rotation_vector,
)
from magma_ros.types import Pose
from tests.examples import make_action

angles = st.floats(-3.0, 3.0)
metres = st.floats(-1.0, 1.0)
triples = st.tuples(angles, angles, angles)


def angle_between(first_vector: np.ndarray, second_vector: np.ndarray) -> float:
    difference = Rotation.from_rotvec(np.array(first_vector)) * Rotation.from_rotvec(np.array(second_vector)).inv()
    return float(difference.magnitude())


def test_rpy_turns_about_fixed_axes_in_the_order_roll_pitch_yaw() -> None:
    """A quarter of roll and then one of yaw carry the body's y axis to the base's z axis, the body's x to y."""
    vector = rpy_to_rotation_vector([np.pi / 2, 0.0, np.pi / 2])
    turned = Rotation.from_rotvec(vector).apply(np.eye(3))
    np.testing.assert_allclose([[0, 1, 0], [0, 0, 1], [1, 0, 0]], turned, atol=1e-12)


def test_single_axis_rotations_have_the_same_numbers_in_both_forms() -> None:
    """About one axis, roll-pitch-yaw and axis times angle agree."""
    vectors = 0.3 * np.eye(3)
    np.testing.assert_allclose(vectors, rpy_to_rotation_vector(vectors), atol=1e-12)
    np.testing.assert_allclose(vectors, rotation_vector_to_rpy(vectors), atol=1e-12)


@given(vector=triples)
def test_rotation_vector_survives_rpy(vector: tuple[float, float, float]) -> None:
    """Going to roll-pitch-yaw and back gives the same rotation."""
    assert angle_between(np.array(vector), rpy_to_rotation_vector(rotation_vector_to_rpy(vector))) < 1e-9


@given(roll=angles, yaw=angles, tilt=st.floats(-1e-6, 1e-6), sign=st.sampled_from([-1.0, 1.0]))
def test_gimbal_lock_keeps_the_rotation(roll: float, yaw: float, tilt: float, sign: float) -> None:
    """At and next to pitch ±pi/2 the angles may differ, the rotation does not."""
    vector = rpy_to_rotation_vector([roll, sign * (np.pi / 2 + tilt), yaw])
    assert angle_between(vector, rpy_to_rotation_vector(rotation_vector_to_rpy(vector))) < 1e-7


def test_shapes_beyond_one_vector_are_kept() -> None:
    """Any leading dimensions pass through."""
    rpy = np.random.default_rng(0).uniform(-1, 1, (2, 5, 3))
    np.testing.assert_allclose(rpy, rotation_vector_to_rpy(rpy_to_rotation_vector(rpy)), atol=1e-12)


@given(position=st.tuples(metres, metres, metres), start=triples, delta=st.tuples(*[st.floats(-0.5, 0.5)] * 6))
def test_relative_delta_undoes_compose(
    position: tuple[float, ...], start: tuple[float, ...], delta: tuple[float, ...]
) -> None:
    """The displacement between a pose and the pose after an action is the action."""
    quat = Rotation.from_rotvec(start).as_quat()
    moved = compose_ee_delta(position, quat, make_action(*delta))
    translation, rotation = relative_ee_delta(position, quat, *moved)
    np.testing.assert_allclose(delta, [*translation, *rotation], atol=1e-9)


def test_rotation_is_about_the_end_effector_along_base_axes() -> None:
    """A pure rotation leaves the position, and turns about the base's axis whatever the end effector's heading."""
    quat = Rotation.from_euler("z", np.pi / 2).as_quat()
    position, turned = compose_ee_delta([0.3, 0.1, 0.2], quat, make_action(0, 0, 0, 0.2, 0, 0))
    np.testing.assert_allclose([0.3, 0.1, 0.2], position)
    expected = Rotation.from_euler("x", 0.2) * Rotation.from_quat(quat)
    assert quat_distance_rad(expected.as_quat(), turned) < 1e-12


def test_a_chain_of_poses_turns_the_later_offsets() -> None:
    """A quarter turn about z carries the next frame's x offset to y, and the turns add up."""
    quarter = Pose(np.array([1.0, 0.0, 0.0]), Rotation.from_rotvec([0, 0, np.pi / 2]).as_quat())
    composed = compose_poses(quarter, quarter)
    np.testing.assert_allclose([1.0, 1.0, 0.0], composed.position_m, atol=1e-12)
    np.testing.assert_allclose(np.pi, Rotation.from_quat(composed.quat_xyzw).magnitude())


def test_a_chain_that_makes_no_sense_is_refused() -> None:
    """No pose, a number that is not finite and a quaternion without direction raise."""
    sound = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    for poses in ((), (sound, Pose(np.full(3, np.nan), sound.quat_xyzw)), (sound, Pose(np.zeros(3), np.zeros(4)))):
        with pytest.raises(InvalidInputError, match="expected"):
            compose_poses(*poses)


def test_opposite_quaternions_are_one_orientation() -> None:
    """The distance between q and -q is zero."""
    quat = Rotation.from_rotvec([0.1, 0.5, -0.3]).as_quat()
    assert quat_distance_rad(quat, -quat) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("vector", [[0.0, np.nan, 0.0], [np.inf, 0, 0], [0.0, 0.0], 1.0])
def test_unusable_angles_are_refused(vector: object) -> None:
    """Numbers that are not finite or not three raise."""
    with pytest.raises(InvalidInputError):
        rpy_to_rotation_vector(vector)
    with pytest.raises(InvalidInputError):
        rotation_vector_to_rpy(vector)


def test_zero_quaternion_is_refused() -> None:
    """A quaternion without a direction is no orientation."""
    with pytest.raises(InvalidInputError, match="unit norm"):
        compose_ee_delta(np.zeros(3), np.zeros(4), make_action(0.01))


def test_read_only_arrays_are_accepted() -> None:
    """Arrays that are handed out read-only can be used as they come."""
    vector = np.array([0.1, 0.2, 0.3])
    vector.setflags(write=False)
    np.testing.assert_allclose(vector, rpy_to_rotation_vector(rotation_vector_to_rpy(vector)), atol=1e-12)
