"""Trackers by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from magma_ros.errors import AnnotationError
from magma_ros.finetune.lucas_kanade import LucasKanade
from magma_ros.finetune.trackers import TrackerChoice


def test_lucas_kanade_needs_nothing() -> None:
    """It is what is taken when nobody says otherwise."""
    assert LucasKanade() == TrackerChoice().open()
    assert {"tracker": "lucas-kanade", "weights": None} == TrackerChoice().describe()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tracker": "cotracker3"}, "cotracker3: expected its weights"),
        ({"tracker_weights": Path("a.pth")}, "lucas-kanade has no use for weights"),
        ({"tracker_device": "cuda"}, "a device other than the CPU"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], said: str) -> None:
    """Nothing is ignored."""
    with pytest.raises(AnnotationError, match=said):
        TrackerChoice(**options)


def test_cotracker_is_looked_for_where_it_is_said_to_be(tmp_path: Path) -> None:
    """A folder that is no checkout is refused; weights are told apart by their contents."""
    weights = tmp_path / "a.pth"
    weights.write_bytes(b"weights")
    choice = TrackerChoice(tracker="cotracker2", tracker_weights=weights, tracker_checkout=tmp_path)
    with pytest.raises(AnnotationError, match="expected a checkout of facebookresearch/co-tracker"):
        choice.open()
    before = choice.describe()
    weights.write_bytes(b"others")
    assert before != choice.describe()
