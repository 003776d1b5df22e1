"""torch.hub's entries, as a checkout of co-tracker has them."""

from __future__ import annotations

from cotracker.predictor import CoTrackerPredictor


def cotracker3_offline(*, pretrained: bool = True) -> CoTrackerPredictor:
    """CoTracker 3."""
    assert not pretrained
    return CoTrackerPredictor(checkpoint=None, window_len=60, v2=False)
