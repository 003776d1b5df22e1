"""Episodes per second with one and two worker processes, and runs of a network per step of the environments.

`python benchmarks/sweep.py --trials 100`; on an idle machine. Start-up does not count: it is paid once per sweep.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count, islice
from pathlib import Path

from magma_ros.load_options import LoadOptions
from magma_ros.policies import open_policy
from magma_ros.sim.envs import make_env
from magma_ros.sim.suites import BRIDGE
from magma_ros.sim.sweep.plan import Trial, TrialRecord
from magma_ros.sim.sweep.pool import InProcessPool, Pool
from magma_ros.sim.sweep.process_pool import ProcessPool
from magma_ros.sim.sweep.worker import TrialSetup, policy_of_trial

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "magma-tiny"
TASK = "carrot_on_plate"
NOTHING = partial(policy_of_trial, "noop", LoadOptions())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100, help="that are timed, of the do-nothing policy")
    parser.add_argument("--network-trials", type=int, default=6, help="of magma-tiny; 0 leaves it out")
    options = parser.parse_args()
    print_rates(options.trials)
    if options.network_trials:
        print_passes(options.network_trials)


def print_rates(num_trials: int) -> None:
    """Episodes per second of the do-nothing policy: this process, then worker processes."""
    for name, render in (("without pictures", False), ("128-px pictures", True)):
        setup = TrialSetup(BRIDGE, partial(make_env, BRIDGE, render=render), NOTHING)
        alone = 0.0
        for workers in (1, 2):
            pool: Pool = InProcessPool(setup) if workers == 1 else ProcessPool(setup, workers=workers)
            with closing(pool):
                rate = episodes_per_second(pool, workers, num_trials)
            alone = alone or rate
            print(f"noop, {name}, workers {workers}: {rate:.2f} episodes/s, {rate / alone:.2f} times one", flush=True)


def print_passes(num_trials: int) -> None:
    """Runs of magma-tiny per step of the environments, asked by one, two and four of them."""
    setup = TrialSetup(BRIDGE, partial(make_env, BRIDGE))
    outcomes: dict[str, list[str]] = {}
    with closing(open_policy(CHECKPOINT, LoadOptions())) as policy:
        pools: dict[str, Callable[[], Pool]] = {"workers 1": partial(InProcessPool, setup, policy)}
        for workers in (2, 4):
            pools[f"workers {workers}"] = partial(ProcessPool, setup, policy, workers=workers)
        pools["workers 2, one by one"] = partial(ProcessPool, setup, policy, workers=2, batched=False)
        for name, open_pool in pools.items():
            with closing(open_pool()) as pool:
                started_s = time.perf_counter()
                done = list(pool.run(Trial(TASK, seed) for seed in range(num_trials)))
            passes, steps = sum(one.num_passes for one in done), sum(one.result.num_steps for one in done)
            wall_s = time.perf_counter() - started_s
            print(f"magma-tiny, {name}: {passes / steps:.2f} passes/step, {steps / wall_s:.1f} steps/s", flush=True)
            outcomes[name] = [one.result.outcome for one in sorted(done, key=lambda one: one.trial.seed)]
    for name, found in outcomes.items():
        same = sum(one == other for one, other in zip(found, outcomes["workers 1"], strict=True))
        print(f"magma-tiny, {name}: {same} of {num_trials} outcomes as with one environment")


def episodes_per_second(pool: Pool, workers: int, num_trials: int) -> float:
    """Episodes per second once every worker has its environment."""
    trials = (Trial(TASK, seed) for seed in count())
    ready: set[str] = set()
    while len(ready) < workers:
        ready |= {done.worker for done in pool.run(islice(trials, 2 * workers))}
    started_s = time.perf_counter()
    records: Iterator[TrialRecord] = pool.run(islice(trials, num_trials))
    num_done = sum(1 for _ in records)
    return num_done / (time.perf_counter() - started_s)


if __name__ == "__main__":
    main()
