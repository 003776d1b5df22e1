"""Trials on Ray: the same outcomes as in one process, whatever dies meanwhile; every cluster is this machine alone."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import closing
from functools import partial

import pytest
import ray
from ray._private import ray_constants
from ray.cluster_utils import Cluster

from magma_ros.errors import CheckpointError, EnvError, InvalidInputError, SweepError
from magma_ros.in_order import RayInOrder
from magma_ros.load_options import LoadOptions
from magma_ros.sim.envs import make_env
from magma_ros.sim.suites import BRIDGE
from magma_ros.sim.sweep import ray_pool
from magma_ros.sim.sweep.plan import Trial
from magma_ros.sim.sweep.pool import InProcessPool
from magma_ros.sim.sweep.ray_actors import EnvWorker, PolicyHost
from magma_ros.sim.sweep.ray_pool import RayPool
from magma_ros.sim.sweep.worker import TrialSetup, policy_of_trial
from tests.examples import make_observation
from tests.sim.sweep.ray_parts import DeadlyEnv, MeetingEnv, MortalPolicy, no_policy
from tests.sim.sweep.toys import MiddlePolicy, setup
from tests.squarer import Refuser

TRIALS = [Trial("reach", seed) for seed in range(8)]
NODE = {
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 80 * 2**20,
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
}
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 200, "health_check_failure_threshold": 5}


@pytest.fixture(scope="module", autouse=True)
def _ray_as_tests_want_it():
    """It listens on this machine alone, reports to nobody and kills no actor because the machine's memory is full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # the loopback interface alone
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)  # the same for this process, which has imported Ray
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        yield


@pytest.fixture(scope="module")
def cluster():
    """One node with two CPUs, which the driver belongs to; it soon notices when another one is gone."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "_system_config": QUICK, **NODE})
    yield cluster
    cluster.shutdown()


def outcomes(pool, trials=TRIALS):
    """The results of all trials; closes the pool."""
    with closing(pool):
        return by_trial(pool.run(trials))


def by_trial(records):
    """The results by trial, each of which is there once."""
    records = list(records)
    results = {record.trial: record.result for record in records}
    assert len(results) == len(records)
    return results


def test_outcomes_on_ray_are_those_of_one_process() -> None:
    """An expert ends each seed alike; Ray that a sweep starts listens to this machine alone and ends with it."""
    expert = partial(policy_of_trial, "expert", LoadOptions())
    bridge = TrialSetup(BRIDGE, partial(make_env, BRIDGE, render=False), expert)
    trials = [Trial("carrot_on_plate", seed) for seed in range(4)]
    pool = RayPool(bridge, address="local", workers=2)
    addresses = [node["NodeManagerAddress"] for node in ray.nodes()]
    assert outcomes(InProcessPool(bridge), trials) == outcomes(pool, trials)
    assert ["127.0.0.1"] == addresses
    assert not ray.is_initialized()


def test_work_on_ray_comes_in_the_order_of_its_items(cluster: Cluster) -> None:
    """Two items at a time on one process after the other; what a worker refuses comes out as it raised it."""
    with closing(RayInOrder(Refuser, address=cluster.address, workers=2, error=EnvError)) as row:
        assert [i**2 for i in range(7)] == list(row.map(range(7)))
        with pytest.raises(InvalidInputError, match="expected 0 or more, got -1"):
            list(row.map([2, -1, 3]))


def test_a_policy_in_an_actor_of_its_own_gives_the_same_outcomes(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that asks a policy elsewhere ends as an environment beside it; its passes are counted."""
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    asking = setup(make_policy=None)
    alone = outcomes(InProcessPool(asking, MiddlePolicy()))
    with closing(RayPool(asking, MiddlePolicy, address="auto", workers=1)) as pool:
        records = list(pool.run(TRIALS))
    assert alone == by_trial(records)
    assert {"success", "failure"} == {result.outcome for result in alone.values()}
    assert sum(result.num_inferences for result in alone.values()) == sum(record.num_passes for record in records)


