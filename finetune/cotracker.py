"""Point tracks by CoTracker 2 or 3 (offline), whose code and weights are the user's own.

The code is the package `cotracker`, if it is installed, or a checkout of facebookresearch/co-tracker as torch.hub has
it. It must be of CoTracker 3's time, which holds both versions.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from magma_ros.errors import AnnotationError, CheckpointError, InvalidInputError
from magma_ros.finetune.tracks import Tracks, VideoArray, both_ways, check_question, joined

Version = Literal["2", "3"]

_HUB_ENTRIES: dict[Version, str] = {"2": "cotracker2", "3": "cotracker3_offline"}
_MODEL_WINDOWS: dict[Version, int] = {"2": 8, "3": 60}
WINDOW_FRAMES = 60
"""Frames that are tracked at once; CoTracker 3 was trained on up to 60."""
_FEWEST_FRAMES = 8
"""CoTracker 2 returns zeros for a video of four frames or less; the last frame is repeated up to here."""


class CoTracker:
    """A tracker around CoTracker's predictor; confidence is 1 where a point is seen and 0 where not.

    Longer videos are tracked in windows that share a frame, see `tracks.joined`.
    """

    def __init__(self, predictor: torch.nn.Module, *, device: str = "cpu", window_frames: int = WINDOW_FRAMES) -> None:
        """Take over `predictor`, an offline `CoTrackerPredictor`, and move it to `device`.

        Raises:
            InvalidInputError: windows of less than two frames.
        """
        if window_frames < 2:
            raise InvalidInputError(f"window_frames: expected at least 2, got {window_frames}")
        self._predictor = predictor.to(device).eval()
        self._device, self._window_frames = device, window_frames

    def track(
        self,
        frames: VideoArray,
        *,
        grid_size: int | None = None,
        queries_px: NDArray[np.float32] | None = None,
        query_frame: int = 0,
    ) -> Tracks:
        """See `Tracker.track`; the grid is CoTracker's own, from edge to edge but for a sixty-fourth of the width."""
        check_question(frames, grid_size, queries_px, query_frame)
        if queries_px is None:
            assert grid_size is not None
            queries_px = _grid(grid_size, width_px=frames.shape[2], height_px=frames.shape[1])
        queries = np.asarray(queries_px, dtype=np.float32)
        return both_ways(lambda part: self._followed(part, queries), frames, query_frame)

    def _followed(self, frames: VideoArray, queries_px: NDArray[np.float32]) -> Tracks:
        """Tracks from the first frame on."""
        if len(frames) == 1:
            seen = np.ones((1, len(queries_px)))
            return Tracks(queries_px[None], seen.astype(np.bool_), seen.astype(np.float32))
        seams = [*range(0, len(frames) - 1, self._window_frames - 1), len(frames) - 1]
        windows: list[Tracks] = []
        for first, last in pairwise(seams):
            begin = windows[-1].points[-1] if windows else queries_px
            windows.append(self._window(frames[first : last + 1], begin))
        return joined(windows)

    def _window(self, frames: VideoArray, queries_px: NDArray[np.float32]) -> Tracks:
        padding = [frames[-1:]] * (_FEWEST_FRAMES - len(frames))
        video = torch.from_numpy(np.concatenate([frames, *padding])).to(self._device).permute(0, 3, 1, 2)[None].float()
        asked = np.column_stack([np.zeros(len(queries_px), dtype=np.float32), queries_px])
        points, visible = self._predictor(video, queries=torch.from_numpy(asked).to(self._device)[None])
        seen = visible[0, : len(frames)].cpu().numpy().astype(np.bool_)
        return Tracks(points[0, : len(frames)].float().cpu().numpy(), seen, seen.astype(np.float32))


def load_cotracker(
    checkpoint: Path, *, version: Version = "3", checkout: Path | None = None, device: str = "cpu"
) -> CoTracker:
    """CoTracker with the weights in `checkpoint`.

    Args:
        checkpoint: `scaled_offline.pth` of CoTracker 3 or `cotracker2.pth` of CoTracker 2; read without running code.
        version: Which of the two.
        checkout: Folder of facebookresearch/co-tracker, whose code is run; None takes the installed package.
        device: `cpu`, or `cuda`.

    Raises:
        AnnotationError: no package, no checkout, or one of another time.
        CheckpointError: no file, or weights of another network.
    """
    predictor = _installed(version) if checkout is None else _checked_out(checkout, version)
    try:
        weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{checkpoint}: expected weights of CoTracker {version}: {error}") from error
    if isinstance(weights, dict) and "model" in weights:
        weights = weights["model"]
    try:
        predictor.model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"{checkpoint}: expected weights of CoTracker {version}: {error}") from error
    return CoTracker(predictor, device=device)


def _installed(version: Version) -> Any:
    try:
        predictor = import_module("cotracker.predictor").CoTrackerPredictor
        return predictor(checkpoint=None, v2=version == "2", offline=True, window_len=_MODEL_WINDOWS[version])
    except (ImportError, AttributeError, TypeError) as error:
        raise AnnotationError(
            f"expected the package cotracker of CoTracker 3's time, or a checkout of it, got {error!r}"
        ) from error


def _checked_out(checkout: Path, version: Version) -> Any:
    if not (checkout / "hubconf.py").is_file():
        raise AnnotationError(f"{checkout}: expected a checkout of facebookresearch/co-tracker with its hubconf.py")
    try:
        load: Any = torch.hub.load  # without types
        return load(str(checkout), _HUB_ENTRIES[version], source="local", pretrained=False)
    except (ImportError, RuntimeError, TypeError) as error:
        raise AnnotationError(
            f"{checkout}: expected a co-tracker of CoTracker 3's time with {_HUB_ENTRIES[version]}, got {error!r}"
        ) from error


def _grid(grid_size: int, *, width_px: int, height_px: int) -> NDArray[np.float32]:
    """Points from edge to edge but for a margin, row by row, shape (grid_size², 2) [px]."""
    margin_px = width_px / 64.0
    shares = np.linspace(0.0, 1.0, grid_size) if grid_size > 1 else np.array([0.5])
    x, y = np.meshgrid(*(margin_px + shares * (side - 2.0 * margin_px) for side in (width_px, height_px)))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
