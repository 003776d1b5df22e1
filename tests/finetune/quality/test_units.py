"""Radians, metres and unit quaternions: what is still plausible, and what is another unit."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.finetune.quality import units
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.track import Track
from tests.finetune.quality.plain_tracks import LIMITS, plain_track, restless, rows, travelled

STILL = rows(np.zeros(3))


def suspected(text: str) -> Finding:
    """An error of episode 7 as a whole."""
    return Finding(code="units_suspect", severity="error", episode=7, text=text)


@pytest.mark.parametrize(
    ("angles", "text"),
    [
        ([0.0, 12.6, -12.6], None),
        ([0.0, 12.7, 0.0], "joint positions up to 12.7 rad, which is 2.0 turns: degrees?"),
        ([0.0, 90.0, -720.0], "joint positions up to 720 rad, which is 114.6 turns: degrees?"),
    ],
)
def test_joints_that_turn_more_than_twice_are_in_degrees(angles: list[float], text: str | None) -> None:
    """12.6 rad are allowed, in either direction and in any joint; the farthest is named."""
    positions = np.zeros((3, 2))
    positions[:, 1] = angles
    found = list(units.joints(plain_track(STILL, joint_positions_rad=positions), LIMITS))
    assert ([] if text is None else [suspected(text)]) == found


def test_an_arm_without_measured_joints_has_none_in_degrees() -> None:
    """There is no largest number of none."""
    assert [] == list(units.joints(plain_track(STILL), LIMITS))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((3.0, -4.0, 0.0), None),
        ((3.0, -4.0, 0.2), "the end effector is measured 5.004 m from its base: millimetres?"),
    ],
)
def test_an_end_effector_farther_than_five_metres_is_in_millimetres(
    place: tuple[float, float, float], text: str | None
) -> None:
    """The distance counts, of a single step already; five metres are still metres."""
    positions = np.array([(0.3, 0.0, 0.1), place, (0.3, 0.0, 0.1)])
    found = list(units.positions(plain_track(STILL, ee_position_m=positions), LIMITS))
    assert ([] if text is None else [suspected(text)]) == found


@pytest.mark.parametrize(
    ("norms", "text"),
    [
        ([0.991, 1.0, 1.009], None),
        ([0.989, 1.0, 1.0], "the quaternions of 1 step have norms of 0.989 to 0.989"),
        ([1.0, 1.011, 1.0], "the quaternions of 1 step have norms of 1.01 to 1.01"),
        ([2.0, 1.0, 0.0], "the quaternions of 2 steps have norms of 0 to 2"),
    ],
)
def test_quaternions_are_as_long_as_one_to_a_hundredth(norms: list[float], text: str | None) -> None:
    """Too short and too long ones are counted together; good ones do not widen the range that is told."""
    quats = np.outer(norms, [0.0, 0.6, 0.0, 0.8])
    found = list(units.quaternions(plain_track(STILL, ee_quat_xyzw=quats), LIMITS))
    assert ([] if text is None else [suspected(text)]) == found


def followed(
    seed: int, *, gain: float = 1.0, turn_gain: float = 1.0, size_m: float = 0.001, size_rad: float = 0.01
) -> Track:
    """An arm whose commands are so many times its motion; sizes are the measured root mean squares of a step."""
    moved, turned = restless(seed, size=size_m), restless(seed + 100, size=size_rad)
    actions = rows(gain * moved, turn_rad=turn_gain * turned)
    return plain_track(actions, x_m=travelled(moved), yaw_rad=travelled(turned))


@pytest.mark.parametrize("gain", [1.0, 19.0, 1 / 19.0])
def test_a_controller_may_stretch_or_shorten_what_is_told(gain: float) -> None:
    """Nineteenfold in either direction is still the same unit."""
    assert [] == list(units.actions(followed(0, gain=gain, size_m=0.02), LIMITS))
    assert [] == list(units.actions(followed(0, turn_gain=gain), LIMITS))


@pytest.mark.parametrize(("gain", "shown"), [(21.0, "21"), (1000.0, "1e+03"), (1 / 25.0, "0.04")])
def test_commands_of_another_size_than_the_motion_are_in_another_unit(gain: float, shown: str) -> None:
    """More than twentyfold, or less than a twentieth; the factor is said."""
    text = f"translations are {shown} times what is measured: millimetres for metres, or the reverse?"
    assert [suspected(text)] == list(units.actions(followed(0, gain=gain, size_m=0.002), LIMITS))


def test_turns_in_degrees_are_told_from_their_measured_turn() -> None:
    """57.3 degrees are a radian; the longest of them is said as well, and translations are left in peace."""
    (found,) = units.actions(followed(1, turn_gain=57.2958, size_rad=0.02), LIMITS)
    assert ("units_suspect", "error", 7) == (found.code, found.severity, found.episode)
    assert found.text.startswith("rotations of up to ")
    assert found.text.endswith(" rad in one step, 57.3 times what is measured: degrees for radians, or the reverse?")
    assert not list(units.actions(followed(1, turn_gain=15.0, size_rad=0.02), LIMITS))


@pytest.mark.parametrize(
    ("turn_rad", "text"),
    [
        (3.14, None),
        (
            -3.15,
            "rotations of up to 3.15 rad in one step, 1 times what is measured: degrees for radians, or the reverse?",
        ),
    ],
)
def test_nothing_turns_by_more_than_half_a_turn_in_a_step(turn_rad: float, text: str | None) -> None:
    """Even where no motion was measured to compare it with."""
    found = list(units.actions(plain_track(rows(np.zeros(4), turn_rad=[0.0, 0.0, turn_rad, 0.0])), LIMITS))
    assert ([] if text is None else [suspected(text)]) == found


def test_motion_that_is_mostly_noise_has_no_unit() -> None:
    """Where neither side reaches the speed of standing still, 1 mm or 0.01 rad a step at 5 Hz, no factor counts."""
    for size, expected in ((0.00098, 0), (0.00102, 1)):
        assert expected == len(list(units.actions(followed(2, gain=1 / 25.0, size_m=size), LIMITS)))
        assert expected == len(list(units.actions(followed(2, gain=25.0, size_m=size / 25.0), LIMITS)))
        assert expected == len(list(units.actions(followed(2, turn_gain=1 / 25.0, size_rad=10 * size), LIMITS)))


def test_commands_that_the_arm_does_not_follow_have_no_unit() -> None:
    """A factor between unrelated motions means nothing, and neither does one of a short episode."""
    told, moved = restless(3, num_steps=400, size=1.0), restless(4, num_steps=400)
    unrelated = plain_track(rows(told), x_m=travelled(moved))
    assert [] == list(units.actions(unrelated, LIMITS))
    moved = restless(5, num_steps=18)
    counts = {
        num: len(list(units.actions(plain_track(rows(100 * moved[:num]), x_m=travelled(moved[:num])), LIMITS)))
        for num in (17, 18)
    }
    assert {17: 0, 18: 1} == counts


@pytest.mark.parametrize("num_steps", [18, 30, 60])
def test_short_motions_that_happen_to_look_alike_have_no_unit(num_steps: int) -> None:
    """Of a hundred unrelated pairs one may be taken for related: the best of many lags always looks a little alike."""
    counts = []
    for seed in range(100):
        told, moved = restless(seed, num_steps=num_steps), restless(seed + 1000, num_steps=num_steps)
        counts.append(len(list(units.actions(plain_track(rows(100 * told), x_m=travelled(moved)), LIMITS))))
    assert sum(counts) <= 1


def test_an_arm_that_follows_badly_still_shows_its_unit() -> None:
    """Degrees are named where more than half of the measured motion (in squares) is not the commanded one."""
    told, other = restless(6, size=0.01), restless(7, size=0.0125)
    track = plain_track(rows(np.zeros(60), turn_rad=57.2958 * told), yaw_rad=travelled(told + other))
    (found,) = units.actions(track, LIMITS)
    assert found.text.startswith("rotations of up to ")
