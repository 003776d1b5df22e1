"""Limits between a policy and an arm: one test per fault, each of which ends in `Stop`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import ContractError
from magma_ros.safety import GRIPPER_SLACK, SafetyFilter, SafetyLimits
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Action, SafeAction
from tests.examples import CONTRACT, LIMITS, make_action

NOW_S = 10.0
HOME_M = [0.3, 0.0, 0.2]
steps = st.floats(-0.1, 0.1)


def ask(
    safety: SafetyFilter,
    action: Action,
    *,
    stamp_s: float = NOW_S,
    now_s: float = NOW_S,
    position_m: list[float] | None = HOME_M,
    entropy_nats: float = 0.0,
) -> SafeAction | Stop:
    position = None if position_m is None else np.array(position_m)
    return safety.filter(action, stamp_s=stamp_s, now_s=now_s, ee_position_m=position, entropy_nats=entropy_nats)


def judge(action: Action, **circumstances: Any) -> SafeAction | Stop:
    return ask(SafetyFilter(LIMITS, CONTRACT), action, **circumstances)


def assert_stops(decision: SafeAction | Stop, reason: StopReason) -> None:
    assert isinstance(decision, Stop), decision
    assert decision.reason is reason
    assert decision.detail


def test_a_harmless_action_passes_unchanged() -> None:
    """Inside all limits, the action is the policy's own."""
    action = make_action(0.01, -0.01, 0.005, 0.05, 0.0, -0.05, 0.3)
    decision = judge(action)
    assert isinstance(decision, SafeAction)
    assert decision.limited_by == ()
    np.testing.assert_array_equal(action.to_array(), decision.action.to_array())


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_stop(index: int, value: float) -> None:
    """One NaN or infinity in any column stops the arm."""
    row = np.zeros(7)
    row[index] = value
    assert_stops(judge(Action.from_array(row, frame="base_link")), StopReason.NON_FINITE)


@pytest.mark.parametrize("frame", ["tool0", "", "Base_link"])
def test_another_frame_stops(frame: str) -> None:
    """A displacement along other axes than the contract's stops the arm."""
    assert_stops(judge(make_action(0.01, frame=frame)), StopReason.WRONG_FRAME)


@pytest.mark.parametrize("now_s", [10.51, 1e9])
def test_old_observation_stops(now_s: float) -> None:
    """A picture that is older than allowed stops the arm."""
    assert_stops(judge(make_action(), now_s=now_s), StopReason.STALE_OBSERVATION)


def test_observation_from_the_future_stops() -> None:
    """A picture that is stamped well after now stops the arm; a small difference of clocks does not."""
    decision = judge(make_action(), now_s=9.8)
    assert_stops(decision, StopReason.STALE_OBSERVATION)
    assert "0.200 s in the future" in decision.detail
    assert isinstance(judge(make_action(), now_s=9.95), SafeAction)


@pytest.mark.parametrize(("stamp_s", "now_s"), [(math.nan, 10.0), (10.0, math.nan), (math.inf, 10.0)])
def test_time_that_is_no_number_stops(stamp_s: float, now_s: float) -> None:
    """A stamp or a clock that cannot be compared stops the arm."""
    decision = judge(make_action(), stamp_s=stamp_s, now_s=now_s)
    assert_stops(decision, StopReason.NON_FINITE)


@pytest.mark.parametrize("row", [(0.05, 0.05, 0.0), (0.0, 0.0, 0.0, 0.4, 0.4, 0.0), (1e6,)])
def test_steps_beyond_the_contract_stop(row: tuple[float, ...]) -> None:
    """A step that is longer than the contract allows is refused, not shortened."""
    assert_stops(judge(make_action(*row)), StopReason.OUT_OF_CONTRACT)


@pytest.mark.parametrize("opening", [-0.06, 1.06, 255.0])
def test_gripper_far_outside_its_range_stops(opening: float) -> None:
    """A gripper goal that cannot be an opening stops the arm."""
    assert_stops(judge(make_action(0, 0, 0, 0, 0, 0, opening)), StopReason.OUT_OF_CONTRACT)


@pytest.mark.parametrize(("opening", "expected"), [(-0.04, 0.0), (1.04, 1.0), (0.996, 0.996)])
def test_gripper_just_outside_is_clipped(opening: float, expected: float) -> None:
    """Rounding around 0 and 1 does not stop the arm."""
    decision = judge(make_action(0, 0, 0, 0, 0, 0, opening))
    assert isinstance(decision, SafeAction)
    assert decision.action.gripper_opening == expected


