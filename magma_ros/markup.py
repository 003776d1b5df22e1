"""HTML and SVG by construction: a string becomes text, whatever it holds; only what is built here is markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = frozenset({"br", "img", "link", "meta", "source", "wbr"})


class Markup(str):
    """Text that a browser reads as elements; made by `element`, `join`, and from files of the project."""

    __slots__ = ()


def element(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """One element.

    Args:
        name: Of the element.
        children: `Markup` is put in as it is, everything else as text; None is left out, lists and tuples are unpacked.
        attributes: `_` stands for `-`, a trailing one is dropped (`class_`). None and False leave an attribute out,
            True gives one without a value.
    """
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Markup(opening if name in _VOID else f"{opening}{join(children)}</{name}>")


def document(title: str, sections: Iterable[Any], *, style: str) -> str:
    """An HTML file that needs nothing else: `sections` under one another, looking as `style` (CSS) says."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(style)),
    )
    body = element("body", element("main", list(sections)))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def join(children: Iterable[Any]) -> Markup:
    """What `element` puts between its tags, without the tags."""
    return Markup("".join(_child(child) for child in children))


def breakable(name: str) -> Markup:
    """A long name that may go on in the next line after each `_`."""
    first, *rest = name.split("_")
    return join([first, *([element("wbr"), f"_{part}"] for part in rest)])


def clean(text: str) -> str:
    """Text that every file can hold: without the halves of characters that JSON may carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _child(child: Any) -> str:
    if child is None:
        return ""
    if isinstance(child, list | tuple):
        return join(child)
    return child if isinstance(child, Markup) else escape(clean(str(child)))


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(clean(str(value)))}"'
