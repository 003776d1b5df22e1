"""One tick: observation in, safe action or stop out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from magma_ros.controller import Controller
from magma_ros.errors import ActionDecodeError, ContractError, InvalidInputError, PolicyError
from magma_ros.stops import Stop, StopReason
from magma_ros.types import ActionChunk, SafeAction
from tests.examples import CONTRACT, LIMITS, ScriptedPolicy, make_action, make_chunk, make_observation


def chunk(*steps_m: float) -> ActionChunk:
    """A chunk that moves along x by each of the steps."""
    return make_chunk([make_action(step).to_array().tolist() for step in steps_m])


def drive(policy: ScriptedPolicy, *, execution_horizon: int = 1) -> Controller:
    return Controller(policy, limits=LIMITS, execution_horizon=execution_horizon)


def tick(controller: Controller, now_s: float = 10.0, **changes: object) -> SafeAction | Stop:
    return controller.tick(make_observation(**{"stamp_s": now_s, **changes}), now_s)


def assert_stops(decision: SafeAction | Stop, reason: StopReason) -> None:
    assert isinstance(decision, Stop), decision
    assert decision.reason is reason


def test_an_honest_action_comes_through() -> None:
    """The policy's action leaves the controller as a safe action."""
    decision = tick(drive(ScriptedPolicy(chunk(0.01))))
    assert isinstance(decision, SafeAction)
    assert decision.action.translation_m[0] == 0.01


def test_the_policy_is_shown_the_cameras_of_its_contract() -> None:
    """What else there is to see is not passed on; a picture that is missing is the policy's to refuse."""
    policy = ScriptedPolicy(chunk(0.01))
    (camera,) = (camera.name for camera in policy.contract.cameras)
    picture = make_observation().images[camera]
    controller = drive(policy)
    tick(controller, images={camera: picture, "wrist": picture})
    assert [camera] == list(policy.seen.images)
    tick(controller, 10.2, images={"wrist": picture})
    assert ["wrist"] == list(policy.seen.images)


def test_no_observation_stops() -> None:
    """Before the first picture the arm holds still."""
    policy = ScriptedPolicy(chunk(0.01))
    assert_stops(drive(policy).tick(None, 10.0), StopReason.NO_OBSERVATION)
    assert policy.num_inferences == 0


@pytest.mark.parametrize("instruction", ["", "  \t", "\n"])
def test_no_instruction_stops(instruction: str) -> None:
    """Without an instruction the policy is not asked."""
    policy = ScriptedPolicy(chunk(0.01))
    assert_stops(tick(drive(policy), instruction=instruction), StopReason.NO_INSTRUCTION)
    assert policy.num_inferences == 0


@pytest.mark.parametrize(
    ("stamp_s", "reason"),
    [
        (9.0, StopReason.STALE_OBSERVATION),
        (10.5, StopReason.STALE_OBSERVATION),
        (math.nan, StopReason.NON_FINITE),
    ],
)
def test_no_inference_is_spent_on_an_unusable_observation(stamp_s: float, reason: StopReason) -> None:
    """A picture that is old, from the future or without a time stops the arm before the policy is asked."""
    policy = ScriptedPolicy(chunk(0.01))
    assert_stops(tick(drive(policy), stamp_s=stamp_s), reason)
    assert policy.num_inferences == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ActionDecodeError("not an action"), StopReason.UNDECODABLE),
        (PolicyError("server gone"), StopReason.POLICY_FAILED),
        (InvalidInputError("no such camera"), StopReason.POLICY_FAILED),
    ],
)
def test_a_policy_that_refuses_stops_the_arm(error: Exception, reason: StopReason) -> None:
    """Each error of the project becomes a stop that carries its message."""
    decision = tick(drive(ScriptedPolicy(error)))
    assert_stops(decision, reason)
    assert str(error) in decision.detail


