"""The benchmark's own files, found without importing it; nothing in them is ever unpickled."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from magma_ros.errors import EnvError
from magma_ros.sim.libero.protocol import find_task
from magma_ros.types import FloatArray, frozen_array

INSTALL = "`make libero` in a checkout of magma_ros (docs/libero.md has the commands for other environments)"
"""How a message ends that finds the benchmark missing or damaged."""


@lru_cache(maxsize=1)
def package_folder() -> Path:
    """The folder of `libero.libero`.

    Raises:
        EnvError: LIBERO is not installed.
    """
    spec = importlib.util.find_spec("libero")
    if spec is None or not spec.submodule_search_locations:
        raise EnvError(f"LIBERO is not installed; install it with {INSTALL}")
    return Path(next(iter(spec.submodule_search_locations))) / "libero"


def problem_file(suite: str, task: str) -> Path:
    """The task's BDDL file: objects, regions, where things start, and the goal.

    Raises:
        EnvError: there is no such task, or its file is missing.
    """
    return _existing(package_folder() / "bddl_files" / suite / f"{find_task(suite, task).name}.bddl")


def init_states(suite: str, task: str) -> FloatArray:
    """The task's official initial states: time, joint positions and velocities of each, shape (n, 1 + nq + nv).

    Raises:
        EnvError: there is no such task, or its file is missing or holds something else.
    """
    path = _existing(package_folder() / "init_files" / suite / f"{find_task(suite, task).name}.pruned_init.npz")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return frozen_array(archive["states"], shape=(-1, -1), dtype=np.float64, name=path.name)
    except (OSError, ValueError, KeyError) as fault:
        raise EnvError(
            f"{path}: expected official initial states: {fault}; install LIBERO anew with {INSTALL}"
        ) from fault


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise EnvError(f"LIBERO is incomplete: {path} is missing; install it anew with {INSTALL}")
    return path
