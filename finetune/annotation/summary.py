"""What came of all windows, counted while the log is read line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_SPREADS: Mapping[str, str] = {"num_marks": "Marks in a picture", "num_traces": "Traces of a picture", "speed": "Speed"}


def summarize(lines: Iterable[Mapping[str, Any]], *, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Clips, windows by outcome, records, texts by number of windows, and spreads of marks, traces and speeds.

    Args:
        lines: Of the log, a clip each.
        settings: What was asked for, repeated in the result.
    """
    clips, records = 0, 0
    outcomes, texts = Counter[str](), Counter[str]()
    spreads = {name: Counter[int]() for name in _SPREADS.values()}
    for line in lines:
        clips += 1
        records += len(line["records"])
        for window in line["windows"]:
            outcomes[window["outcome"]] += 1
            texts[window["text"]] += 1
            for key, name in _SPREADS.items():
                if window[key]:
                    spreads[name][window[key]] += 1
    return {
        "source": settings["source"],
        "settings": dict(settings),
        "clips": clips,
        "windows": outcomes.total(),
        "records": records,
        "outcomes": dict(outcomes.most_common()),
        "texts": dict(texts.most_common()),
        "spreads": {name: {str(value): spread[value] for value in sorted(spread)} for name, spread in spreads.items()},
    }
