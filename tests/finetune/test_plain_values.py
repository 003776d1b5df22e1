"""A mistake in a recipe is an error that says what was meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from magma_ros.errors import RecipeError
from magma_ros.finetune.plain_values import build, override, to_plain


@dataclass(frozen=True)
class Inner:
    rank: int = 4
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    folder: Path | None = None
    kind: Literal["one", "two"] = "one"
    sizes: tuple[int, ...] = ()
    parts: tuple[Inner, ...] = ()
    inner: Inner = Inner()
    fast: bool = False


def test_plain_values_become_dataclasses_and_back() -> None:
    """Lists, paths, optional values, literals and nested mappings survive both ways; absent keys keep defaults."""
    value = Outer("a", Path("b/c"), "two", (1, 2), (Inner(1), Inner(2, 0.25)), Inner(share=1e-4), fast=True)
    assert value == build(Outer, to_plain(value), where="recipe")
    assert Outer("a") == build(Outer, {"name": "a"}, where="recipe")


def test_a_number_may_be_written_as_yaml_reads_it() -> None:
    """`1e-4`, which YAML 1.1 takes for text, and whole numbers are numbers where one is expected."""
    assert 1e-4 == build(Inner, {"share": "1e-4"}, where="recipe").share
    share = build(Inner, {"share": 1}, where="recipe").share
    assert (1.0, float) == (share, type(share))


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"name": "a", "iner": {}}, "recipe: no key 'iner'; did you mean inner?"),
        ({"name": "a", "inner": {"rnak": 1}}, "recipe: inner: no key 'rnak'; did you mean rank?"),
        ({"name": "a", "xyz": 1}, "recipe: no key 'xyz'; available"),
        ({}, r"expected the keys \['name'\] too"),
        ({"name": 3}, "recipe: name: expected text, got 3"),
        ({"name": "a", "kind": "three"}, r"kind: expected one of \['one', 'two'\], got 'three'"),
        ({"name": "a", "sizes": 3}, "sizes: expected a list, got 3"),
        ({"name": "a", "sizes": [1, 2.5]}, r"sizes\[1\]: expected a whole number, got 2.5"),
        ({"name": "a", "inner": {"rank": True}}, "rank: expected a whole number, got True"),
        ({"name": "a", "inner": {"share": "much"}}, "share: expected a number, got 'much'"),
        ({"name": "a", "inner": {"share": float("nan")}}, "share: expected a finite number"),
        ({"name": "a", "fast": "yes"}, "fast: expected true or false, got 'yes'"),
        ({"name": "a", "inner": [1]}, "inner: expected keys with values"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(plain: dict[str, Any], said: str) -> None:
    """Unknown, missing and mistyped keys are refused, with the near ones."""
    with pytest.raises(RecipeError, match=said):
        build(Outer, plain, where="recipe")


def test_single_values_can_be_set() -> None:
    """A dotted key reaches nested values and places of lists, and makes a mapping where there was none."""
    plain: dict[str, Any] = {"name": "a", "parts": [{"rank": 1}, {"rank": 2}], "sizes": [1, 2]}
    for assignment in ("inner.rank=8", "parts.1.rank=7", "sizes.0=5", "name=b=c", "folder=null", "fast=true"):
        override(plain, assignment)
    expected = Outer("b=c", None, "one", (5, 2), (Inner(1), Inner(7)), Inner(8), fast=True)
    assert expected == build(Outer, plain, where="recipe")


@pytest.mark.parametrize(
    "assignment", ["name", "=3", "a..b=1", "parts.2.rank=1", "parts.x=1", "name.more=1", "name=[1"]
)
def test_an_assignment_that_leads_nowhere_is_refused(assignment: str) -> None:
    """No value, no key, a place beyond the list, a key of a text, no YAML: each is an error."""
    with pytest.raises(RecipeError, match="--set"):
        override({"name": "a", "parts": [{"rank": 1}]}, assignment)
