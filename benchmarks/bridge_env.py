"""Control steps per second of the Bridge environment, with and without rendering; prints one line each.

Run on an idle machine: `python benchmarks/bridge_env.py --steps 500`.
"""

import argparse
import os
import platform
import statistics
import time
from itertools import product

from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.experts import expert_for
from magma_ros.sim.bridge.tasks import TASKS

SIZES_PX = (None, 128, 256)
"""Sides of the picture; None draws none."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="control steps measured in each run")
    parser.add_argument("--runs", type=int, default=3, help="runs; the median is printed with the range")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=["carrot_on_plate"])
    options = parser.parse_args()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}")
    for task, size_px in product(options.tasks, SIZES_PX):
        rates = [steps_per_second(task, size_px, num_steps=options.steps) for _ in range(options.runs)]
        spread = f"[{min(rates):.1f}, {max(rates):.1f}]"
        label = "no camera" if size_px is None else f"one {size_px} px camera"
        print(f"bridge {task}, {label}: {statistics.median(rates):.1f} control steps/s {spread}")


def steps_per_second(task: str, size_px: int | None, *, num_steps: int) -> float:
    """Rate of `BridgeEnv.step` alone, over trials of the expert; resets and the expert's own time are left out."""
    env = BridgeEnv(task, render=size_px is not None, image_size_px=size_px or 128)
    expert = expert_for(env)
    spent_s = 0.0
    for index in range(num_steps):
        if index % env.task.step_budget == 0:
            env.reset(seed=index // env.task.step_budget)
        action = expert.act()
        started_s = time.perf_counter()
        env.step(action)
        spent_s += time.perf_counter() - started_s
    env.close()
    return num_steps / spent_s


if __name__ == "__main__":
    main()
