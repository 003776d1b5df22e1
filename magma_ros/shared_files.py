"""Where this project's data files are: beside the code in a checkout, in `share/magma_ros` of an installation."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path


def shared_folders(name: str) -> Iterator[Path]:
    """Folders called `name` (such as `checkpoints`) that may exist, the checkout's first."""
    yield Path(__file__).resolve().parents[1] / name
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    for prefix in (*prefixes, sys.prefix):
        yield Path(prefix) / "share" / "magma_ros" / name