def test_killed_workers_lose_nothing(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """A trial whose process is killed is run again; one that always kills it is an error, once, with the reason."""
    monkeypatch.setattr(ray_pool, "MAX_ATTEMPTS", 2)
    deadly = setup(make_env=partial(DeadlyEnv, deaths={0: 99, 3: 1}, folder=tmp_path))
    results = outcomes(RayPool(deadly, address=cluster.address, workers=2))
    lost = results.pop(Trial("reach", 0))
    assert ("error", 0) == (lost.outcome, lost.num_steps)
    assert "2 workers died in this trial" in lost.detail
    assert results == {trial: result for trial, result in outcomes(InProcessPool(setup())).items() if trial.seed != 0}
    assert ["0-0", "0-1", "3-0"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_node_that_comes_and_goes_loses_nothing(cluster: Cluster, tmp_path) -> None:
    """A worker without room starts on a node that joins; when that one vanishes its trial is handed out again."""
    pipe = tmp_path / "begun"
    os.mkfifo(pipe)
    kept_open = os.open(pipe, os.O_RDWR)
    env = partial(MeetingEnv, staying_node=cluster.head_node.node_id, pipe=pipe)
    pool = RayPool(setup(make_env=env), address=cluster.address, workers=3)
    joined = cluster.add_node(num_cpus=1, **NODE)
    records = pool.run(TRIALS)
    first = next(records)
    cluster.remove_node(joined, allow_graceful=False)
    results = by_trial([first, *records])
    pool.close()
    os.close(kept_open)
    assert outcomes(InProcessPool(setup())) == results


def test_a_policy_that_cannot_be_brought_up_refuses(cluster: Cluster) -> None:
    """Its own error reaches the driver before any trial, and the connection is given back."""
    with pytest.raises(CheckpointError, match="nowhere"):
        RayPool(setup(), no_policy, address=cluster.address, workers=1)
    assert not ray.is_initialized()


def test_a_policy_that_is_lost_is_no_error_of_a_trial(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its process dies again and again the sweep ends; nothing is recorded against the trials."""
    monkeypatch.setattr(ray_pool, "MAX_ATTEMPTS", 1)
    pool = RayPool(setup(make_policy=None), MortalPolicy, address=cluster.address, workers=1)
    with pytest.raises(SweepError, match="the policy was lost"):
        next(pool.run(TRIALS))
    pool.close()


def test_observations_that_wait_are_answered_together() -> None:
    """Two that ask at the same moment share one pass."""

    async def ask_both() -> list[int]:
        host = PolicyHost(MiddlePolicy, num_askers=2, batched=True)
        answers = await asyncio.gather(*(host.infer(make_observation()) for _ in range(2)))
        return [num_asked for _, num_asked in answers]

    assert [2, 2] == asyncio.run(ask_both())


def test_one_bad_observation_refuses_itself_alone() -> None:
    """The other one that waited with it gets its answer."""

    async def ask_both() -> list[object]:
        host = PolicyHost(MiddlePolicy, num_askers=2, batched=True)
        observations = [make_observation(), make_observation(proprio=None)]
        return await asyncio.gather(*map(host.infer, observations), return_exceptions=True)

    good, bad = asyncio.run(ask_both())
    assert 1 == good[1]
    assert isinstance(bad, InvalidInputError)


def test_a_node_with_other_versions_refuses() -> None:
    """A worker says whose MuJoCo differs instead of giving results that cannot be compared."""
    with pytest.raises(SweepError, match=r"'mujoco': '2\.0'"):
        EnvWorker(setup(), None).start({"mujoco": "2.0"})


def test_no_ray_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed the command to install it is named."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EnvError, match=r"pip install 'magma_ros\[ray\]'"):
        RayPool(setup(), address="local", workers=1)


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_where_nobody_answers_is_said(prefix: str) -> None:
    """The refusal names the address, within seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(EnvError, match=f"no Ray cluster answers at '{prefix}127.0.0.1:{port}'"):
        RayPool(setup(), address=f"{prefix}127.0.0.1:{port}", workers=1)


def test_numbers_out_of_range_are_refused() -> None:
    """No workers at all, or a negative share of a GPU."""
    for options in ({"workers": 0}, {"workers": 1, "gpus_per_policy": -0.5}):
        with pytest.raises(EnvError, match="expected at least 1 worker"):
            RayPool(setup(), address="local", **options)