def test_a_fault_in_our_own_code_is_not_hidden() -> None:
    """An error that is not the project's own goes up to the loop, which knows what to do."""
    with pytest.raises(ZeroDivisionError):
        tick(drive(ScriptedPolicy(ZeroDivisionError())))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_actions_that_are_no_numbers_stop(value: float) -> None:
    """A policy that answers NaN or infinity stops the arm."""
    assert_stops(tick(drive(ScriptedPolicy(chunk(value)))), StopReason.NON_FINITE)


def test_a_chunk_in_another_frame_stops() -> None:
    """The frame of the chunk is the frame of its actions, and is checked."""
    policy = ScriptedPolicy(make_chunk([make_action(0.01).to_array().tolist()], frame="tool0"))
    assert_stops(tick(drive(policy)), StopReason.WRONG_FRAME)


def test_a_chunk_without_a_time_stops() -> None:
    """A policy that stamps its answer with NaN has failed."""

    class Timeless(ScriptedPolicy):
        def infer(self, observation: object) -> ActionChunk:
            return dataclasses.replace(self.answers[0], stamp_s=math.nan)

    assert_stops(tick(drive(Timeless(chunk(0.01)))), StopReason.POLICY_FAILED)


def test_policy_is_asked_once_per_execution_horizon() -> None:
    """Six ticks with three actions of each chunk need two inferences."""
    policy = ScriptedPolicy(chunk(0.001, 0.002, 0.003, 0.004))
    controller = drive(policy, execution_horizon=3)
    moved = [tick(controller, 10.0 + i * 0.2).action.translation_m[0] for i in range(6)]
    np.testing.assert_allclose([0.001, 0.002, 0.003] * 2, moved)
    assert policy.num_inferences == 2


def test_after_a_stop_the_policy_is_asked_afresh() -> None:
    """What is left of a chunk is not executed after a stop."""
    policy = ScriptedPolicy(chunk(0.001, 0.002, 0.003, 0.004))
    controller = drive(policy, execution_horizon=4)
    tick(controller, 10.0)
    assert_stops(controller.tick(None, 10.2), StopReason.NO_OBSERVATION)
    assert tick(controller, 10.4).action.translation_m[0] == 0.001
    assert policy.num_inferences == 2


def test_a_new_instruction_drops_the_old_plan() -> None:
    """Actions that were predicted for another instruction are not executed."""
    policy = ScriptedPolicy(chunk(0.001, 0.002), chunk(0.005, 0.006))
    controller = drive(policy, execution_horizon=2)
    tick(controller, 10.0, instruction="go left")
    assert tick(controller, 10.2, instruction="go right").action.translation_m[0] == 0.005


def test_telemetry_shows_the_chunk_and_what_it_was_made_from() -> None:
    """The newest chunk and its observation can be read; a reset forgets them."""
    controller = drive(ScriptedPolicy(chunk(0.01)))
    assert controller.last_chunk is None
    observation = make_observation()
    controller.tick(observation, 10.0)
    assert controller.last_observation is observation
    assert controller.last_chunk.stamp_s == 10.0
    controller.reset()
    assert controller.last_chunk is None
    assert controller.last_observation is None


def test_reset_reaches_policy_chunk_and_safety() -> None:
    """A new episode starts at rest, without a plan, with a policy that forgot the last one."""
    policy = ScriptedPolicy(chunk(0.03), chunk(-0.03))
    controller = drive(policy)
    tick(controller, 10.0)
    controller.reset()
    assert policy.num_inferences == 0
    policy.answers = (chunk(-0.03),)
    assert isinstance(tick(controller, 10.2), SafeAction)


def test_limits_that_do_not_fit_the_contract_are_refused() -> None:
    """A workspace in another frame than the policy's actions raises at construction."""
    policy = ScriptedPolicy(chunk(0.01), contract=dataclasses.replace(CONTRACT, frame="tool0"))
    with pytest.raises(ContractError):
        drive(policy)


def test_horizon_below_one_is_refused() -> None:
    """At least one action of each chunk is executed."""
    with pytest.raises(InvalidInputError):
        drive(ScriptedPolicy(chunk(0.01)), execution_horizon=0)
