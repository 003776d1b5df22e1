"""The page of annotated film: how much of it became traces, why the rest did not, and what it looks like."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from magma_ros.finetune.pages import page, table
from magma_ros.finetune.quality.drawing import bars
from magma_ros.markup import Markup, element
from magma_ros.wording import counted

MAX_SHOWN = 24
"""Filmstrips on the page."""
_LONGEST_LIST = 200


def to_page(summary: Mapping[str, Any], windows: Sequence[Mapping[str, Any]], *, folder: Path) -> str:
    """The whole file, which needs nothing else.

    Args:
        summary: As `summary.summarize` gives it.
        windows: Those with filmstrips, as the log has them; the first `MAX_SHOWN` are shown.
        folder: What the names of their filmstrips are relative to.
    """
    shown = [(window, folder / window["preview"]) for window in windows[:MAX_SHOWN]]
    title = f"Marks and traces of {summary['source']}"
    return page(title, _sections(title, summary, shown))


def _sections(
    title: str, summary: Mapping[str, Any], shown: Sequence[tuple[Mapping[str, Any], Path]]
) -> Iterator[Markup | None]:
    windows = f"{counted(summary['windows'], 'window')} of {counted(summary['settings']['window'], 'picture')}"
    facts = f"{counted(summary['clips'], 'clip')}, {windows}"
    yield element("header", element("p", facts, class_="muted"), element("h1", title), _verdict(summary))
    yield _outcomes(summary)
    yield from _spreads(summary)
    yield _texts(summary)
    yield element("section", element("h2", "What it looks like"), [_card(*one) for one in shown])
    yield element("footer", "What the words mean: docs/annotating.md. `--json` writes the numbers for programs.")


def _verdict(summary: Mapping[str, Any]) -> Markup:
    count, total = summary["outcomes"].get("traces", 0), summary["windows"]
    share = 100 * count / total if total else 0.0
    kind = "clean" if share >= 50 else "warning"
    words = (
        f"{count} of {counted(total, 'window')} ({share:.0f} %) have traces, {counted(summary['records'], 'record')}."
    )
    return element("p", words, class_=f"banner {kind}", role="note")


def _outcomes(summary: Mapping[str, Any]) -> Markup:
    rows = [
        element("tr", element("th", outcome.replace("_", " "), scope="row"), element("td", count))
        for outcome, count in summary["outcomes"].items()
    ]
    return element("section", element("h2", "What became of the windows"), table(("outcome", "windows"), rows))


def _spreads(summary: Mapping[str, Any]) -> Iterator[Markup]:
    for name, counts in summary["spreads"].items():
        if counts:
            low, high = min(map(int, counts)), max(map(int, counts))
            heights = [float(counts.get(str(value), 0)) for value in range(low, high + 1)]
            yield element("section", bars(f"{name}, {low} to {high}", heights))


def _texts(summary: Mapping[str, Any]) -> Markup:
    listed = list(summary["texts"].items())[:_LONGEST_LIST]
    rows = [element("tr", element("th", text, scope="row"), element("td", count)) for text, count in listed]
    return element("section", element("h2", "Texts"), table(("text", "windows"), rows))


def _card(window: Mapping[str, Any], preview: Path) -> Markup:
    source = "data:image/jpeg;base64," + base64.b64encode(preview.read_bytes()).decode("ascii")
    counts = f"{counted(window['num_marks'], 'mark')}, {counted(window['num_traces'], 'trace')}"
    words = f"{window['outcome'].replace('_', ' ')}, {counts}"
    picture = element("img", src=source, alt=words, title=words)
    told = element("p", f"{window['text']} · {words}", class_="muted small")
    return element("article", element("h3", window["name"]), told, element("div", picture, class_="wide"))
