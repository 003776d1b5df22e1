"""Processes that lose datagrams: what their environment must be. The library is compiled here, in a second."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from magma_ros.errors import EnvError

LOST_SHARE = 0.3

_HERE = Path(__file__).resolve().parent


def environment(folder: Path) -> dict[str, str]:
    """Makes a process lose `LOST_SHARE` of the datagrams that it is sent, on a graph without shared memory.

    Raises:
        EnvError: there is no C compiler, or it failed.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise EnvError("lost datagrams: expected a C compiler called cc, found none")
    library = folder / "drop_datagrams.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_HERE / "drop_datagrams.c"), "-ldl"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise EnvError(f"lost datagrams: {' '.join(command)} failed: {done.stderr.strip()}")
    return {
        "LD_PRELOAD": str(library),
        "MAGMA_ROS_LOSS": str(LOST_SHARE),
    }
