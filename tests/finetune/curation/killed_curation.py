"""A program that is killed while it writes the second clip: `python killed_curation.py VIDEOS SEGMENTS OUTPUT`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magma_ros.finetune.curation import curate as module
from magma_ros.finetune.curation.segments import Rules

_REPLACING = module.replacing


@contextmanager
def replacing_or_dying(path: Path) -> Iterator[Path]:
    """As `replacing`; the second clip is half written when the process goes."""
    with _REPLACING(path) as partial:
        if "part_1" in path.name:
            partial.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        yield partial


if __name__ == "__main__":
    module.replacing = replacing_or_dying  # type: ignore[assignment]
    videos, segments, output = map(Path, sys.argv[1:])
    module.curate(module.Job(videos=videos, segments=segments, output=output, rules=Rules(), clip=None))
