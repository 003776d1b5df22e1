"""Speed of the LIBERO environment: creation, resets, and steps with and without pictures; prints a table.

Run on an idle machine: `make libero && .venv/bin/python benchmarks/libero_env.py`.
"""

import argparse
import os
import platform
import statistics
import time
from typing import Any

import numpy as np

from magma_ros.sim.libero.convention import FRAME
from magma_ros.sim.libero.env import LiberoEnv
from magma_ros.sim.libero.protocol import AGENTVIEW, CAMERAS
from magma_ros.sim.suites import find_suite
from magma_ros.types import Action, Observation

NUM_RESETS = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="libero_spatial", help="whose first task is measured")
    parser.add_argument("--steps", type=int, default=60, help="control steps measured in each row; the median counts")
    options = parser.parse_args()
    task = find_suite(options.suite).tasks[0].name
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}; {task}\n")
    print("| pictures | create [s] | reset and settle [s] | step [ms] | steps/s |")
    print("|---|---|---|---|---|")
    LiberoEnv(options.suite, task, render=False).close()  # imports and compiled code are in place from here on
    print(row("none", options.suite, task, options.steps, render=False))
    for cameras in ((AGENTVIEW,), CAMERAS):
        for size_px in (128, 256):
            for mode in ("evaluation", "collection"):
                label = f"{' + '.join(cameras)}, {size_px} px, {mode}"
                settings = {"cameras": cameras, "image_size_px": size_px, "fast": mode == "collection"}
                print(row(label, options.suite, task, options.steps, **settings), flush=True)


def row(label: str, suite: str, task: str, num_steps: int, **settings: Any) -> str:
    """One line of the table: medians over resets and over steps of small random motions."""
    started_s = time.perf_counter()
    env = LiberoEnv(suite, task, **settings)
    created_s = time.perf_counter() - started_s
    resets_s, steps_s = [], []
    for seed in range(NUM_RESETS):
        started_s = time.perf_counter()
        look_at(env.reset(seed=seed)[0])
        resets_s.append(time.perf_counter() - started_s)
    for motion in np.random.default_rng(0).uniform(-0.02, 0.02, (num_steps, 3)):
        action = Action(motion, np.zeros(3), 1.0, FRAME)
        started_s = time.perf_counter()
        look_at(env.step(action)[0])
        steps_s.append(time.perf_counter() - started_s)
    env.close()
    step_s = statistics.median(steps_s)
    return f"| {label} | {created_s:.1f} | {statistics.median(resets_s):.2f} | {1e3 * step_s:.0f} | {1 / step_s:.1f} |"


def look_at(observation: Observation) -> None:
    """Have its pictures drawn, which happens only then."""
    dict(observation.images)


if __name__ == "__main__":
    main()