def test_missing_proprio_stops_when_there_is_a_workspace() -> None:
    """Without a measured position nothing can be said about the box."""
    decision = judge(make_action(), position_m=None)
    assert_stops(decision, StopReason.NO_PROPRIO)


def test_proprio_that_is_no_number_stops() -> None:
    """A measured position of NaN stops the arm."""
    assert_stops(judge(make_action(), position_m=[math.nan, 0.0, 0.2]), StopReason.NON_FINITE)


def test_without_a_workspace_no_proprio_is_needed() -> None:
    """An arm that measures nothing can be driven without a box."""
    limits = dataclasses.replace(LIMITS, workspace_min_m=None, workspace_max_m=None)
    decision = ask(SafetyFilter(limits, CONTRACT), make_action(0.01), position_m=None)
    assert isinstance(decision, SafeAction)


@pytest.mark.parametrize(
    ("position_m", "step"),
    [([0.53, 0.0, 0.2], (0.01,)), ([0.07, 0.0, 0.2], (-0.01,)), ([0.3, 0.0, -0.03], (0.0, 0.0, -0.001))],
)
def test_leading_further_out_of_the_workspace_stops(position_m: list[float], step: tuple[float, ...]) -> None:
    """An arm that is outside the box by more than the margin may not go on outwards."""
    assert_stops(judge(make_action(*step), position_m=position_m), StopReason.OUTSIDE_WORKSPACE)


@pytest.mark.parametrize(
    ("position_m", "step"),
    [([0.6, 0.0, 0.2], (-0.02,)), ([0.6, 0.0, 0.2], (0.0, 0.02)), ([0.3, 0.0, -0.1], (0.02,)), ([0.3, 0.0, -0.1], ())],
)
def test_the_way_back_into_the_workspace_is_open(position_m: list[float], step: tuple[float, ...]) -> None:
    """From outside, an action that leads back or along the wall passes unchanged."""
    decision = judge(make_action(*step), position_m=position_m)
    assert isinstance(decision, SafeAction)
    assert decision.limited_by == ()
    np.testing.assert_array_equal([*step, *[0.0] * (3 - len(step))], decision.action.translation_m)


def test_what_is_exactly_at_a_limit_is_within_it() -> None:
    """The longest step, the widest slack of the gripper, the oldest picture and the greatest change all pass."""
    limits = dataclasses.replace(LIMITS, max_step_change_m=0.03, entropy_slow_nats=2.0, entropy_hold_nats=4.0)
    action = make_action(CONTRACT.max_translation_m, 0, 0, CONTRACT.max_rotation_rad, 0, 0, 1.0 + GRIPPER_SLACK)
    age = {"stamp_s": 8.0, "now_s": 8.5}
    decision = ask(SafetyFilter(limits, CONTRACT), action, entropy_nats=4.0, **age)
    assert isinstance(decision, SafeAction)
    assert decision.limited_by == ("entropy", "rotation_step")
    np.testing.assert_allclose([0.03, 0, 0, 0.2, 0, 0, 1.0], decision.action.to_array(), atol=1e-12)


def test_actions_are_cut_at_the_wall() -> None:
    """Only the component that would leave the box is shortened, exactly to the wall."""
    decision = judge(make_action(0.02, 0.01), position_m=[0.49, 0.0, 0.2])
    assert isinstance(decision, SafeAction)
    assert decision.limited_by == ("workspace",)
    np.testing.assert_allclose([0.01, 0.01, 0.0], decision.action.translation_m, atol=1e-12)


@pytest.mark.parametrize(("x_m", "step_m"), [(0.51, 0.01), (0.09, -0.01)])
def test_inside_the_margin_outward_motion_is_zero(x_m: float, step_m: float) -> None:
    """Slightly outside the box, outward components are taken out, nothing is turned around, and the rest goes on."""
    decision = judge(make_action(step_m, 0.01), position_m=[x_m, 0.0, 0.2])
    assert isinstance(decision, SafeAction)
    np.testing.assert_allclose([0.0, 0.01, 0.0], decision.action.translation_m, atol=1e-12)


