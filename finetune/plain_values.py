"""Plain values, as a YAML file holds them, to frozen dataclasses: nothing unknown, nothing guessed."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml

from magma_ros.errors import RecipeError
from magma_ros.schema_faults import shown

_T = TypeVar("_T")
_NUMBERS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}


def build(kind: type[_T], mapping: Any, *, where: str) -> _T:
    """The dataclass `kind` with the fields in `mapping`; fields that it lacks keep their defaults.

    Args:
        kind: A dataclass whose fields are numbers, texts, paths, literals, tuples, dataclasses, or one of them or None.
        mapping: Plain values; a list stands for a tuple. The text `1e-4` is a number too, although YAML says otherwise.
        where: Names `mapping` in errors.

    Raises:
        RecipeError: an unknown key (the near ones are named), a missing one, or a value of another type.
    """
    if not isinstance(mapping, Mapping):
        raise RecipeError(f"{where}: expected keys with values, got {shown(mapping)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type] # a dataclass, see above
    for key in mapping:
        if key not in fields:
            raise RecipeError(f"{where}: {unknown_key(str(key), fields)}")
    hints = typing.get_type_hints(kind)
    missing = [name for name, field in fields.items() if name not in mapping and _is_required(field)]
    if missing:
        raise RecipeError(f"{where}: expected the keys {missing} too, got {sorted(mapping)}")
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in mapping.items()})


def override(mapping: dict[str, Any], assignment: str) -> None:
    """Set one value of nested plain values in place.

    Args:
        mapping: The values.
        assignment: `key=value` with a dotted key, numbers for places of a list: `data.0.limit=20`. The value is YAML.

    Raises:
        RecipeError: it is no assignment, or leads through something that has no keys.
    """
    path, separator, text = assignment.partition("=")
    if not separator or not all(path.split(".")):
        raise RecipeError(f"--set {assignment}: expected key=value with a dotted key, such as parts.lora_rank=8")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise RecipeError(f"--set {assignment}: expected a YAML value: {fault}") from fault
    *parents, last = path.split(".")
    at: Any = mapping
    for name in parents:
        at = at.setdefault(name, {}) if isinstance(at, dict) else _place(at, name, assignment)
    if isinstance(at, list):
        _place(at, last, assignment)
        at[int(last)] = value
    elif isinstance(at, dict):
        at[last] = value
    else:
        raise RecipeError(f"--set {assignment}: {'.'.join(parents)} is {shown(at)}, which has no keys")


def to_plain(value: Any) -> dict[str, Any]:
    """The dataclass `value` as JSON values; paths become text and tuples lists."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(value), default=str))
    return plain


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say about a key that is not one of `known`."""
    near = difflib.get_close_matches(key, list(known), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"available {sorted(known)}"
    return f"no key {key!r}; {hint}"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (present,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _value(present, value, where)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{where}: expected one of {list(arguments)}, got {shown(value)}")
        return value
    if origin is tuple:
        return _items(arguments, value, where)
    if dataclasses.is_dataclass(kind):
        return build(kind, value, where=where)  # type: ignore[arg-type] # an instance is no annotation
    return _scalar(kind, value, where)


def _items(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise RecipeError(f"{where}: expected a list, got {shown(value)}")
    each = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
    if len(each) != len(value):
        raise RecipeError(f"{where}: expected {len(each)} values, got {len(value)}")
    return tuple(_value(kind, item, f"{where}[{index}]") for index, (kind, item) in enumerate(zip(each, value)))  # noqa: B905 - as long, see above


def _scalar(kind: Any, value: Any, where: str) -> Any:
    given = type(value)
    if kind is float and given is str:
        with suppress(ValueError):  # YAML 1.1 reads 1e-4, without a point, as text
            value, given = float(value), float
    if kind is float and given in (int, float) and not math.isfinite(value):
        raise RecipeError(f"{where}: expected a finite number, got {value!r}")
    if given is kind or (kind is float and given is int):
        return kind(value)
    if kind is Path and given is str:
        return Path(value)
    raise RecipeError(f"{where}: expected {_NUMBERS[kind]}, got {shown(value)}")


def _place(items: Any, name: str, assignment: str) -> Any:
    if isinstance(items, list) and name.isdigit() and int(name) < len(items):
        return items[int(name)]
    raise RecipeError(f"--set {assignment}: {name!r} is no place in {shown(items)}")
