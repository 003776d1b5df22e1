"""A predictor with CoTracker's interface and one weight: every point drifts by it in each frame."""

from __future__ import annotations

import torch


class Drift(torch.nn.Module):
    """What moves the points [px/frame]."""

    def __init__(self) -> None:
        super().__init__()
        self.step = torch.nn.Parameter(torch.zeros(2))


class CoTrackerPredictor(torch.nn.Module):
    """Takes a video (1, T, 3, H, W) and queries (1, N, 3) (t, x, y); gives tracks and visibilities."""

    def __init__(self, checkpoint: str | None, window_len: int, *, v2: bool = False, offline: bool = True) -> None:
        super().__init__()
        assert checkpoint is None
        assert offline
        self.model, self.kind = Drift(), (v2, window_len)
        self.lengths: list[int] = []

    @torch.no_grad()
    def forward(self, video: torch.Tensor, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points leave the picture, and then are not seen."""
        _, length, channels, height, width = video.shape
        assert channels == 3
        assert video.dtype == torch.float32
        self.lengths.append(length)
        assert (queries[:, :, 0] == 0).all()
        frames = torch.arange(length)[None, :, None, None]
        tracks = queries[:, None, :, 1:] + frames * self.model.step
        inside = (tracks >= 0) & (tracks <= torch.tensor([width - 1, height - 1]))
        return tracks, inside.all(dim=3)