def test_long_steps_are_shortened_along_their_direction() -> None:
    """A step that is longer than the arm's limit keeps its direction."""
    decision = judge(make_action(0.03, 0.04, 0.0, 0.3, 0.0, 0.0))
    assert isinstance(decision, SafeAction)
    assert decision.limited_by == ("translation_step", "rotation_step")
    np.testing.assert_allclose([0.018, 0.024, 0.0], decision.action.translation_m, atol=1e-12)
    np.testing.assert_allclose([0.2, 0.0, 0.0], decision.action.rotation_vector_rad, atol=1e-12)


def test_sudden_change_of_motion_stops() -> None:
    """Turning around at full speed is a discontinuity."""
    safety = SafetyFilter(LIMITS, CONTRACT)
    assert isinstance(ask(safety, make_action(0.03)), SafeAction)
    assert_stops(ask(safety, make_action(-0.03)), StopReason.DISCONTINUITY)


def test_after_a_stop_and_after_reset_the_arm_is_at_rest() -> None:
    """The change of motion is measured against rest again, so that one jump does not stop the arm for ever."""
    safety = SafetyFilter(LIMITS, CONTRACT)
    ask(safety, make_action(0.03))
    ask(safety, make_action(-0.03))
    assert isinstance(ask(safety, make_action(-0.03)), SafeAction)
    safety.reset()
    assert isinstance(ask(safety, make_action(0.03)), SafeAction)


@given(
    row=st.tuples(steps, steps, steps, *[st.floats(-1, 1)] * 3, st.floats(-0.2, 1.2)),
    position=st.tuples(st.floats(0.0, 0.6), st.floats(-0.4, 0.4), st.floats(-0.1, 0.5)),
)
def test_whatever_passes_is_within_every_limit(row: tuple[float, ...], position: tuple[float, ...]) -> None:
    """No action comes out that is too long, leads out of the box, or asks the gripper for the impossible."""
    decision = judge(make_action(*row), position_m=list(position))
    if isinstance(decision, Stop):
        return
    action, place = decision.action, np.array(position)
    assert np.linalg.norm(action.translation_m) <= LIMITS.max_translation_step_m + 1e-12
    assert np.linalg.norm(action.rotation_vector_rad) <= LIMITS.max_rotation_step_rad + 1e-12
    assert 0.0 <= action.gripper_opening <= 1.0
    low, high = np.array(LIMITS.workspace_min_m), np.array(LIMITS.workspace_max_m)
    after = place + action.translation_m
    assert (after >= np.minimum(low, place) - 1e-12).all()
    assert (after <= np.maximum(high, place) + 1e-12).all()


def test_the_callers_action_is_not_changed() -> None:
    """Limiting makes a new action."""
    action = make_action(0.05)
    judge(action)
    assert action.translation_m[0] == 0.05


@pytest.mark.parametrize(
    "changes",
    [
        {"max_translation_step_m": 0.0},
        {"max_rotation_step_rad": -1.0},
        {"max_observation_age_s": math.nan},
        {"max_step_change_m": math.inf},
        {"workspace_min_m": None},
        {"workspace_max_m": (0.5, 0.3, -0.1)},
        {"workspace_max_m": (0.5, 0.3, math.nan)},
        {"workspace_max_m": (0.5, 0.3)},
        {"workspace_min_m": (0.1, -0.3)},
        {"workspace_min_m": (0.1, -0.3, 0.0, 0.0), "workspace_max_m": (0.5, 0.3, 0.4, 1.0)},
        {"workspace_max_m": (0.1, 0.3, 0.4)},
        {"entropy_slow_nats": 0.0},
        {"workspace_margin_m": -0.01},
        {"table_height_m": math.nan},
        {"entropy_slow_nats": 4.0, "entropy_hold_nats": 3.0},
        {"entropy_slow_nats": math.nan},
    ],
)
def test_meaningless_limits_are_refused(changes: dict[str, object]) -> None:
    """Zero, negative or unbounded limits and a box without an inside cannot be set."""
    with pytest.raises(ContractError):
        dataclasses.replace(LIMITS, **changes)


def test_workspace_in_another_frame_is_refused() -> None:
    """A box along other axes than the actions' cannot be checked, so that it cannot be set."""
    with pytest.raises(ContractError, match="tool0"):
        SafetyFilter(LIMITS, dataclasses.replace(CONTRACT, frame="tool0"))


