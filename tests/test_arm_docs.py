"""Schema, dataclasses and the table of docs/arms.md say the same of every key."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from magma_ros import arms
from magma_ros.arm import Arm

DOCS = Path(__file__).parents[1] / "docs" / "arms.md"


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """`node` with its reference followed; its own description goes first."""
    if "$ref" not in node:
        return node
    return arms.schema()["$defs"][node["$ref"].rpartition("/")[2]] | node


def range_of(node: dict[str, Any]) -> str:
    """What a value may be, as the table shows it."""
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node["type"] == "array":
        low, high = node["minItems"], node["maxItems"]
        count = f"{low}" if low == high else f"{low} … {high}"
        return f"{count} times {range_of(node['items'])}"
    if node["type"] in ("number", "integer"):
        low = f"more than {node['exclusiveMinimum']}" if "exclusiveMinimum" in node else f"{node['minimum']}"
        return f"{low} … {node['maximum']}"
    return {"string": "text", "boolean": "true, false"}[node["type"]]


def rows(node: dict[str, Any], path: str = "") -> Iterator[str]:
    """A line of the table for every value that a file can have, variants of a kind with the kind in brackets."""
    for key, child in node["properties"].items():
        if "const" in child:
            continue
        part, here = resolved(child), f"{path}.{key}" if path else key
        if "items" in part and "properties" in part["items"]:
            yield from rows(part["items"], f"{here}[]")
        elif "properties" in part and path == "sources":
            yield f"| `{here}` | | see below | {part['description']} |"
        elif "properties" in part:
            yield from rows(part, here)
            for variant in part.get("allOf", ()):
                kind = variant["if"]["properties"]["kind"]["const"]
                yield from rows(resolved(variant["then"]), f"{here}[{kind}]")
        else:
            yield f"| `{here}` | {part.get('unit', '')} | {range_of(part)} | {part['description']} |"


def compare(hint: Any, node: dict[str, Any]) -> int:
    """Number of dataclass fields below `hint`, each of which the schema has and requires."""
    if isinstance(hint, types.UnionType):
        variants = {v["if"]["properties"]["kind"]["const"]: resolved(v["then"]) for v in node["allOf"]}
        kinds = {kind.__dataclass_fields__["kind"].default: kind for kind in hint.__args__}
        assert list(variants) == list(kinds)
        return sum(compare(kinds[kind], variants[kind]) for kind in kinds)
    if typing.get_origin(hint) is tuple:
        return compare(typing.get_args(hint)[0], node["items"])
    if not dataclasses.is_dataclass(hint):
        return 1
    names = [field.name for field in dataclasses.fields(hint)]
    assert names == list(node["properties"]) == node["required"]
    assert node["additionalProperties"] is False
    hints = typing.get_type_hints(hint)
    return sum(compare(hints[name], resolved(node["properties"][name])) for name in names)


def test_the_schema_is_one() -> None:
    """It keeps to the draft that it names."""
    Draft202012Validator.check_schema(arms.schema())


def test_schema_and_dataclasses_have_the_same_fields() -> None:
    """Every field of the tree is a required property of the schema, in the same order, and there are no others."""
    assert compare(Arm, arms.schema()) > 90


def test_the_table_in_the_docs_is_the_schema() -> None:
    """Every key with its unit, range and meaning; nothing else stands in the table."""
    expected = list(rows(arms.schema()))
    table = DOCS.read_text().partition("## Every key")[2]
    shown = [line for line in table.splitlines() if line.startswith("| `")]
    assert expected == shown, "\n".join(expected)
