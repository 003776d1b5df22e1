"""One seeded trial."""

from __future__ import annotations

import math

import numpy as np

from magma_ros.controller import Controller
from magma_ros.errors import PolicyError
from magma_ros.policy import Policy
from magma_ros.sim.latency import UniformLatency
from magma_ros.sim.rollout import RolloutResult, rollout
from magma_ros.stops import Stop
from tests.examples import LIMITS, ScriptedPolicy, make_action, make_chunk
from tests.sim.toy_env import ReachPolicy, ToyEnv


def run(env: ToyEnv, policy: Policy, *, step_budget: int = 10, **options: object) -> RolloutResult:
    return rollout(env, Controller(policy, limits=LIMITS), seed=3, step_budget=step_budget, **options)


def still(value: float = 0.0) -> ScriptedPolicy:
    return ScriptedPolicy(make_chunk([make_action(value).to_array().tolist()]))


def test_reaching_the_goal_is_a_success_after_the_whole_budget() -> None:
    """The trial runs through its budget and the last step is judged."""
    env = ToyEnv()
    result = run(env, ReachPolicy(env))
    assert (result.outcome, result.num_steps, result.num_stops, result.detail) == ("success", 10, 0, "")
    assert result.flags == {"near": True}


def test_standing_still_is_a_failure() -> None:
    """A policy that does nothing fails, without an error."""
    result = run(ToyEnv(), still())
    assert result.outcome == "failure"
    assert result.flags == {"near": False}


def test_success_that_is_lost_again_is_a_failure() -> None:
    """Only the last step counts; what was seen on the way stays in the flags."""
    env = ToyEnv()
    result = run(env, ReachPolicy(env, overshoot=True))
    assert result.outcome == "failure"
    assert result.flags == {"near": True}


def test_an_exception_is_an_error_with_its_traceback() -> None:
    """A broken environment is not the policy's failure."""
    env = ToyEnv(fails_at_step=4)
    result = run(env, ReachPolicy(env))
    assert (result.outcome, result.num_steps) == ("error", 4)
    assert "RuntimeError: the physics exploded" in result.detail
    assert "Traceback" in result.detail


def test_a_failing_reset_is_an_error() -> None:
    """A trial that cannot begin is an error of no steps."""
    env = ToyEnv()
    env.close()
    result = run(env, still())
    assert (result.outcome, result.num_steps) == ("error", 0)
    assert "EnvError" in result.detail


def test_an_unexpected_exception_in_the_policy_is_an_error() -> None:
    """A fault in a policy's code is recorded, not judged."""
    assert run(ToyEnv(), ScriptedPolicy(ZeroDivisionError())).outcome == "error"


def test_a_stop_holds_the_arm_and_is_counted() -> None:
    """During a stop the arm gets no motion and the gripper's last goal; the trial goes on."""
    env = ToyEnv()
    moving = make_chunk([make_action(0.01, 0, 0, 0, 0, 0, 0.25).to_array().tolist()])
    broken = make_chunk([make_action(math.nan).to_array().tolist()])
    result = run(env, ScriptedPolicy(moving, broken, PolicyError("gone"), moving), step_budget=4)
    assert (result.num_steps, result.num_stops) == (4, 2)
    assert result.stop_reasons == {"non_finite": 1, "policy_failed": 1}
    np.testing.assert_allclose([0.01, 0.0, 0.0, 0.01], [action.translation_m[0] for action in env.actions])
    assert [action.gripper_opening for action in env.actions] == [0.25] * 4


def test_before_any_action_the_gripper_is_held_open() -> None:
    """A trial that begins with a stop keeps the hand open."""
    env = ToyEnv()
    run(env, ScriptedPolicy(PolicyError("gone")), step_budget=1)
    assert env.actions[0].gripper_opening == 1.0


def test_limited_steps_are_counted() -> None:
    """Steps that a limit shortened are reported."""
    result = run(ToyEnv(), still(0.05), step_budget=3)
    assert result.num_limited == 3


def test_settling_comes_before_the_first_policy_step() -> None:
    """Settle steps hold the arm and are not policy steps."""
    env = ToyEnv()
    policy = still(0.01)
    result = run(env, policy, step_budget=2, settle_steps=3)
    assert (result.num_steps, policy.num_inferences) == (2, 2)
    assert [action.translation_m[0] for action in env.actions] == [0.0, 0.0, 0.0, 0.01, 0.01]


def test_an_environment_may_end_a_trial() -> None:
    """When the environment truncates, the step it ended in is judged."""
    env = ToyEnv(ends_at_step=5)
    result = run(env, ReachPolicy(env))
    assert (result.outcome, result.num_steps) == ("success", 5)


