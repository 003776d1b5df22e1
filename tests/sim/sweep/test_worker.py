"""Trials one after the other, as every pool's workers run them."""

from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest

from magma_ros.controller import Controller
from magma_ros.errors import ContractError, EnvError, ServerGoneError
from magma_ros.load_options import LoadOptions
from magma_ros.sim.latency import UniformLatency
from magma_ros.sim.rollout import rollout
from magma_ros.sim.suites import BRIDGE
from magma_ros.sim.sweep.plan import Trial
from magma_ros.sim.sweep.worker import AskedPolicy, TrialRunner, policy_of_trial
from tests.examples import CONTRACT, LIMITS, ScriptedPolicy, make_action, make_chunk
from tests.sim.sweep import toys
from tests.sim.toy_env import ToyEnv


def run(setup, *trials, policy=None):
    """The records of these trials, by one runner."""
    runner = TrialRunner(setup, policy, name="somebody")
    try:
        return [runner.run(trial) for trial in trials]
    finally:
        runner.close()


def test_a_trial_is_a_rollout_of_its_task_and_nothing_else():
    """Budget, settling, limits and latency are the protocol's; the result is the one of `rollout`."""
    latency = UniformLatency(0.1, 0.5)
    (done,) = run(toys.setup(latency=latency, make_policy=None), Trial("reach", 4), policy=toys.MiddlePolicy())
    controller = Controller(toys.MiddlePolicy(), limits=LIMITS)
    expected = rollout(ToyEnv(), controller, seed=4, step_budget=8, settle_steps=1, latency=latency)
    assert expected == done.result
    assert (Trial("reach", 4), "somebody") == (done.trial, done.worker)
    assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(done.started_at) < timedelta(minutes=1)
    assert 0 < done.wall_s < 60


def test_chunks_are_executed_as_far_as_was_asked():
    """With an execution horizon of two, the policy is asked every other step."""
    chunk = make_chunk([make_action().to_array().tolist()] * 2, stamp_s=0.0)
    policy = ScriptedPolicy(chunk)
    (done,) = run(toys.setup(execution_horizon=2, make_policy=None), Trial("reach", 1), policy=policy)
    assert (8, 4) == (done.result.num_steps, done.result.num_inferences)


def test_an_environment_serves_the_trials_of_one_task():
    """It is made once for a task, anew for another one, and after an error."""
    made = []

    def make_env(task):
        made.append(ToyEnv(fails_at_step=2 if len(made) == 2 else None))
        return made[-1]

    trials = [Trial("reach", 1), Trial("reach", 2), Trial("hurry", 1), Trial("reach", 1), Trial("reach", 2)]
    done = run(toys.setup(make_env=make_env), *trials)
    assert ["success", "success", "success", "error", "success"] == [record.result.outcome for record in done]
    assert 4 == len(made)
    for env in made:
        with pytest.raises(EnvError, match="closed"):
            env.reset(seed=0)


def test_a_policy_of_a_trial_depends_on_its_seed_alone():
    """`random` draws the same in any order of trials, and something else for another seed."""
    steps = {}

    class Spy(ToyEnv):
        def reset(self, *, seed):
            steps[seed] = []
            self._seed = seed
            return super().reset(seed=seed)

        def step(self, action):
            steps[self._seed].append(action.to_array())
            return super().step(action)

    setup = toys.setup(make_env=lambda task: Spy(), make_policy=partial(policy_of_trial, "random", LoadOptions()))
    run(setup, Trial("hurry", 1), Trial("hurry", 2))
    first = dict(steps)
    run(setup, Trial("hurry", 2), Trial("hurry", 1))
    np.testing.assert_array_equal(first[1], steps[1])
    np.testing.assert_array_equal(first[2], steps[2])
    assert not np.array_equal(steps[1], steps[2])


def test_a_policy_of_another_contract_refuses_to_start():
    """A policy whose numbers mean another motion is not evaluated at all."""
    chunk = make_chunk([make_action().to_array().tolist()])
    policy = ScriptedPolicy(chunk, contract=dataclasses.replace(CONTRACT, gripper_polarity="open_is_zero"))
    with pytest.raises(ContractError, match="gripper_polarity"):
        run(toys.setup(make_policy=None), Trial("reach", 1), policy=policy)


def test_a_server_that_was_gone_is_an_error_and_not_a_failure():
    """The policy is not blamed for its network."""
    policy = ScriptedPolicy(ServerGoneError("nobody answers"))
    (done,) = run(toys.setup(make_policy=None), Trial("reach", 1), policy=policy)
    assert ("error", None) == (done.result.outcome, done.result.success_step)
    assert "no policy server in 8 steps" == done.result.detail


def test_passes_are_shares_of_the_runs_of_a_network():
    """An answer that was found together with three others is a quarter of a pass; each trial counts from 0."""
    toy = toys.MiddlePolicy()
    policy = AskedPolicy(toy.contract, lambda observation: (toy.infer(observation), 4))
    done = run(toys.setup(make_policy=None), Trial("reach", 1), Trial("hurry", 1), policy=policy)
    assert [2.0, 0.75] == [record.num_passes for record in done]
    (alone,) = run(toys.setup(make_policy=None), Trial("reach", 1), policy=toy)
    assert 8.0 == alone.num_passes
    (scripted,) = run(toys.setup(), Trial("reach", 1))
    assert 0.0 == scripted.num_passes


def test_a_film_is_left_behind_when_asked(tmp_path):
    """One animated picture per trial, by task and seed."""
    run(toys.setup(films=tmp_path), Trial("reach", 1), Trial("hurry", 2))
    assert ["hurry-2.webp", "reach-1.webp"] == sorted(path.name for path in (tmp_path / "films").iterdir())


def test_a_protocol_crosses_into_another_process():
    """What workers are told can be pickled, and an observation too."""
    setup = toys.setup(suite=BRIDGE)
    assert setup == pickle.loads(pickle.dumps(setup))  # noqa: S301 - own bytes
    seen, _ = ToyEnv().reset(seed=1)
    again = pickle.loads(pickle.dumps(seen))  # noqa: S301 - own bytes
    assert (seen.instruction, seen.stamp_s) == (again.instruction, again.stamp_s)
    np.testing.assert_array_equal(seen.images["image"], again.images["image"])
    np.testing.assert_array_equal(seen.proprio.ee_position_m, again.proprio.ee_position_m)
