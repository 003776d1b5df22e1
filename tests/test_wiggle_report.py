"""Every way in which a driver can be wrong is told from every other, over sizes, noise and lag."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros.errors import InvalidInputError
from magma_ros.sim.kinematic_arm import FAULTS
from magma_ros.wiggle_report import AXES, Finding, Trial, Verdict, judge, report

AMPLITUDES = (0.02, 0.02, 0.02, math.radians(5), math.radians(5), math.radians(5))
RIGHT = np.eye(3)


def trials(
    linear: np.ndarray = RIGHT,
    angular: np.ndarray = RIGHT,
    *,
    axes: tuple[str, ...] = AXES,
    noise_m: float = 0.0,
    noise_rad: float = 0.0,
    seed: int = 0,
) -> list[Trial]:
    """What an arm measures that makes these of what it is told."""
    found, rng = [], np.random.default_rng(seed)
    for axis in axes:
        index = AXES.index(axis)
        commanded = np.zeros(6)
        commanded[index] = AMPLITUDES[index]
        measured = np.concatenate([linear @ commanded[:3], angular @ commanded[3:]])
        measured += np.concatenate([rng.normal(0, noise_m, 3), rng.normal(0, noise_rad, 3)])
        found.append(Trial(axis, commanded, measured, noise_m, noise_rad))
    return found


def verdicts(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.verdict.value for finding in findings]


def test_an_arm_that_does_what_it_is_told_is_ok() -> None:
    """Six axes, six times ok, and nothing to say."""
    found = judge(trials())
    assert ["ok"] * 6 == verdicts(found)
    assert {""} == {finding.detail for finding in found}


@pytest.mark.parametrize("gain", [0.8, 1.2])
def test_a_fifth_more_or_less_is_lag_and_no_fault(gain: float) -> None:
    """Controllers that are not closed on the pose end a little short of it."""
    assert ["ok"] * 6 == verdicts(judge(trials(gain * RIGHT, gain * RIGHT)))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("swapped_axes", ["swapped", "swapped", "ok"] * 2),
        ("wrong_sign", ["ok", "ok", "wrong sign"] * 2),
        ("m_as_mm", ["wrong unit"] * 3 + ["ok"] * 3),
        ("mm_as_m", ["wrong unit"] * 3 + ["ok"] * 3),
        ("rad_as_deg", ["ok"] * 3 + ["wrong unit"] * 3),
        ("deg_as_rad", ["ok"] * 3 + ["wrong unit"] * 3),
        ("rotated_base", ["wrong frame", "wrong frame", "ok"] * 2),
        ("dead_axis", ["ok", "no motion", "ok"] * 2),
        ("none", ["ok"] * 6),
    ],
)
def test_every_fault_of_the_stand_in_is_named(fault: str, expected: list[str]) -> None:
    """The deliberate faults of sim/kinematic_arm.py are told apart, and no other axis is accused."""
    found = judge(trials(FAULTS[fault].linear, FAULTS[fault].angular))
    assert expected == verdicts(found)


def test_the_sentences_say_what_to_look_for() -> None:
    """The other axis, the units and the frame's turn are named."""
    swapped = judge(trials(RIGHT[[1, 0, 2]], RIGHT))
    assert ["moves y instead", "moves x instead"] == [finding.detail for finding in swapped[:2]]
    assert "metres are taken as millimetres" in judge(trials(RIGHT / 1000))[0].detail
    assert "millimetres are taken as metres" in judge(trials(RIGHT * 1000))[0].detail
    assert "radians are taken as degrees" in judge(trials(RIGHT, np.radians(RIGHT)))[3].detail
    turned = judge(trials(Rotation.from_euler("z", 90, degrees=True).as_matrix()))
    assert "turned by 90 degrees about (+0.00, +0.00, +1.00)" in turned[0].detail


def test_a_reversed_swap_says_so() -> None:
    """An x that moves y backwards is a swap with a sign, unless a rotation explains all."""
    found = judge(trials(np.array([[0, 1, 0], [-1, 0, 0], [0, 0, -1]], dtype=float)))
    assert ["swapped", "swapped", "wrong sign"] == verdicts(found)[:3]
    assert "moves reversed y instead" == found[0].detail


def test_two_wrong_signs_are_half_a_turn() -> None:
    """Signs of x and y reversed, as between base and base_link of a UR, are a frame turned by 180 degrees."""
    found = judge(trials(np.diag([-1.0, -1.0, 1.0])))
    assert ["wrong frame", "wrong frame", "ok"] == verdicts(found)[:3]
    assert "180 degrees" in found[0].detail


def test_one_axis_alone_is_no_frame() -> None:
    """With only two axes known, a turned frame can't be told from a swap, and the swap is reported."""
    turned = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    assert ["swapped", "swapped"] == verdicts(judge(trials(turned, axes=("x", "y"))))


def test_a_frame_in_another_unit_is_both() -> None:
    """A rotated frame that is also a thousand times too small says both."""
    found = judge(trials(Rotation.from_euler("x", 90, degrees=True).as_matrix() / 1000))
    assert ["wrong unit", "wrong frame", "wrong frame"] == verdicts(found)[:3]
    assert "millimetres" in found[1].detail


