"""Trackers by name, as plain values that go to other processes and into settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from magma_ros.errors import AnnotationError
from magma_ros.finetune.digests import digest
from magma_ros.finetune.lucas_kanade import LucasKanade
from magma_ros.finetune.tracks import Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerChoice:
    """What follows points.

    Attributes:
        tracker: lucas-kanade needs nothing; cotracker3 and cotracker2 need weights.
        weights: CoTracker's checkpoint.
        device: That CoTracker runs on.
    """

    tracker: Literal["lucas-kanade", "cotracker3", "cotracker2"] = "lucas-kanade"
    weights: Path | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if (self.tracker == "lucas-kanade") != (self.weights is None):
            raise AnnotationError(f"{self.tracker}: expected weights for CoTracker and for nothing else")

    def open(self) -> Tracker:
        """The tracker, ready to be asked."""
        return LucasKanade()

    def describe(self) -> dict[str, Any]:
        """What decides its tracks, as plain values."""
        return {"tracker": self.tracker, "weights": None if self.weights is None else digest(self.weights)}
