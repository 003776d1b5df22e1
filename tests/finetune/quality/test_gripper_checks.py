"""The gripper's range and polarity: openings just inside and just outside, and shifts that are no inversion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.finetune.quality import gripper
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.track import Track
from tests.finetune.quality.plain_tracks import LIMITS, plain_track, rows


def gripping(commanded: np.ndarray, measured: np.ndarray, *, index: int = 7) -> Track:
    """An arm that only opens and closes."""
    return plain_track(rows(np.zeros(len(commanded)), opening=commanded), gripper_opening=measured, index=index)


def clicks(seed: int, *, num_steps: int = 60) -> np.ndarray:
    """Openings of 0 and 1 in no order."""
    return (np.random.default_rng(seed).random(num_steps) < 0.5).astype(np.float64)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(-0.1, 1.1, None), (-0.11, 1.0, "from -0.11 to 1"), (0.0, 1.11, "from 0 to 1.11"), (0.0, 100.0, "from 0 to 100")],
)
def test_openings_may_overshoot_by_a_tenth(low: float, high: float, told: str | None) -> None:
    """Both ends, commanded and measured alike, each with its own error; the command comes first."""
    fine, odd = np.array([0.0, 1.0, 0.5]), np.array([low, high, 0.5])
    found = {
        name: list(gripper.opening_range(track, LIMITS))
        for name, track in (("commanded", gripping(odd, fine)), ("measured", gripping(fine, odd)))
    }
    for name, findings in found.items():
        shown = f"{name} openings {told}, expected 0 (closed) to 1 (open)"
        error = Finding(code="gripper_out_of_range", severity="error", episode=7, text=shown)
        assert ([] if told is None else [error]) == findings
    assert [*found["commanded"], *found["measured"]] == list(gripper.opening_range(gripping(odd, odd), LIMITS))


def test_a_gripper_that_opens_when_it_is_told_to_close_is_inverted() -> None:
    """At once or two steps later; the correlation is said."""
    told = clicks(0, num_steps=62)
    shown = "commanded and measured opening correlate by -1.00"
    expected = Finding(code="gripper_inverted", severity="error", episode=7, text=shown)
    assert [expected] == list(gripper.inverted(gripping(told, 1.0 - told), LIMITS))
    (later,) = gripper.inverted(gripping(told[2:], 1.0 - told[:-2]), LIMITS)
    assert (7, "error") == (later.episode, later.severity)


def test_a_gripper_that_does_as_it_is_told_is_not_inverted() -> None:
    """At once, two steps later, or in a rhythm in which every third step later looks inverted."""
    told = clicks(0, num_steps=62)
    rhythm = np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 11)
    for commanded, measured in ((told, told), (told[2:], told[:-2]), (rhythm, rhythm)):
        assert [] == list(gripper.inverted(gripping(commanded, measured), LIMITS))


def test_what_a_gripper_did_before_the_command_says_nothing() -> None:
    """Only a measurement that comes with the command, or after it, is an answer to it."""
    told = clicks(1, num_steps=62)
    assert [] == list(gripper.inverted(gripping(told[:-2], 1.0 - told[2:]), LIMITS))
    assert 1 == len(list(gripper.inverted(gripping(told[2:], 1.0 - told[:-2]), LIMITS)))


@pytest.mark.parametrize(("travel", "num_found"), [(0.19, 0), (0.2, 1)])
def test_a_gripper_that_hardly_moves_has_no_polarity(travel: float, num_found: int) -> None:
    """Commanded or measured, a fifth of the range is the least."""
    told = clicks(2)
    assert num_found == len(list(gripper.inverted(gripping(told, travel * (1.0 - told)), LIMITS)))
    assert num_found == len(list(gripper.inverted(gripping(travel * told, 1.0 - told), LIMITS)))


def test_a_weak_relation_and_a_short_episode_say_nothing() -> None:
    """Nine of sixty answers inverted back leave about -0.7; 16 steps are too few for lags of 0.6 s."""
    told = clicks(3)
    answer = np.where(np.arange(60) % 7 == 0, told, 1.0 - told)
    counts = {
        least: len(list(gripper.inverted(gripping(told, answer), replace(LIMITS, gripper_correlation=least))))
        for least in (0.5, 0.9)
    }
    assert {0.5: 1, 0.9: 0} == counts
    assert [] == list(gripper.inverted(gripping(told[:16], 1.0 - told[:16]), LIMITS))
    assert 1 == len(list(gripper.inverted(gripping(told[:17], 1.0 - told[:17]), LIMITS)))


def opening_later(*, start: float = 0.0, measured_start: float = 0.0, widest: float = 1.0) -> Track:
    """Three steps: shut, or nearly, then as open as the command ever is."""
    return gripping(np.array([start, 0.0, widest]), np.array([measured_start, 0.0, 1.0]))


def test_nine_of_ten_episodes_that_begin_shut_are_a_warning_about_the_dataset() -> None:
    """It may be right, so it says when; eight of ten, or two of two, are no pattern."""
    shut, open_ = opening_later(), opening_later(start=1.0)
    shown = (
        "9 of 10 episodes begin with a shut gripper and open it later: right for placing what is held from the start, "
        "else command and measurement are both inverted"
    )
    expected = Finding(code="gripper_inverted", severity="warning", text=shown)
    assert [expected] == list(gripper.starts_shut([*[shut] * 9, open_], LIMITS))
    assert [] == list(gripper.starts_shut([*[shut] * 8, open_, open_], LIMITS))
    assert [] == list(gripper.starts_shut([shut] * 2, LIMITS))
    assert 1 == len(list(gripper.starts_shut([shut] * 3, LIMITS)))
    assert [] == list(gripper.starts_shut([], LIMITS))


@pytest.mark.parametrize(
    ("given", "num_found"),
    [
        ({"start": 0.19, "measured_start": 0.19, "widest": 0.81}, 1),
        ({"start": 0.2}, 0),
        ({"measured_start": 0.2}, 0),
        ({"widest": 0.8}, 0),
    ],
)
def test_shut_is_below_a_fifth_and_open_above_four(given: dict[str, float], num_found: int) -> None:
    """Command and measurement must both begin shut, and the command must open."""
    assert num_found == len(list(gripper.starts_shut([opening_later(**given)] * 3, LIMITS)))
