"""JSON files that hold one object: reading one of a bounded size, writing what `--json` asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magma_ros.errors import CheckpointError, MagmaRosError

MAX_BYTES = 16 * 2**20
"""Larger files are refused unread: every JSON file of a checkpoint but its tokenizer is far smaller."""


def read_object(path: Path, *, error: type[MagmaRosError] = CheckpointError) -> dict[str, Any]:
    """The JSON object in `path`.

    Args:
        path: The file, at most `MAX_BYTES` long.
        error: What a refusal is raised as; a `CheckpointError` unless the caller speaks of something else.

    Raises:
        MagmaRosError: as `error`; the file is missing, too long, or holds something else.
    """
    try:
        size = path.stat().st_size
        document = json.loads(path.read_text(encoding="utf-8")) if size <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as fault:
        raise error(f"{path}: expected a readable JSON file: {fault}") from fault
    if size > MAX_BYTES:
        raise error(f"{path}: expected at most {MAX_BYTES} bytes, got {size}")
    if not isinstance(document, dict):
        raise error(f"{path}: expected a JSON object, got {type(document).__name__}")
    return document


def write_object(path: Path, document: Mapping[str, Any]) -> None:
    """Write a command's answer for programs; the file's folder is made, and /dev/stdout will do.

    Raises:
        MagmaRosError: it cannot be written.
    """
    text = json.dumps(document, indent=2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as fault:
        raise MagmaRosError(f"{path}: cannot be written: {fault}") from fault
