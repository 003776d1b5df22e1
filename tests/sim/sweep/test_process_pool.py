"""Trials in processes."""

from __future__ import annotations

from contextlib import closing

import pytest

from magma_ros.errors import EnvError, SweepError
from magma_ros.sim.sweep.plan import Trial
from magma_ros.sim.sweep.pool import InProcessPool
from magma_ros.sim.sweep.process_pool import ProcessPool
from tests.sim.sweep import toys

TRIALS = [Trial(task, seed) for task in ("reach", "hurry") for seed in range(5, 11)]


@pytest.fixture(scope="module")
def survived():
    """Trials in two processes, one of which is killed in the trial of the fatal seed of each task."""
    with closing(ProcessPool(toys.setup(make_env=toys.make_fatal_env), workers=2)) as pool:
        return list(pool.run(TRIALS))


def test_outcomes_are_those_of_a_single_process(survived):
    """Same seed, same result, whoever ran it."""
    with closing(InProcessPool(toys.setup())) as pool:
        here = toys.outcomes(pool.run(TRIALS))
    there = toys.outcomes(survived)
    assert len(TRIALS) == len(survived) == len(there)
    assert {"success", "failure"} == {result.outcome for result in here.values()}
    judged = {trial: result for trial, result in there.items() if trial.seed != toys.FATAL_SEED}
    assert judged == {trial: here[trial] for trial in judged}
    assert {"worker-0", "worker-1"} == {done.worker for done in survived}


def test_a_killed_worker_costs_its_trial_alone(survived):
    """That is recorded as an error with the signal; another worker takes over."""
    lost = [done for done in survived if done.result.outcome == "error"]
    assert [toys.FATAL_SEED] * 2 == [done.trial.seed for done in lost]
    assert {"the worker died of SIGKILL"} == {done.result.detail for done in lost}


def test_a_network_answers_all_workers_together():
    """Its runs add up, are about half as many as the environments' steps, and change no outcome."""
    policy = toys.MiddlePolicy(work=200_000)
    with closing(ProcessPool(toys.setup(make_policy=None), policy, workers=2)) as pool:
        list(pool.run(TRIALS[:2]))  # one for each worker: both are up after it
        policy.batch_sizes.clear()
        done = list(pool.run(TRIALS))
    with closing(InProcessPool(toys.setup(make_policy=None), toys.MiddlePolicy())) as pool:
        assert toys.outcomes(pool.run(TRIALS)) == toys.outcomes(done)
    num_steps = sum(record.result.num_steps for record in done)
    assert sum(policy.batch_sizes) == num_steps
    assert pytest.approx(len(policy.batch_sizes)) == sum(record.num_passes for record in done)
    assert len(policy.batch_sizes) < 0.75 * num_steps


def test_what_is_not_installed_is_refused_by_name():
    """An environment that cannot be made ends the sweep with its reason, not with an error per trial."""
    with (
        closing(ProcessPool(toys.setup(make_env=toys.make_no_env), workers=1)) as pool,
        pytest.raises(EnvError, match="not installed"),
    ):
        list(pool.run(TRIALS))


def test_workers_that_only_die_end_the_sweep():
    """After some errors in a row nobody is sent into the same fate again."""
    records = []
    with (
        closing(ProcessPool(toys.setup(make_env=toys.make_deadly_env), workers=1)) as pool,
        pytest.raises(SweepError, match="3 workers died without a finished trial, the last of SIGKILL"),
    ):
        records.extend(pool.run(TRIALS))
    assert {"error"} == {done.result.outcome for done in records}