def test_limits_without_a_box_fit_any_frame() -> None:
    """Limits on the step alone hold in every frame."""
    limits = SafetyLimits(0.03, 0.2, 0.5, 0.05)
    safety = SafetyFilter(limits, dataclasses.replace(CONTRACT, frame="tool0"))
    decision = ask(safety, make_action(0.01, frame="tool0"))
    assert isinstance(decision, SafeAction)


def test_every_reason_is_a_word_for_a_status_message() -> None:
    """Reasons are lower-case words, all different."""
    values = [reason.value for reason in StopReason]
    assert len(set(values)) == len(values)
    assert all(value == value.lower() and value.replace("_", "").isalpha() for value in values)


def test_observation_can_be_judged_before_asking_a_policy() -> None:
    """A fresh observation has no objection; a stale one does, before any inference is spent on it."""
    safety = SafetyFilter(LIMITS, CONTRACT)
    assert safety.check_age(NOW_S, NOW_S) is None
    assert_stops(safety.check_age(NOW_S, 11.0), StopReason.STALE_OBSERVATION)


def test_the_first_step_from_rest_may_not_jump() -> None:
    """A first step longer than an allowed change is a jump at the start, later ones a discontinuity."""
    limits = dataclasses.replace(LIMITS, max_step_change_m=0.02)
    assert_stops(ask(SafetyFilter(limits, CONTRACT), make_action(0.03)), StopReason.START_JUMP)


def test_below_the_table_only_the_way_up_is_open() -> None:
    """An end effector that is lower than the table's top by more than the margin may only rise."""
    limits = dataclasses.replace(LIMITS, table_height_m=0.05)
    low = [0.3, 0.0, 0.02]
    for action in (make_action(0.01), make_action(0, 0, -0.001)):
        decision = ask(SafetyFilter(limits, CONTRACT), action, position_m=low)
        assert_stops(decision, StopReason.BELOW_TABLE)
        assert "0.0200 m, the table's top at 0.05 m" in decision.detail
    assert isinstance(ask(SafetyFilter(limits, CONTRACT), make_action(0, 0, 0.01), position_m=low), SafeAction)


@pytest.mark.parametrize(("table_m", "box_m", "floor_m"), [(0.05, 0.0, 0.05), (-0.05, 0.0, 0.0), (0.0, 0.05, 0.05)])
def test_the_higher_of_table_and_box_is_the_floor(table_m: float, box_m: float, floor_m: float) -> None:
    """A step down ends there, whichever of the two it is."""
    limits = dataclasses.replace(LIMITS, table_height_m=table_m, workspace_min_m=(0.1, -0.3, box_m))
    position_m = [0.3, 0.0, floor_m + 0.01]
    decision = ask(SafetyFilter(limits, CONTRACT), make_action(0, 0, -0.02), position_m=position_m)
    assert isinstance(decision, SafeAction)
    np.testing.assert_allclose([0.0, 0.0, -0.01], decision.action.translation_m, atol=1e-12)


def test_a_table_without_a_box_needs_a_measured_position() -> None:
    """With a table alone, an unmeasured arm may not move."""
    limits = dataclasses.replace(LIMITS, workspace_min_m=None, workspace_max_m=None, table_height_m=0.0)
    assert_stops(ask(SafetyFilter(limits, CONTRACT), make_action(), position_m=None), StopReason.NO_PROPRIO)


def test_a_doubtful_action_is_halved_and_a_random_one_stops() -> None:
    """Between the two entropies the displacement is half of what was wanted, above the second nothing moves."""
    safety = SafetyFilter(dataclasses.replace(LIMITS, entropy_slow_nats=2.0, entropy_hold_nats=4.0), CONTRACT)
    action = make_action(0.02, 0, 0, 0.1)
    sure, slow = ask(safety, action, entropy_nats=2.0), ask(safety, action, entropy_nats=2.1)
    assert isinstance(sure, SafeAction)
    assert isinstance(slow, SafeAction)
    assert (0.02, ()) == (sure.action.translation_m[0], sure.limited_by)
    assert (0.01, ("entropy",)) == (slow.action.translation_m[0], slow.limited_by)
    assert (0.1, 0.05) == (sure.action.rotation_vector_rad[0], slow.action.rotation_vector_rad[0])
    assert_stops(ask(safety, make_action(0.02), entropy_nats=4.1), StopReason.HIGH_ENTROPY)
