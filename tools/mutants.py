"""How many small faults, planted one at a time in a module, its own tests find. Needs cosmic-ray on PATH.

    tools/mutants.py safety        # one module; without a name, the six of the core; commit first: it tests HEAD

What was judged is in outputs/mutants/MODULE-COMMIT.sqlite, and a second start goes on from there. Surviving faults are
printed as differences. Ends with 1 when tests of a module find less than 85 % of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import layout

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("action_tokens", "chunking", "geometry", "normalization", "playout", "safety")
FOLDER = ROOT / "outputs" / "mutants"
WANTED_SHARE = 0.85
CONFIG = """
[cosmic-ray]
module-path = "magma_ros/{module}.py"
timeout = 120
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"

[cosmic-ray.distributor]
name = "local"

# The only bars in these modules are in annotations, which are never evaluated.
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the chosen modules; gives 0, or 1 when too many faults of one survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=MODULES, help="all six by default")
    status = 0
    for module in parser.parse_args(arguments).modules:
        session = run(module)
        killed, total = count(session)
        subprocess.run(["cr-report", "--surviving-only", "--show-diff", str(session)], check=True)
        print(f"{module}: {killed} of {total} faults found, {killed / total:.1%}", flush=True)
        status |= killed < WANTED_SHARE * total
    return status


def run(module: str) -> Path:
    """Judge every fault of `module` in a clone of HEAD; gives the file of the results."""
    commit = output("git", "rev-parse", "--short", "HEAD").strip()
    FOLDER.mkdir(parents=True, exist_ok=True)
    session, config = FOLDER / f"{module}-{commit}.sqlite", FOLDER / f"{module}.toml"
    tests = " ".join(f"tests/{path.name}" for path in sorted((ROOT / "tests").glob(f"test_{module}*.py")))
    python = ROOT / ".venv" / "bin" / "python"
    config.write_text(CONFIG.format(module=module, python=python, tests=tests), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        output("git", "clone", "--quiet", str(ROOT), str(clone))
        # A compiled module would be taken for its mutant of the same second and length.
        clean = {"PYTHONPATH": str(layout.link_package(clone).parent), "PYTHONDONTWRITEBYTECODE": "1"}
        judge(session, config, cwd=clone, env=os.environ | clean)
    return session


def judge(session: Path, config: Path, *, cwd: Path, env: Mapping[str, str]) -> None:
    """Plant each fault that was not judged yet, and test it."""
    commands = [
        ["cr-filter-operators", str(session), str(config)],
        ["cosmic-ray", "baseline", str(config)],  # stops here when the tests fail without a fault
        ["cosmic-ray", "exec", str(config), str(session)],
    ]
    if not session.exists():
        commands.insert(0, ["cosmic-ray", "init", str(config), str(session)])
    for command in commands:
        subprocess.run(command, cwd=cwd, env=env, check=True)


def count(session: Path) -> tuple[int, int]:
    """Faults found and faults judged."""
    results = [json.loads(line)[1] for line in output("cosmic-ray", "dump", str(session)).splitlines()]
    judged = [result["test_outcome"] for result in results if result and result["worker_outcome"] == "normal"]
    return judged.count("killed") + judged.count("incompetent"), len(judged)


def output(*command: str) -> str:
    """What a command printed."""
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
