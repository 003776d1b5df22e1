"""Pictures of a recording become steps: which are known, which an action answers, and where the arm went."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.bag_contents import Contents, Shot, Taken
from magma_ros.finetune.importers.bag_steps import action_topics, answered, known_shots, moved, poses_at
from magma_ros.finetune.importers.series import Series
from tests.examples import CONTRACT

SIM = arms.load("sim")
JOINTS = (*SIM.home.joints, SIM.gripper.joint)
QUARTERS = replace(CONTRACT, control_rate_hz=4.0)
"""A period of 0.25 s, whose multiples are exact."""


def shots_at(*times_s: float, by_person: bool = False) -> list[Shot]:
    """Pictures without a camera."""
    return [Shot(time_s, {}, by_person) for time_s in times_s]


def acted_at(*times_s: float) -> Contents:
    """Actions whose first number is their place; a person did every other."""
    rows = np.zeros((len(times_s), 7))
    rows[:, 0] = np.arange(len(times_s))
    taken = [Taken(time_s, rows[i], by_person=i % 2 == 1) for i, time_s in enumerate(times_s)]
    return Contents(actions={"/taken_action": taken})


def paired(contents: Contents, *times_s: float, max_age_s: float = 0.25) -> list[tuple[float, int]]:
    """Time of each step's picture, and which action it has."""
    steps = answered(contents, shots_at(*times_s), topic="/taken_action", max_age_s=max_age_s)
    assert [bool(place % 2) for place in steps.actions[:, 0]] == list(steps.by_person)
    return list(zip(steps.times_s.tolist(), steps.actions[:, 0].astype(int).tolist(), strict=True))


def test_actions_are_looked_for_where_they_were_checked() -> None:
    """What was taken first, then what the arm was sent; what the policy wanted only if that is asked for."""
    assert ["taken_action", "ee_delta"] == action_topics(SIM, "commanded")
    assert ["taken_action", "ee_delta"] == action_topics(SIM, "measured")
    assert ["policy_action"] == action_topics(SIM, "policy")
    driven = arms.load("wx250s")
    assert "ee_delta" != driven.output.kind
    assert ["taken_action"] == action_topics(driven, "commanded")


def test_an_action_answers_the_newest_picture_before_it() -> None:
    """At the picture's own moment or later, and the picture without an action is no step."""
    assert [(1.0, 0), (1.5, 1), (1.75, 2)] == paired(acted_at(1.0, 1.625, 1.75), 1.0, 1.25, 1.5, 1.75, 2.0)


def test_stamps_that_differ_by_a_rounding_are_one_moment() -> None:
    """Half a microsecond early is still the picture's answer; two are the picture's before it."""
    assert [(1.25, 0)] == paired(acted_at(1.25 - 5e-7), 1.0, 1.25)
    assert [(1.0, 0)] == paired(acted_at(1.25 - 2e-6), 1.0, 1.25)


@pytest.mark.parametrize(("last_s", "expected"), [(5.25, [(5.0, 4)]), (5.251, [(4.0, 3)])])
def test_an_answer_may_be_as_old_as_the_limit(last_s: float, expected: list[tuple[float, int]]) -> None:
    """A quarter of a second exactly, and not a millisecond more."""
    assert expected == paired(acted_at(1.0, 2.0, 3.0, 4.0, last_s), 1.0, 2.0, 3.0, 4.0, 5.0)[-1:]


@pytest.mark.parametrize("left_out", [0.5, 1.125])
def test_one_action_in_five_may_have_no_picture_of_its_own(left_out: float, caplog: pytest.LogCaptureFixture) -> None:
    """One before all pictures, or a second one after the same picture, is left out and told."""
    times = sorted([1.0, 2.0, 3.0, 4.0, left_out])
    with caplog.at_level(logging.WARNING):
        found = paired(acted_at(*times), 1.0, 2.0, 3.0, 4.0)
    assert [(1.0, times.index(1.0)), (2.0, 2), (3.0, 3), (4.0, 4)] == found
    assert [
        "/taken_action: 1 of 5 actions have no new picture and state before them and are left out"
    ] == caplog.messages


def test_more_than_one_in_five_is_refused() -> None:
    """Two of nine are 22 %: the camera is too slow, or stamped late."""
    pictures = [float(second) for second in range(1, 8)]
    message = (
        "/taken_action: 2 of 9 actions have no new picture and state before them: is the camera slower than the "
        "control rate, or stamped late?"
    )
    with pytest.raises(ImportDataError, match=f"^{re.escape(message)}$"):
        paired(acted_at(0.5, 0.75, *pictures), *pictures)


