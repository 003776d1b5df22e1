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


def shared_file(path: str, *, error: type[Exception]) -> Path:
    """The data file `path`, such as `config/arms/schema.json`.

    Raises:
        error: it is in none of the places.
    """
    folder, _, name = path.rpartition("/")
    for candidate in shared_folders(folder):
        if (candidate / name).is_file():
            return candidate / name
    raise error(f"expected {path} in the checkout or the installation, found none")


def names_in(folder: str, *, suffix: str) -> list[str]:
    """Names of the files `NAME.suffix` that come with this project in `folder`."""
    return sorted({path.stem for place in shared_folders(folder) for path in place.glob(f"*{suffix}")})


def find_named(name_or_path: Path | str, *, folder: str, suffix: str, what: str, error: type[Exception]) -> Path:
    """A file of the user's, or the one of `names_in(folder)` that is called so; the checkout's first.

    Raises:
        error: neither is there; says what `what` may be.
    """
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    names = names_in(folder, suffix=suffix)
    if str(name_or_path) not in names:
        kind = suffix.removeprefix(".").upper()
        raise error(f"{what}: expected a {kind} file or one of {names}, got {str(name_or_path)!r}")
    return shared_file(f"{folder}/{name_or_path}{suffix}", error=error)
