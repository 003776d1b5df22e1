"""Reading a small YAML file that holds one mapping of plain values: bounded, no alias, Python tag or repeated key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from magma_ros.errors import MagmaRosError

MAX_BYTES = 64 * 2**10
"""Larger files are refused unread: people write these by hand."""

MAX_DEPTH = 16
"""Mappings and lists in each other; deeper files are refused."""

MAX_SCALAR = 2500
"""Characters of one value; a longer one is refused before it becomes a number that nothing can print."""

_PLAIN_KEY = "tag:yaml.org,2002:str"


def read_mapping(path: Path, *, error: type[MagmaRosError]) -> dict[str, Any]:
    """The mapping in `path`, its keys all text.

    Args:
        path: The file, at most `MAX_BYTES` long.
        error: What a refusal is raised as.

    Raises:
        MagmaRosError: as `error`; the file is missing, too long or nested too deep, repeats a key, has an alias or
            a tag of Python, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise error(f"{path}: expected a readable YAML file: {fault}") from fault
    if len(content) > MAX_BYTES:
        raise error(f"{path}: expected at most {MAX_BYTES} bytes, got more")
    try:
        _refuse_bombs(content)
        root = yaml.compose(content, Loader=yaml.SafeLoader)
        _refuse_odd_keys(root)
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise error(f"{path}: expected a YAML mapping of plain values: {fault}") from fault
    if not isinstance(document, dict):
        raise error(f"{path}: expected a YAML mapping, got {type(document).__name__}")
    return document


def _refuse_bombs(content: bytes) -> None:
    """A few lines of aliases can stand for gigabytes, and the parser's time grows with the square of the depth."""
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"expected at most {MAX_DEPTH} levels, got more in line {event.start_mark.line + 1}")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            raise yaml.YAMLError(f"expected values of at most {MAX_SCALAR} characters, got {len(event.value)}")
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"expected no alias, got *{event.anchor} in line {event.start_mark.line + 1}")


def _refuse_odd_keys(node: yaml.Node | None) -> None:
    """Of two equal keys YAML keeps the last in silence, and an unquoted `on` is not text."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            where = f"in line {key.start_mark.line + 1}"
            if key.tag != _PLAIN_KEY:
                raise yaml.YAMLError(f"expected text as a key, got {str(key.value)[:40]!r} ({key.tag}) {where}")
            if key.value in seen:
                raise yaml.YAMLError(f"expected each key once, got {key.value[:40]!r} again {where}")
            seen.add(key.value)
            _refuse_odd_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_odd_keys(value)
