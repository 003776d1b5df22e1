"""What `magma-ros bench` does: the scripts in `benchmarks/` of a checkout, one after the other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import tyro

from magma_ros import exit_codes
from magma_ros.errors import EnvError
from magma_ros.shared_files import shared_folders

DEFAULT = ("bridge_env", "inference", "drafts", "wire")


def run_benchmarks(names: tyro.conf.Positional[tuple[str, ...]] = DEFAULT, *, list: bool = False) -> int:  # noqa: A002
    """Measure on an otherwise idle machine and print tables; needs a checkout, whose benchmarks/ these are.

    Args:
        names: Which ones; each has options of its own, which python benchmarks/NAME.py --help lists.
        list: Print what there is, and measure nothing.

    Returns:
        0, or 1 when a benchmark could not be run to its end.
    """
    scripts = _scripts()
    unknown = [name for name in names if name not in scripts]
    if unknown:
        raise EnvError(f"benchmarks: expected some of {', '.join(scripts) or 'a checkout'}, got {', '.join(unknown)}")
    if list:
        print("\n".join(f"{name:<18}{_purpose(script)}" for name, script in scripts.items()))
        return exit_codes.OK
    for name in names:
        print(f"# {name}", flush=True)
        if subprocess.run([sys.executable, scripts[name]], check=False).returncode != 0:
            return exit_codes.FAILED
    return exit_codes.OK


def _scripts() -> dict[str, Path]:
    """Every file that can be run, by its name."""
    folder = next(filter(Path.is_dir, shared_folders("benchmarks")), None)
    found = [] if folder is None else sorted(folder.glob("*.py"))
    return {path.stem: path for path in found if "__main__" in path.read_text(encoding="utf-8")}


def _purpose(script: Path) -> str:
    text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
