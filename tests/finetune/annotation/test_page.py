"""The page of annotated film: shares, what became of the windows, spreads, texts and filmstrips."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from magma_ros.finetune.annotation.page import MAX_SHOWN, to_page

NOTHING: dict[str, Any] = {
    "source": "films", "clips": 0, "windows": 0, "records": 0, "settings": {"window": 16},
    "outcomes": {}, "spreads": {}, "texts": {},
}  # fmt: skip


def of(folder: Path, strips: list[dict[str, Any]] | None = None, **summary: Any) -> str:
    """The page."""
    return to_page({**NOTHING, **summary}, strips or [], folder=folder)


def strip_of(folder: Path, number: int, **changes: Any) -> dict[str, Any]:
    """A window with a filmstrip, which is a file that holds its number."""
    (folder / f"{number}.jpg").write_bytes(b"picture %d" % number)
    window = {"name": f"window {number}", "outcome": "too_few_marks", "num_marks": 5, "num_traces": 2, "text": "go"}
    return {**window, "preview": f"{number}.jpg", **changes}


@pytest.mark.parametrize(
    ("traces", "windows", "kind", "share"), [(1, 2, "clean", 50), (49, 99, "warning", 49), (0, 0, "warning", 0)]
)
def test_half_of_the_windows_with_traces_is_enough(
    tmp_path: Path, traces: int, windows: int, kind: str, share: int
) -> None:
    """Below that the banner warns; a film without windows has a share of nothing."""
    outcomes = {"traces": traces} if traces else {}
    page = of(tmp_path, clips=3, windows=windows, records=7, outcomes=outcomes)
    banner = (
        f'<p class="banner {kind}" role="note">{traces} of {windows} windows ({share} %) have traces, 7 records.</p>'
    )
    assert banner in page
    assert f"3 clips, {windows} windows of 16 pictures" in page
    assert "<title>Marks and traces of films</title>" in page


def test_outcomes_are_listed_in_words_with_their_counts(tmp_path: Path) -> None:
    """As they are given, underscores as spaces."""
    page = of(tmp_path, outcomes={"traces": 4, "nothing_moves": 2})
    assert '<th scope="row">traces</th><td>4</td>' in page
    assert '<th scope="row">nothing moves</th><td>2</td>' in page


def test_spreads_have_a_bar_for_every_value_between_the_least_and_the_largest(tmp_path: Path) -> None:
    """9 comes before 10, and 11, which nobody had, has a bar of no height; a spread of nothing is left out."""
    page = of(tmp_path, spreads={"marks": {"12": 1, "9": 4, "10": 2}, "traces": {}})
    assert "marks, 9 to 12" in page
    assert 4 == page.count('class="bar"')
    heights = [part.split('"')[1] for part in page.split("height=")[1:] if part.split('"')[1].count(".")]
    assert ["100.0", "50.0", "0.0", "25.0"] == heights
    assert "traces, " not in page.split("have traces, ")[1]


def test_at_most_two_hundred_texts_are_listed(tmp_path: Path) -> None:
    """The first ones; what they hold is text and no markup."""
    page = of(tmp_path, texts={"<b>go</b>": 3, **{f"text {number}.": 1 for number in range(200)}})
    assert '<th scope="row">&lt;b&gt;go&lt;/b&gt;</th><td>3</td>' in page
    assert "text 198." in page
    assert "text 199." not in page


def test_filmstrips_are_in_the_page_with_what_became_of_them(tmp_path: Path) -> None:
    """The file itself, read beside the folder's other files, with name, text and counts."""
    page = of(tmp_path, [strip_of(tmp_path, 1, text="fold <it>")])
    assert f'src="data:image/jpeg;base64,{base64.b64encode(b"picture 1").decode()}"' in page
    assert "<h3>window 1</h3>" in page
    assert "fold &lt;it&gt; · too few marks, 5 marks, 2 traces" in page


def test_only_the_first_filmstrips_are_shown(tmp_path: Path) -> None:
    """However many there are; the others are not even opened."""
    windows = [strip_of(tmp_path, number) for number in range(MAX_SHOWN)]
    page = of(tmp_path, [*windows, {**windows[0], "name": "one more", "preview": "lost.jpg"}])
    assert 24 == MAX_SHOWN == page.count("<h3>")
    assert "one more" not in page
