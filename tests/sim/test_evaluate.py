"""Many rollouts and their statistics."""

from __future__ import annotations

import dataclasses
import json

import pytest

from magma_ros.errors import ContractError, EnvError
from magma_ros.sim.evaluate import Evaluation, evaluate
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.suites import Suite, Task
from tests.examples import CONTRACT, LIMITS, ScriptedPolicy, make_action, make_chunk
from tests.sim.toy_env import ReachPolicy, ToyEnv

TASK = Task("reach", "reach the line", step_budget=8, settle_steps=1, success_rule="within 1 cm")
SUITE = Suite("toy", 5.0, LIMITS, (TASK,))


def results(successes: int, failures: int, errors: int = 0) -> Evaluation:
    outcomes = ["success"] * successes + ["failure"] * failures + ["error"] * errors
    trials = tuple(RolloutResult(i, outcome, 60, 0, 0, {}, {}, "") for i, outcome in enumerate(outcomes))
    return Evaluation("magma-tiny", "bridge", "carrot_on_plate", 60, 0, trials)


def test_summary_holds_everything_that_belongs_beside_a_rate() -> None:
    """Rate, n, interval, errors, budget, settling, seeds and policy are in one line."""
    expected = (
        "success_rate 0.64 (32/50), 95% Wilson [0.50, 0.76], errors 0, step_budget 60, settle_steps 0, "
        "seeds 0..49, policy magma-tiny"
    )
    assert results(32, 18).summary() == expected


def test_errors_are_not_failures() -> None:
    """The rate is over the trials that were judged; errors are told apart."""
    evaluation = results(3, 1, errors=6)
    assert evaluation.success_rate == 0.75
    assert "(3/4)" in evaluation.summary()
    assert "errors 6" in evaluation.summary()


def test_nothing_judged_has_no_rate() -> None:
    """When every trial was an error, nothing is claimed."""
    evaluation = results(0, 0, errors=2)
    assert evaluation.success_rate is None
    assert evaluation.wilson_interval == (0.0, 1.0)
    assert evaluation.summary().startswith("success_rate n/a (0/0), 95% Wilson [0.00, 1.00], errors 2")


def test_interval_does_not_collapse_at_the_ends() -> None:
    """All or none of few trials leave room on one side."""
    low, high = results(4, 0).wilson_interval
    assert (round(low, 2), high) == (0.51, 1.0)
    assert results(0, 4).wilson_interval[1] > 0.4


def test_trials_run_their_seeds_in_order_and_are_reported_one_by_one() -> None:
    """Each seed is one trial; the observer gets each result when it is there."""
    env, seen = ToyEnv(), []
    evaluation = evaluate(
        env,
        ReachPolicy(env),
        policy_name="reach",
        suite=SUITE,
        task=TASK,
        seeds=range(5, 9),
        on_result=lambda result: seen.append(result.seed),
    )
    assert [result.seed for result in evaluation.results] == seen == [5, 6, 7, 8]
    assert evaluation.success_rate == 1.0
    assert evaluation.step_budget == 8
    assert len(env.actions) == 9


def test_an_error_in_one_trial_does_not_end_the_others() -> None:
    """Every seed gets its trial."""
    env = ToyEnv(fails_at_step=2)
    evaluation = evaluate(env, ReachPolicy(env), policy_name="reach", suite=SUITE, task=TASK, seeds=range(3))
    assert evaluation.count("error") == 3


def test_another_contract_refuses_to_start() -> None:
    """A policy whose numbers mean another motion is not evaluated at all."""
    chunk = make_chunk([make_action().to_array().tolist()])
    policy = ScriptedPolicy(chunk, contract=dataclasses.replace(CONTRACT, gripper_polarity="open_is_zero"))
    with pytest.raises(ContractError, match="gripper_polarity"):
        evaluate(ToyEnv(), policy, policy_name="other", suite=SUITE, task=TASK, seeds=[0])


def test_no_seeds_are_refused() -> None:
    """An evaluation of nothing raises."""
    env = ToyEnv()
    with pytest.raises(EnvError):
        evaluate(env, ReachPolicy(env), policy_name="reach", suite=SUITE, task=TASK, seeds=[])


def test_report_is_plain_json_with_every_trial() -> None:
    """The dictionary goes through JSON unchanged and adds up."""
    document = results(2, 1, errors=1).to_dict()
    assert json.loads(json.dumps(document)) == document
    assert (document["num_trials"], document["num_successes"]) == (4, 2)
    assert (document["num_failures"], document["num_errors"]) == (1, 1)
    assert len(document["trials"]) == 4
