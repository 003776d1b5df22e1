"""Pauses, blocked motion, steps beyond the contract, clipping, jumps and offsets: each limit from both sides."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from magma_ros.contract import CameraSpec
from magma_ros.finetune.quality import motion
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.track import Track
from tests.examples import CONTRACT
from tests.finetune.quality.plain_tracks import LIMITS, plain_track, restless, rows, travelled

CREEPING_M, CREEPING_RAD = 0.00099, 0.0099
"""Just below 5 mm/s and 0.05 rad/s, at 5 Hz."""
SLOW_M, SLOW_RAD = 0.00101, 0.0101
"""Just above."""


def test_ten_still_steps_at_5_hz_are_a_pause_and_nine_are_none() -> None:
    """Two seconds, between the first of eleven pictures and the last; the last action has no measurement after it."""
    expected = Finding(code="idle", severity="warning", episode=7, steps=(0, 9), text="nothing moves for 2.0 s")
    assert [expected] == list(motion.idle(plain_track(rows(np.zeros(11))), LIMITS))
    assert [] == list(motion.idle(plain_track(rows(np.zeros(10))), LIMITS))
    assert [] == list(motion.idle(plain_track(rows(np.zeros(1))), LIMITS))


@pytest.mark.parametrize(
    ("commanded_m", "commanded_rad", "measured_m", "measured_rad", "num_pauses"),
    [
        (CREEPING_M, CREEPING_RAD, CREEPING_M, CREEPING_RAD, 1),
        (SLOW_M, 0.0, 0.0, 0.0, 0),
        (0.0, SLOW_RAD, 0.0, 0.0, 0),
        (0.0, 0.0, SLOW_M, 0.0, 0),
        (0.0, 0.0, 0.0, SLOW_RAD, 0),
    ],
)
def test_a_pause_has_neither_commanded_nor_measured_motion(
    commanded_m: float, commanded_rad: float, measured_m: float, measured_rad: float, num_pauses: int
) -> None:
    """A translation or a turn just faster than standing still is enough, on either side."""
    actions = rows(np.full(15, commanded_m), turn_rad=commanded_rad)
    track = plain_track(actions, x_m=measured_m * np.arange(15), yaw_rad=measured_rad * np.arange(15))
    assert num_pauses == len(list(motion.idle(track, LIMITS)))


def test_telling_the_gripper_to_move_ends_a_pause() -> None:
    """At step 11 of 22: eleven steps before are a pause, nine after are none; a fifth of the range is no telling."""
    opening = np.where(np.arange(22) < 11, 1.0, 0.0)
    (found,) = motion.idle(plain_track(rows(np.zeros(22), opening=opening)), LIMITS)
    assert (0, 10) == found.steps
    (found,) = motion.idle(plain_track(rows(np.zeros(22), opening=0.2 * (1.0 - opening))), LIMITS)
    assert (0, 20) == found.steps
    found_steps = [f.steps for f in motion.idle(plain_track(rows(np.zeros(22), opening=0.21 * opening)), LIMITS)]
    assert [(0, 10)] == found_steps


def test_five_blocked_steps_at_5_hz_are_stuck_and_four_are_not() -> None:
    """One second; the text says how much was asked for and how much came."""
    blocked = rows(np.where(np.arange(8) < 5, 0.01, 0.0))
    shown = "50 mm of motion are commanded and 0.0 mm measured"
    expected = Finding(code="stuck", severity="warning", episode=7, steps=(0, 4), text=shown)
    assert [expected] == list(motion.stuck(plain_track(blocked), LIMITS))
    assert [] == list(motion.stuck(plain_track(rows(np.where(np.arange(8) < 4, 0.01, 0.0))), LIMITS))


def test_a_slow_robot_is_stuck_after_three_steps_and_no_sooner() -> None:
    """At 2 Hz a second is two steps, which could be the start-up lag."""
    contract = replace(CONTRACT, control_rate_hz=2.0)
    counts = {
        num: len(
            list(motion.stuck(plain_track(rows(np.where(np.arange(8) < num, 0.02, 0)), contract=contract), LIMITS))
        )
        for num in (2, 3)
    }
    assert {2: 0, 3: 1} == counts


def test_the_last_action_is_never_stuck() -> None:
    """Nobody measured what came of it: of five commanded steps at the end, four are known to be blocked."""
    assert [] == list(motion.stuck(plain_track(rows(np.where(np.arange(8) >= 3, 0.01, 0.0))), LIMITS))


@pytest.mark.parametrize(
    ("commanded_m", "commanded_rad", "measured_m", "measured_rad", "text"),
    [
        (0.009, 0.0, 0.00088, 0.0, "45 mm of motion are commanded and 4.4 mm measured"),
        (0.009, 0.0, 0.00091, 0.0, None),
        (0.003, 0.05, 0.0, 0.0, "40 mm of motion are commanded and 0.0 mm measured"),
        (0.01, 0.0, 0.0004, 0.004, "50 mm of motion are commanded and 4.0 mm measured"),
        (0.01, 0.0, 0.0007, 0.004, None),
        (0.05, 0.0, SLOW_M, 0.0, None),
        (CREEPING_M, 0.0, 0.0, 0.0, None),
    ],
)
def test_stuck_is_a_tenth_of_the_commanded_way(
    commanded_m: float, commanded_rad: float, measured_m: float, measured_rad: float, text: str | None
) -> None:
    """Turns count with a lever of 0.1 m on both sides; what still moves, or was told to creep, is not stuck."""
    actions = rows(np.full(6, commanded_m), turn_rad=commanded_rad)
    track = plain_track(actions, x_m=measured_m * np.arange(6), yaw_rad=measured_rad * np.arange(6))
    assert ([] if text is None else [text]) == [finding.text for finding in motion.stuck(track, LIMITS)]


def test_cameras_that_the_contract_promises_are_named_where_they_are_missing() -> None:
    """All of them in one error, which concerns no step in particular."""
    cameras = tuple(CameraSpec(name, 32, 48) for name in ("wrist", "image", "top"))
    track = plain_track(rows(np.zeros(3)), contract=replace(CONTRACT, cameras=cameras))
    shown = "no camera wrist, top; available image"
    assert [Finding(code="out_of_contract", severity="error", episode=7, text=shown)] == list(
        motion.out_of_contract(track, LIMITS)
    )


def test_steps_longer_than_the_contracts_are_counted_and_measured() -> None:
    """6 cm and 0.5 rad are allowed; the error spans the first and the last step beyond, and says the longest."""
    actions = rows(np.zeros(12))
    actions[[3, 9], 0] = (0.0612, -0.08)
    actions[5, 3:6] = (0.3, -0.4, 0.1)
    long, turned = motion.out_of_contract(plain_track(actions), LIMITS)
    assert ("error", 7, (3, 9)) == (long.severity, long.episode, long.steps)
    assert "2 steps with a translation beyond 0.06 m, up to 0.08 m" == long.text
    assert ("error", 7, (5, 5)) == (turned.severity, turned.episode, turned.steps)
    assert "1 step with a rotation beyond 0.5 rad, up to 0.5099 rad" == turned.text


def test_a_millionth_beyond_the_contract_is_rounding() -> None:
    """As it comes of 32-bit floats; the length of the vector counts, not its numbers."""
    allowed, too_long = (plain_track(rows([0.06 * share, 0.0])) for share in (1.0 + 0.9e-6, 1.0 + 1.2e-6))
    assert [] == list(motion.out_of_contract(allowed, LIMITS))
    assert 1 == len(list(motion.out_of_contract(too_long, LIMITS)))
    diagonal = rows([0.05, 0.0])
    diagonal[0, 1] = 0.05
    assert 1 == len(list(motion.out_of_contract(plain_track(diagonal), LIMITS)))


def saturated_texts(lengths_m: list[float], **given: object) -> list[str]:
    """What is said about these translations, one a step."""
    found = list(motion.saturated(plain_track(rows(lengths_m), **given), LIMITS))  # type: ignore[arg-type]
    assert all(("saturated", "warning", 7, None) == (f.code, f.severity, f.episode, f.steps) for f in found)
    return [finding.text for finding in found]


def test_more_than_three_of_ten_moving_steps_at_the_limit_are_saturated() -> None:
    """Steps at rest do not dilute them."""
    expected = "the translation of 4 of 10 moving steps is at the limit of 0.06 m"
    assert [expected] == saturated_texts([0.06] * 4 + [0.02] * 6 + [0.0] * 40)
    assert [] == saturated_texts([0.06] * 3 + [0.02] * 7)


def test_a_step_is_at_the_limit_within_one_percent_and_not_beyond() -> None:
    """99.2 % is at it, 98.8 % is below; what is longer is another fault."""
    assert 1 == len(saturated_texts([0.0595] * 5))
    assert [] == saturated_texts([0.0593] * 5)
    assert [] == saturated_texts([0.061] * 5)
    assert [] == saturated_texts([0.0] * 5)
    assert [] == saturated_texts([0.0005] * 5, contract=replace(CONTRACT, max_translation_m=0.0005))


def test_turns_saturate_by_themselves() -> None:
    """Every one of four, whatever the translation does."""
    track = plain_track(rows(np.full(4, 0.01), turn_rad=-0.5))
    assert ["the rotation of 4 of 4 moving steps is at the limit of 0.5 rad"] == [
        finding.text for finding in motion.saturated(track, LIMITS)
    ]


def test_a_measured_step_of_more_than_four_longest_ones_is_a_jump() -> None:
    """24 cm where 6 cm are allowed is none; neighbouring jumps are one finding, with the larger of them."""
    assert [] == list(motion.jumps(plain_track(rows(np.zeros(4)), x_m=[0.0, 0.24, 0.24, 0.24]), LIMITS))
    track = plain_track(rows(np.zeros(6)), x_m=[0.0, 0.0, 0.25, -0.25, -0.25, 0.25])
    jumped = "the measured position jumps by 0.5 m in one step"
    assert [((1, 3), jumped), ((4, 5), jumped)] == [(f.steps, f.text) for f in motion.jumps(track, LIMITS)]
    assert {("outlier", "warning", 7)} == {(f.code, f.severity, f.episode) for f in motion.jumps(track, LIMITS)}


def shifted(steps: int, *, seed: int) -> Track:
    """An arm that does what it is told `steps` later; a negative number: earlier."""
    told = restless(seed, num_steps=70)
    return plain_track(rows(told[5:65]), x_m=travelled(told[5 - steps : 65 - steps]), index=seed)


def test_the_response_is_best_where_the_arm_follows() -> None:
    """Two steps after the command; an arm that stands still, and an episode that is short, have no response."""
    curve = motion.response(shifted(2, seed=0))
    assert curve is not None
    assert (5, 7) == (curve.reach, int(np.argmax(curve.values)))
    assert curve.values[7] > 0.99
    assert motion.response(plain_track(rows(restless(0)))) is None
    assert motion.response(plain_track(rows(restless(0)[:17]), x_m=travelled(restless(0)[:17]))) is None


@pytest.mark.parametrize(
    ("steps", "severity", "text"),
    [
        (
            3,
            "warning",
            r"^measured motion follows its action by 3\.0 steps \((59\d|60\d) ms; correlation 1\.00, 8 episodes\)$",
        ),
        (
            -1,
            "error",
            r"^measured motion precedes its action by [01]\.[09] steps \((19\d|20\d) ms; correlation 1\.00, 8 ep",
        ),
    ],
)
def test_an_offset_of_all_episodes_is_one_finding(steps: int, severity: str, text: str) -> None:
    """It says which comes first, by how much, and how sure that is; no episode is named as well."""
    (found,) = motion.offset([shifted(steps, seed=seed) for seed in range(8)], LIMITS)
    assert ("action_state_offset", severity, None, None) == (found.code, found.severity, found.episode, found.steps)
    assert re.search(text, found.text), found.text


@pytest.mark.parametrize(
    ("steps", "limit", "tolerated", "found"),
    [
        (3, "offset_late_steps", 3.5, 2.5),
        (3, "offset_late_s", 0.7, 0.5),
        (-1, "offset_early_steps", 1.5, 0.5),
    ],
)
def test_an_offset_counts_from_its_threshold_on(steps: int, limit: str, tolerated: float, found: float) -> None:
    """In steps and in seconds, at 5 Hz; the larger of both for a late arm."""
    tracks = [shifted(steps, seed=seed) for seed in range(8)]
    counts = [len(list(motion.offset(tracks, replace(LIMITS, **{limit: value})))) for value in (tolerated, found)]
    assert [0, 1] == counts


def test_arms_that_follow_at_once_or_a_step_later_have_no_offset() -> None:
    """Nor has a dataset without episodes."""
    for steps in (0, 1):
        assert [] == list(motion.offset([shifted(steps, seed=seed) for seed in range(8)], LIMITS))
    assert [] == list(motion.offset([], LIMITS))


def test_one_shifted_episode_among_others_is_named_alone() -> None:
    """The dataset as a whole has no offset."""
    (found,) = motion.offset([shifted(3 if seed == 5 else 0, seed=seed) for seed in range(8)], LIMITS)
    assert ("warning", 5) == (found.severity, found.episode)
    assert found.text.endswith(", 1 episode)")