def test_a_turn_about_another_point_is_named_with_its_distance() -> None:
    """A driver that turns the flange, 0.1 m away, moves the end effector's origin along an arc."""
    turn = Trial("pitch", np.eye(6)[4] * 0.087, np.array([0.0087, 0, 0, 0, 0.087, 0]))
    (found,) = judge([turn])
    assert Verdict.WRONG_CENTRE is found.verdict
    assert "0.100 m away" in found.detail


@pytest.mark.parametrize("share", [0.7, 1.0, 2.0])
def test_a_unit_is_found_while_the_controller_corrects(share: float) -> None:
    """A setpoint that is far ahead of the arm is followed harder than commanded: a unit's ratio is not met exactly."""
    found = judge(trials(share * RIGHT / 1000, share * np.radians(RIGHT)))
    assert ["wrong unit"] * 6 == verdicts(found)


def test_half_of_the_motion_is_a_wrong_size() -> None:
    """Neither ok nor a unit."""
    found = judge(trials(0.5 * RIGHT))
    assert ["wrong size"] * 3 == verdicts(found)[:3]
    assert "moves 0.50 times as far" == found[0].detail


def test_a_runaway_that_was_stopped_is_a_unit() -> None:
    """Its full size is not known, only that it was far more than commanded."""
    (found,) = judge([Trial("x", np.eye(6)[0] * 0.0005, np.eye(6)[0] * 0.008)])
    assert Verdict.WRONG_UNIT is found.verdict
    assert "16 times as far until it was stopped" in found.detail


def test_a_tremor_is_no_motion() -> None:
    """Neither noise nor a sag of 2 % is a motion."""
    assert ["no motion"] * 6 == verdicts(judge(trials(0 * RIGHT, 0 * RIGHT, noise_m=1e-4, noise_rad=1e-3)))
    assert "no motion" == judge(trials(0.02 * RIGHT))[0].verdict.value
    assert "no motion" == judge([Trial("y", np.eye(6)[1] * 0.02, np.eye(6)[0] * -1.2e-5)])[0].verdict.value


@given(st.sampled_from(sorted(FAULTS)), st.integers(0, 10**6), st.floats(0, 5e-4), st.floats(0, 3e-3))
@example("rad_as_deg", 5417, 0.0, 0.00021439392779533067)  # turns of 1.5 mrad that noise bent all to one side
def test_noise_makes_no_verdict_wrong(fault: str, seed: int, noise_m: float, noise_rad: float) -> None:
    """With noise of up to 0.5 mm and 0.17 degrees, a fault is found and only what hides in the noise looks dead."""
    linear, angular = FAULTS[fault].linear, FAULTS[fault].angular
    exact = judge(trials(linear, angular))
    noisy = judge(trials(linear, angular, noise_m=noise_m, noise_rad=noise_rad, seed=seed))
    for clean, found in zip(exact, noisy, strict=True):
        hidden = clean.verdict is Verdict.WRONG_UNIT and np.linalg.norm(clean.trial.response) < 1
        assert found.verdict is clean.verdict or (
            hidden and found.verdict in (Verdict.NO_MOTION, Verdict.NOT_ALONG_AXIS)
        )


@given(st.floats(30, 180), st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1))
def test_any_turned_frame_is_found(angle_deg: float, axis: tuple[float, float, float]) -> None:
    """A frame turned by 30 degrees or more about any axis is never ok, and no axis is blamed but for the frame."""
    turn = Rotation.from_rotvec(math.radians(angle_deg) * np.array(axis) / np.linalg.norm(axis)).as_matrix()
    found = set(verdicts(judge(trials(turn, turn))))
    assert "wrong frame" in found
    assert found <= {"wrong frame", "ok"}


def test_a_tool_that_is_mounted_aslant_is_a_frame() -> None:
    """A turn of 15 degrees about z, too little to take x for y, is found."""
    found = judge(trials(Rotation.from_euler("z", 15, degrees=True).as_matrix()))
    assert ["wrong frame", "wrong frame", "ok"] == verdicts(found)[:3]


def test_the_table_has_a_line_for_each_axis() -> None:
    """Commanded and measured in millimetres and degrees, what went across, and the verdict."""
    _, first, *_, last = report(judge(trials())).splitlines()
    assert ["x", "+20.00", "mm", "+20.000", "+0.000", "+0.000", "0%", "ok"] == first.split()
    assert ["yaw", "+5.00", "deg", "+0.000", "+0.000", "+5.000", "0%", "ok"] == last.split()


@pytest.mark.parametrize(
    ("axis", "commanded", "measured"),
    [("w", np.eye(6)[0], np.zeros(6)), ("x", np.zeros(6), np.zeros(6)), ("x", np.eye(6)[0], np.full(6, math.nan))],
)
def test_a_trial_that_is_none_is_refused(axis: str, commanded: np.ndarray, measured: np.ndarray) -> None:
    """No such axis, nothing commanded along it, or numbers that are none."""
    with pytest.raises(InvalidInputError):
        Trial(axis, commanded, measured)


def test_an_axis_is_judged_once() -> None:
    """Two trials of one axis have no common verdict."""
    with pytest.raises(InvalidInputError, match="each axis once"):
        judge([*trials(), *trials()])
