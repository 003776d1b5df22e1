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
        tracker: lucas-kanade needs nothing; cotracker3 and cotracker2 need weights of yours.
        tracker_weights: CoTracker's checkpoint, scaled_offline.pth or cotracker2.pth.
        tracker_checkout: Folder of facebookresearch/co-tracker; left out, the installed package.
        tracker_device: That CoTracker runs on, cpu or cuda.
    """

    tracker: Literal["lucas-kanade", "cotracker3", "cotracker2"] = "lucas-kanade"
    tracker_weights: Path | None = None
    tracker_checkout: Path | None = None
    tracker_device: str = "cpu"

    def __post_init__(self) -> None:
        if self.tracker != "lucas-kanade" and self.tracker_weights is None:
            raise AnnotationError(f"{self.tracker}: expected its weights (tracker_weights), got none")
        unused = (self.tracker_weights, self.tracker_checkout) != (None, None) or self.tracker_device != "cpu"
        if self.tracker == "lucas-kanade" and unused:
            raise AnnotationError("lucas-kanade has no use for weights, a checkout or a device other than the CPU")
        for name in ("tracker_weights", "tracker_checkout"):
            path = getattr(self, name)
            object.__setattr__(self, name, None if path is None else path.absolute())  # for workers elsewhere

    def open(self) -> Tracker:
        """The tracker, ready to be asked.

        Raises:
            AnnotationError, CheckpointError: CoTracker or its weights cannot be used.
        """
        if self.tracker_weights is None:
            return LucasKanade()
        from magma_ros.finetune.cotracker import load_cotracker  # noqa: PLC0415 - needs torch

        version: Literal["2", "3"] = "3" if self.tracker == "cotracker3" else "2"
        return load_cotracker(
            self.tracker_weights, version=version, checkout=self.tracker_checkout, device=self.tracker_device
        )

    def describe(self) -> dict[str, Any]:
        """What decides its tracks, as plain values."""
        weights = None if self.tracker_weights is None else digest(self.tracker_weights)
        return {"tracker": self.tracker, "weights": weights}
