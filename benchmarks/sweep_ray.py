"""Trials per second on Ray: two nodes of one worker each against one node, all on this machine; a part of sweep.py."""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from itertools import count

from magma_ros.load_options import LoadOptions
from magma_ros.sim.envs import make_env
from magma_ros.sim.suites import find_suite
from magma_ros.sim.sweep.command import policy_of_trial
from magma_ros.sim.sweep.plan import Trial
from magma_ros.sim.sweep.ray_pool import RayPool
from magma_ros.sim.sweep.worker import TrialSetup

SUITE, TASK = "bridge", "carrot_on_plate"


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60, help="that are timed, of the do-nothing policy")
    rates = ray_rates(num_trials=parser.parse_args().trials)
    for num_nodes, rate in rates.items():
        print(f"{num_nodes} node(s) of one worker: {rate:.2f} trials/s, {rate / rates[1]:.2f} times one")


def ray_rates(*, num_trials: int = 60) -> dict[int, float]:
    """Trials per second of the do-nothing policy, without pictures, by number of nodes; start-up does not count."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    return {num_nodes: _rate(num_nodes, num_trials) for num_nodes in (1, 2)}


def _rate(num_nodes: int, num_trials: int) -> float:
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - reads that variable

    node = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **node})
    try:
        for _ in range(num_nodes):
            cluster.add_node(num_cpus=1, **node)
        return _time_trials(cluster.address, num_nodes, num_trials)
    finally:
        cluster.shutdown()


def _time_trials(address: str, num_workers: int, num_trials: int) -> float:
    suite = find_suite(SUITE)
    policy = partial(policy_of_trial, "noop", LoadOptions())
    setup = TrialSetup(suite, partial(make_env, suite, render=False), policy)
    pool = RayPool(setup, address=address, workers=num_workers)
    try:
        seeds, ready = count(), set[str]()
        while len(ready) < num_workers:  # every worker has its environment
            ready |= {done.worker for done in pool.run([Trial(TASK, next(seeds)) for _ in range(2 * num_workers)])}
        started_s = time.perf_counter()
        for _ in pool.run([Trial(TASK, next(seeds)) for _ in range(num_trials)]):
            pass
        return num_trials / (time.perf_counter() - started_s)
    finally:
        pool.close()


if __name__ == "__main__":
    main()