def test_nothing_is_told_where_every_action_has_its_picture(caplog: pytest.LogCaptureFixture) -> None:
    """Nor where there is no action: no steps, of the right width."""
    assert [(1.0, 0)] == paired(acted_at(1.1), 1.0, 2.0)
    steps = answered(acted_at(), shots_at(1.0), topic="/taken_action", max_age_s=1.0)
    assert ((0, 7), 0, 0) == (steps.actions.shape, len(steps.shots), len(steps.by_person))
    assert [] == caplog.messages


def measured(*times_s: float, speed_m_s: float = 0.04, turn_rad_s: float = 0.4) -> Contents:
    """An arm that goes along x, turns about z and closes at a tenth a second; every joint is measured."""
    contents = Contents(joints={name: [(t, 1.0 - 0.1 * t) for t in times_s] for name in JOINTS})
    for t in times_s:
        quat = Rotation.from_rotvec([0.0, 0.0, turn_rad_s * t]).as_quat()
        contents.poses[t] = np.array([speed_m_s * t, 0.0, 0.5, *quat])
    return contents


def known_times(contents: Contents, *times_s: float) -> list[float]:
    """Of the pictures that are kept."""
    return [shot.stamp_s for shot in known_shots(replace(contents, shots=shots_at(*times_s)), SIM)]


def test_pictures_between_measurements_are_known_and_others_are_not() -> None:
    """Not before the first, not after the last, and not in a gap of more than 0.6 s, the arm's own limit."""
    contents = measured(1.0, 1.5, 2.25, 2.5)
    assert [1.0, 1.25, 1.5, 2.25, 2.5] == known_times(contents, 0.875, 1.0, 1.25, 1.5, 1.875, 2.25, 2.5, 2.625)
    assert [] == known_times(contents)


@pytest.mark.parametrize("name", ["pose", SIM.home.joints[-1], SIM.gripper.joint])
def test_a_picture_is_known_where_everything_was_measured(name: str) -> None:
    """What only one joint, the gripper or the pose lacks is enough to leave it out."""
    contents = measured(1.0, 1.5, 2.0)
    if name == "pose":
        del contents.poses[2.0]
    else:
        del contents.joints[name][-1]
    assert [1.0, 1.25] == known_times(contents, 1.0, 1.25, 1.75)


def test_a_measured_action_is_where_the_arm_went_until_the_next_picture() -> None:
    """A centimetre and a tenth of a radian in a quarter of a second, and the opening of the next picture."""
    contents = measured(0.0, 2.0)
    steps = moved(contents, shots_at(0.0, 0.125, 0.25, 0.375, 0.5, by_person=True), SIM, QUARTERS)
    assert [0.0, 0.25] == steps.times_s.tolist()
    np.testing.assert_allclose(np.tile([0.01, 0, 0, 0, 0, 0.1], (2, 1)), steps.actions[:, :6], atol=1e-12)
    np.testing.assert_allclose([0.975, 0.95], steps.actions[:, 6], atol=1e-12)
    assert [True, True] == list(steps.by_person)


@pytest.mark.parametrize(("next_s", "expected"), [(0.375, [0.0, 0.375]), (0.376, [0.376])])
def test_a_next_picture_after_one_and_a_half_periods_is_no_next_step(next_s: float, expected: list[float]) -> None:
    """0.375 s at 4 Hz is late and 0.376 s is a gap: the step before the gap is left out, the one after it stays."""
    pictures = [*shots_at(0.0), *shots_at(next_s, by_person=True), *shots_at(next_s + 0.25)]
    steps = moved(measured(0.0, 2.0), pictures, SIM, QUARTERS)
    assert expected == steps.times_s.tolist()
    assert len(expected) == len(steps.actions)
    assert [False, True][-len(expected) :] == list(steps.by_person)


@pytest.mark.parametrize("times_s", [(), (0.0,), (0.0, 0.125)])
def test_a_single_picture_at_the_control_rate_has_no_step(times_s: tuple[float, ...]) -> None:
    """There is no next one to go to."""
    steps = moved(measured(0.0, 2.0), shots_at(*times_s), SIM, QUARTERS)
    assert (0, (0, 7), 0) == (len(steps.shots), steps.actions.shape, len(steps.by_person))


def test_poses_between_samples_are_on_the_line_and_on_the_turn() -> None:
    """Positions linear, quaternions of unit length on the shortest turn."""
    quats = Rotation.from_rotvec([[0.0, 0.0, 0.0], [1.2, 0.0, 0.0]]).as_quat()
    series = Series.of([0.0, 1.0], np.concatenate([[[1.0, 2.0, 3.0], [2.0, 4.0, 3.0]], quats], axis=1))
    places, found = poses_at(series, np.array([0.25]))
    np.testing.assert_allclose([[1.25, 2.5, 3.0]], places)
    np.testing.assert_allclose([[np.sin(0.15), 0.0, 0.0, np.cos(0.15)]], found, atol=1e-12)
