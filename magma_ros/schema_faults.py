"""Every way in which a document disagrees with its JSON schema: where, what was expected, what came."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from magma_ros.wording import counted

_LONGEST_VALUE = 60


def schema_faults(document: Any, schema: Mapping[str, Any]) -> list[str]:
    """One line per fault, in the order of the document: "path: expected X, got Y".

    JSON has no infinities; a number that is not finite is a fault wherever it stands, whatever the schema says.
    """
    found = dict.fromkeys(_not_finite(document, ""))
    for error in Draft202012Validator(schema).iter_errors(document):
        found |= dict.fromkeys(_lines(error))
    return list(found)


def shown(value: Any) -> str:
    """A value as an error message shows it: never long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _not_finite(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: expected a finite number, got {value!r}"
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _not_finite(part, _join(path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _not_finite(part, f"{path}[{index}]")


def _lines(error: ValidationError) -> Iterator[str]:
    path = ""
    for part in error.absolute_path:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    value, rule, instance = error.validator_value, error.validator, error.instance
    if isinstance(instance, float) and not math.isfinite(instance):
        return  # named already
    if rule == "required":
        yield from (f"{_join(path, key)}: expected, but missing" for key in value if key not in instance)
    elif rule == "additionalProperties":
        known = sorted(error.schema["properties"])
        for key in instance:
            if key not in known:
                yield f"{_join(path, key)}: expected no such key, got {shown(instance[key])}; available {known}"
    else:
        yield f"{path or 'the document'}: expected {_expected(str(rule), value)}, got {shown(instance)}"


def _expected(rule: str, value: Any) -> str:
    """In words, what the keyword `rule` of the schema asks for."""
    words = {
        "type": f"a value of type {value}",
        "enum": f"one of {value}",
        "minimum": f"at least {value}",
        "exclusiveMinimum": f"more than {value}",
        "maximum": f"at most {value}",
        "minItems": f"at least {counted(value, 'item')}",
        "maxItems": f"at most {counted(value, 'item')}",
        "minLength": f"at least {counted(value, 'character')}",
        "maxLength": f"at most {counted(value, 'character')}",
        "pattern": f"text of the form {value}",
        "uniqueItems": "items that all differ",
    }
    return words.get(rule, f"{rule} {value!r}")


def _join(path: str, key: object) -> str:
    name = str(key)[:_LONGEST_VALUE]
    return f"{path}.{name}" if path else name
