"""Which files a checkpoint is made of, and whether they are what its manifest says."""

from __future__ import annotations

import hashlib
from pathlib import Path

from magma_ros.errors import CheckpointError
from magma_ros.json_files import read_object
from magma_ros.pipeline import MANIFEST_NAME

LADDER_NAME = "ladder.json"
"""What `magma-ros ladder` found out about a checkpoint: it lies beside the checkpoint's files and is none of them."""


def verify_files(folder: Path, *, hash_files: bool = True) -> None:
    """Compare every file with the manifest's SHA-256, or without `hash_files` see only that each is there.

    Raises:
        CheckpointError: files that are missing or altered, all named at once.
    """
    recorded = read_object(folder / MANIFEST_NAME).get("files")
    if not isinstance(recorded, dict) or not recorded:
        raise CheckpointError(f"{folder / MANIFEST_NAME}: expected the SHA-256 of the files, got {recorded!r}")
    faults = []
    for name, expected in recorded.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            faults.append(f"{name} is missing")
        elif hash_files and sha256_of(path) != expected:
            faults.append(f"{name} was altered")
    if faults:
        raise CheckpointError(f"{folder}: the files differ from the manifest: " + ", ".join(faults))


def manifest_digest(folder: Path) -> str:
    """SHA-256 (hex) of the manifest, which holds those of all files: what tells two checkpoints apart.

    The pipeline's fingerprint does not: training on with the same statistics changes the weights alone.

    Raises:
        CheckpointError: there is no manifest.
    """
    if not (folder / MANIFEST_NAME).is_file():
        raise CheckpointError(f"{folder}: expected {MANIFEST_NAME}, got none")
    return sha256_of(folder / MANIFEST_NAME)


def content_of(folder: Path) -> list[Path]:
    """The files that make the checkpoint, by name: its manifest and what was found out about it are none."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_content(path))


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_content(path: Path) -> bool:
    return path.name not in (MANIFEST_NAME, LADDER_NAME) and path.suffix in {".json", ".safetensors"}
