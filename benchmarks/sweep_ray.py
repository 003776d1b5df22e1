"""Episodes per second on Ray: two nodes of one worker each against one, all on this machine.

`python benchmarks/sweep_ray.py --trials 100`; on an idle machine. Start-up does not count: it is paid once per sweep.
"""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from functools import partial

from sweep import NOTHING, episodes_per_second

from magma_ros.sim.envs import make_env
from magma_ros.sim.suites import BRIDGE
from magma_ros.sim.sweep.ray_pool import RayPool
from magma_ros.sim.sweep.worker import TrialSetup


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100, help="that are timed, of the do-nothing policy")
    rates = ray_rates(num_trials=parser.parse_args().trials)
    for num_nodes, rate in rates.items():
        times = rate / rates[1]
        print(f"noop, without pictures, Ray nodes {num_nodes}: {rate:.2f} episodes/s, {times:.2f} times one")


def ray_rates(*, num_trials: int = 100) -> dict[int, float]:
    """Episodes per second of the do-nothing policy, without pictures, by number of nodes."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # on loopback alone
    return {num_nodes: _rate(num_nodes, num_trials) for num_nodes in (1, 2)}


def _rate(num_nodes: int, num_trials: int) -> float:
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - reads these variables

    node = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **node})
    try:
        for _ in range(num_nodes):
            cluster.add_node(num_cpus=1, **node)
        setup = TrialSetup(BRIDGE, partial(make_env, BRIDGE, render=False), NOTHING)
        with closing(RayPool(setup, address=cluster.address, workers=num_nodes)) as pool:
            return episodes_per_second(pool, num_nodes, num_trials)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
