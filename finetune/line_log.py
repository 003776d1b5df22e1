"""A folder that grows by one line of JSON per piece of work and outlives the process and the power.

`settings.json` says what is being made and is there whole before the first line. Each line is on the disk before its
piece counts as done; only the last one can be torn, and then that piece is worked on again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from magma_ros.errors import MagmaRosError
from magma_ros.folder_lock import LOCK_NAME, alone_in
from magma_ros.json_files import read_object
from magma_ros.whole_files import PARTIAL, replacing

SETTINGS_NAME = "settings.json"
_BEFORE_THE_FIRST_LINE = {LOCK_NAME, f"{SETTINGS_NAME}{PARTIAL}"}


class LineLog:
    """The lines of a folder; none of them is kept in memory."""

    def __init__(self, path: Path) -> None:
        """Go on with the whole lines at `path`; a torn last one is cut off."""
        self._path = path
        content_end, self._num_lines = 0, 0
        with path.open("a+b") as file:
            file.seek(0)
            for line in file:
                if line.endswith(b"\n"):
                    content_end += len(line)
                    self._num_lines += 1
            file.truncate(content_end)

    def __len__(self) -> int:
        return self._num_lines

    def append(self, document: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns."""
        with self._path.open("ab") as file:
            file.write(json.dumps(document, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._num_lines += 1


@contextmanager
def going_on(folder: Path, name: str, *, settings: Mapping[str, Any], error: type[MagmaRosError]) -> Iterator[LineLog]:
    """The lines of the file `name` in `folder`, which no other process writes meanwhile.

    Args:
        folder: Made when it is not there.
        name: Of the file with the lines.
        settings: Plain values that decide the lines, kept in the folder; one that was begun must have the same.
        error: What a refusal is raised as.

    Raises:
        MagmaRosError: as `error`; the folder was begun with other settings, holds something else or is in use.
    """
    with alone_in(folder, error=error):
        path = folder / SETTINGS_NAME
        if path.exists():
            _require_same(read_object(path, error=error), json.loads(json.dumps(settings)), folder, error)
        else:
            present = {file.name for file in folder.iterdir()} - _BEFORE_THE_FIRST_LINE
            if present:
                raise error(f"{folder}: expected an empty folder or one that was begun, got {sorted(present)[:5]}")
            with replacing(path) as partial:
                partial.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        yield LineLog(folder / name)


def read_lines(path: Path, *, error: type[MagmaRosError]) -> Iterator[dict[str, Any]]:
    """The object in each line of a file that is finished, one after the other.

    Raises:
        MagmaRosError: as `error`; it cannot be read, or a line is no JSON object: names the line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                document = json.loads(line)
                if not isinstance(document, dict):
                    raise error(f"{path}, line {number}: expected a JSON object, got {document!r:.80}")
                yield document
    except (OSError, ValueError, RecursionError) as fault:
        raise error(f"{path}: expected lines of JSON: {fault}") from fault


def _require_same(there: dict[str, Any], asked: dict[str, Any], folder: Path, error: type[MagmaRosError]) -> None:
    differing = sorted(key for key in there | asked if there.get(key) != asked.get(key))
    if differing:
        shown = "; ".join(f"{key} {there.get(key)!r}, now {asked.get(key)!r}" for key in differing)
        raise error(f"{folder}: begun with other settings: {shown}; choose another folder")
