"""A program that is killed while it writes a marked picture: `python killed_annotation.py EPISODES OUTPUT`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magma_ros.finetune.annotation import annotate as module
from magma_ros.finetune.annotation.clips import find_clips
from tests.finetune.annotation.jobs import job

_REPLACING = module.replacing


@contextmanager
def replacing_or_dying(path: Path) -> Iterator[Path]:
    """As `replacing`; a picture of the second clip is half written when the process goes."""
    with _REPLACING(path) as partial:
        if "episode_000001" in str(path) and path.name.endswith("_marked.jpg"):
            partial.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        yield partial


if __name__ == "__main__":
    module.replacing = replacing_or_dying  # type: ignore[assignment]
    episodes, output = map(Path, sys.argv[1:])
    module.annotate(find_clips(episodes), job(output), source="episodes")
