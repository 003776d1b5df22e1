"""Hashes that say it was this data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        return _file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return _joint_digest((file.relative_to(path).as_posix(), file) for file in files)


def digest_named(folder: Path, names: Iterable[str]) -> str:
    """SHA-256 (hex) of the names and contents of these files in `folder`; of one that is not there, of its name."""
    return _joint_digest((name, folder / name) for name in sorted(names))


def _joint_digest(files: Iterable[tuple[str, Path]]) -> str:
    whole = hashlib.sha256()
    for name, file in files:
        whole.update(f"{name}\0{_file_digest(file) if file.is_file() else ''}\n".encode())
    return whole.hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