def test_observer_sees_every_observation_with_its_decision() -> None:
    """A video or a log can be made without touching the loop."""
    seen: list[tuple[float, bool]] = []
    run(
        ToyEnv(),
        ScriptedPolicy(PolicyError("gone")),
        step_budget=2,
        on_step=lambda observation, decision: seen.append((observation.stamp_s, isinstance(decision, Stop))),
    )
    assert seen == [(0.0, True), (0.2, True)]


def test_the_same_seed_gives_the_same_result() -> None:
    """A trial repeats exactly."""
    env = ToyEnv()
    assert run(env, ReachPolicy(env)) == run(env, ReachPolicy(env))


def steps(*millimetres: float) -> ScriptedPolicy:
    """Steps along x, one for each time that it is asked."""
    return ScriptedPolicy(*(make_chunk([make_action(mm / 1000).to_array().tolist()]) for mm in millimetres))


def commanded_mm(env: ToyEnv) -> list[float]:
    return [round(1000 * float(action.translation_m[0]), 6) for action in env.actions]


def test_a_policy_that_takes_no_time_acts_as_if_the_world_waited() -> None:
    """A recorded policy with zero delay equals the synchronous trial, step for step."""
    recorder = ToyEnv()
    run(recorder, ReachPolicy(recorder))
    recorded = [make_chunk([action.to_array().tolist()]) for action in recorder.actions]
    waits, delayed, seen = ToyEnv(), ToyEnv(), []
    result = run(waits, ScriptedPolicy(*recorded), on_step=lambda o, d: seen.append((o.stamp_s, d)))
    again = run(
        delayed,
        ScriptedPolicy(*recorded),
        latency=UniformLatency(0.0, 0.0),
        on_step=lambda o, d: seen.append((o.stamp_s, d)),
    )
    assert (result, commanded_mm(waits)) == (again, commanded_mm(delayed))
    assert [stamp_s for stamp_s, _ in seen[:10]] == [stamp_s for stamp_s, _ in seen[10:]]
    assert result.num_inferences == 10


def test_a_thought_within_a_period_delays_every_action_by_one_step() -> None:
    """The rate stays: each action comes a step after its picture, and the first step holds."""
    env = ToyEnv()
    result = run(env, steps(1, 2, 3, 4), step_budget=4, latency=UniformLatency(0.06, 0.06))
    assert commanded_mm(env) == [0.0, 1.0, 2.0, 3.0]
    assert (result.num_inferences, result.num_stops) == (4, 0)


def test_a_thought_of_two_periods_halves_the_rate() -> None:
    """The world goes on, at rest, while the policy thinks; the next thought begins as the action does."""
    env = ToyEnv()
    result = run(env, steps(1, 2, 3, 4), step_budget=7, latency=UniformLatency(0.3, 0.3))
    assert commanded_mm(env) == [0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 3.0]
    assert result.num_inferences == 4


def test_an_answer_to_a_stale_picture_holds_the_arm() -> None:
    """What took longer than a picture may be old is a stop, as on the robot."""
    env = ToyEnv()
    result = run(env, steps(1, 2, 3), step_budget=6, latency=UniformLatency(0.7, 0.7))
    assert set(commanded_mm(env)) == {0.0}
    assert result.stop_reasons == {"stale_observation": 1}


def test_the_same_seed_draws_the_same_latencies() -> None:
    """Two trials of one seed are equal under jitter."""
    first, second = ToyEnv(), ToyEnv()
    jitter = UniformLatency(0.0, 0.5)
    run(first, steps(*range(1, 11)), latency=jitter)
    run(second, steps(*range(1, 11)), latency=jitter)
    assert commanded_mm(first) == commanded_mm(second)
    assert 0.0 in commanded_mm(first)


def test_the_step_of_the_success_is_the_one_from_which_on_it_stayed() -> None:
    """It is reported for a success, and there is none for a failure that had been one."""
    env, lost = ToyEnv(), ToyEnv()
    result = run(env, ReachPolicy(env))
    assert env.goal_x_m - 0.3 > 0.02 * (result.success_step - 1) - 0.01
    assert result.success_step < 10
    assert run(lost, ReachPolicy(lost, overshoot=True)).success_step is None


class VariedEnv(ToyEnv):
    """Its scenes depart from the usual look."""

    def reset(self, *, seed):
        observation, info = super().reset(seed=seed)
        return observation, {**info, "variant": "light"}


def test_the_variant_of_a_scene_is_kept_also_of_an_error() -> None:
    """What the environment says at the reset; one that says nothing has none."""
    env, varied = ToyEnv(), VariedEnv(fails_at_step=1)
    assert run(env, ReachPolicy(env)).variant == ""
    result = run(varied, ReachPolicy(varied))
    assert (result.outcome, result.variant) == ("error", "light")
