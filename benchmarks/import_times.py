"""What `import` takes in a fresh process, above an empty one, and what it loads: medians of nine; a Markdown table.

Standard library only, so that it measures the environment it is run in, such as one with the core packages alone:
`PYTHONPATH=build/python PYTHON benchmarks/import_times.py`. The first process of each kind is not counted: it may have
to write compiled modules. Run on an idle machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

IMPORTS = {
    "the package": "magma_ros",
    "the command line's front": "magma_ros.cli",
    "a policy on another machine": "magma_ros.remote.client",
    "an arm's file and its checks": "magma_ros.arms",
    "the supervisor of an arm": "magma_ros.supervision",
    "NumPy, for comparison": "numpy",
}
HEAVY = ("torch", "transformers", "mujoco", "rclpy", "scipy", "cv2", "numpy")
"""Of these, the table names which were loaded."""


def main() -> None:
    """Measure each import and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=9, help="of each kind")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(f"Python {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPU cores, n = {options.processes} each\n")
    print("| import | module | wall [ms] | CPU [ms] | loads |")
    print("|---|---|---|---|---|")
    empty = measure("pass", options.processes)
    for what, module in IMPORTS.items():
        whole = measure(f"import {module}", options.processes)
        wall_ms, cpu_ms = (f"{1e3 * (spent_s - base_s):.0f}" for spent_s, base_s in zip(whole, empty, strict=True))
        print(f"| {what} | `{module}` | {wall_ms} | {cpu_ms} | {', '.join(loaded(module)) or 'nothing'} |")


def measure(program: str, num_processes: int) -> tuple[float, float]:
    """Median wall and CPU time [s] of processes that run `program`, start of the interpreter included."""
    walls_s, cpus_s = [], []
    for _ in range(num_processes + 1):
        before, start_s = os.times(), time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        after, end_s = os.times(), time.perf_counter()
        walls_s.append(end_s - start_s)
        cpus_s.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(walls_s[1:]), statistics.median(cpus_s[1:])


def loaded(module: str) -> list[str]:
    """Which of `HEAVY` an import brings along."""
    program = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()


if __name__ == "__main__":
    main()
