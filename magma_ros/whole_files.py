"""Files that are there whole or not at all, whenever the process or the power goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
"""What a file is called until it is whole; a process that is killed leaves it behind."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; on leaving, that file is on the disk and stands at `path`, in one step.

    Its folder is made. After an exception, `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}{PARTIAL}")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def to_disk(path: Path) -> None:
    """Wait until a file, or a folder with everything in it, is on the disk; a rename may publish it then."""
    if path.is_dir():
        for inner in path.iterdir():
            to_disk(inner)
    _sync(path)


def names_to_disk(folder: Path) -> None:
    """Wait until a rename in `folder` is on the disk, whatever its files hold."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
