"""Steps of a wiggle fit the arm, an arm off its path is noticed while a late one is not, and rest is a mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.errors import ContractError, InvalidInputError
from magma_ros.safety import SafetyFilter
from magma_ros.types import Action, Pose, SafeAction
from magma_ros.wiggle_motion import WiggleMotion, no_room, off_path, rest_of, wiggle_contract
from magma_ros.wiggle_report import AXES

MOTION = WiggleMotion()
START = Pose(np.array([0.3, 0.0, 0.2]), np.array([0.0, 0.0, 0.0, 1.0]))


@pytest.mark.parametrize("name", arms.available())
@pytest.mark.parametrize("axis", AXES)
def test_every_arm_takes_the_steps_as_they_are(name: str, axis: str) -> None:
    """The safety filter passes each step unshortened, and together they are the displacement."""
    arm = arms.load(name)
    wanted = MOTION.displacement(axis)
    contract = wiggle_contract(arm)
    limits = arms.safety_limits(arm, contract)
    steps = MOTION.steps(wanted, limits)
    np.testing.assert_allclose(wanted, np.sum(steps, axis=0))
    checked = SafetyFilter(limits, contract)
    for step in steps:
        action = Action(step[:3], step[3:], 1.0, arm.frames.base)
        verdict = checked.filter(action, stamp_s=1.0, now_s=1.0, ee_position_m=np.array(arm.home.ee_position_m))
        assert isinstance(verdict, SafeAction), verdict
        assert () == verdict.limited_by


def test_speed_decides_the_number_of_steps() -> None:
    """2 cm at 2 cm/s and 5 Hz are five steps; at 1 cm/s ten."""
    arm = arms.load("stand_in")
    limits = arms.safety_limits(arm, wiggle_contract(arm))
    for speed_m_s, count in ((0.02, 5), (0.01, 10)):
        motion = WiggleMotion(speed_m_s=speed_m_s)
        assert count == len(motion.steps(motion.displacement("x"), limits))


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ([0.0, 0.0, 0.0], False),
        ([0.01, 0.0, 0.0], False),
        ([0.02, 0.0, 0.0], False),
        ([0.025, 0.0, 0.0], False),
        ([0.0, 0.007, 0.0], True),
        ([-0.007, 0.0, 0.0], True),
        ([0.027, 0.0, 0.0], True),
        ([0.01, 0.0, -0.007], True),
    ],
)
def test_beside_before_and_beyond_is_off_the_path(moved: list[float], *, expected: bool) -> None:
    """A late arm is on its path; 7 mm beside it, behind its start or beyond its end is not."""
    measured = Pose(START.position_m + moved, START.quat_xyzw)
    assert expected is off_path(START, MOTION.displacement("x"), measured)


def test_a_turn_about_another_axis_is_off_the_path() -> None:
    """Two degrees about y are not part of five about x, whatever the origin does; three degrees about x are."""
    for axis, angle_deg, expected in (("x", 3.0, False), ("y", 2.0, True), ("x", -2.0, True)):
        turn = Rotation.from_euler(axis, angle_deg, degrees=True).as_quat()
        measured = Pose(START.position_m + 0.01, turn)
        assert expected is off_path(START, MOTION.displacement("roll"), measured)


def test_rest_is_the_mean_and_its_uncertainty() -> None:
    """A hundred measurements with noise give the pose to a tenth of that noise, and say so."""
    rng = np.random.default_rng(seed=1)
    poses = [
        Pose(START.position_m + rng.normal(0, 1e-3, 3), Rotation.from_rotvec(rng.normal(0, 1e-2, 3)).as_quat())
        for _ in range(100)
    ]
    found = rest_of(poses)
    assert np.linalg.norm(found.pose.position_m - START.position_m) < 5e-4
    assert math.sqrt(3) * 1e-4 == pytest.approx(found.noise_m, rel=0.2)
    assert math.sqrt(3) * 1e-3 == pytest.approx(found.noise_rad, rel=0.2)
    with pytest.raises(InvalidInputError, match="at least one"):
        rest_of([])


def test_room_is_asked_for_before_anything_moves() -> None:
    """Inside the box there is nothing to say; at its edge, and for a pose in millimetres, there is."""
    arm = arms.load("stand_in")
    assert "" == no_room(arm, START.position_m, MOTION, AXES)
    assert "to spare" in no_room(arm, np.array([0.49, 0.0, 0.2]), MOTION, AXES)
    assert "" == no_room(arm, np.array([0.49, 0.0, 0.2]), MOTION, ("y", "roll"))
    assert "wrong unit" in no_room(arm, START.position_m * 1000, MOTION, AXES)


@pytest.mark.parametrize("wrong", [{"distance_m": 0.2}, {"angle_deg": math.nan}, {"speed_m_s": 0.0}])
def test_a_wiggle_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    """Too far, not finite, at rest; and an axis that there is not."""
    with pytest.raises(ContractError, match=next(iter(wrong))):
        WiggleMotion(**wrong)
    with pytest.raises(ContractError, match="axes"):
        MOTION.displacement("w")
