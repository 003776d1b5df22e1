"""CoTracker behind the trackers' protocol; the public network has been tried by hand with random weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from magma_ros.errors import AnnotationError, CheckpointError, InvalidInputError
from magma_ros.finetune.cotracker import CoTracker, load_cotracker

CHECKOUT = Path(__file__).parent / "cotracker_stand_in"
FRAMES = np.zeros((10, 48, 64, 3), np.uint8)


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """Weights of the stand-in, and no module of it left from another test."""
    for name in [name for name in sys.modules if name.partition(".")[0] in {"cotracker", "hubconf"}]:
        monkeypatch.delitem(sys.modules, name)
    path = tmp_path / "scaled_offline.pth"
    torch.save({"model": {"step": torch.tensor([3.0, 1.0])}}, path)
    return path


def test_a_checkout_and_its_weights_make_a_tracker(weights) -> None:
    """The network of the checkout follows the grid with the weights of the file."""
    tracks = load_cotracker(weights, checkout=CHECKOUT).track(FRAMES, grid_size=3)
    assert (10, 9, 2) == tracks.points.shape
    np.testing.assert_allclose(tracks.points[4] - tracks.points[0], np.broadcast_to([12.0, 4.0], (9, 2)), rtol=1e-6)
    assert [1.0, 1.0] == tracks.points[0, 0].tolist()
    assert [63.0, 47.0] == tracks.points[0, 8].tolist()


def test_an_installed_package_makes_a_tracker(weights, monkeypatch) -> None:
    """Without a checkout the package is taken, in the version that is asked for."""
    monkeypatch.syspath_prepend(CHECKOUT)
    tracker = load_cotracker(weights, version="2")
    assert (True, 8) == tracker._predictor.kind
    assert load_cotracker(weights)._predictor.kind == (False, 60)


def test_points_are_tracked_both_ways_from_their_frame(weights) -> None:
    """Backwards the video is shown in reverse, and the tracks come in the video's order."""
    query = np.array([[30.0, 20.0]], np.float32)
    tracks = load_cotracker(weights, checkout=CHECKOUT).track(FRAMES, queries_px=query, query_frame=4)
    expected = [[30.0 + 3 * abs(t - 4), 20.0 + abs(t - 4)] for t in range(10)]
    assert expected == tracks.points[:, 0].tolist()


@pytest.mark.parametrize("window_frames", [2, 4, 9, 60])
def test_windows_give_the_same_tracks_as_the_whole_video(weights, window_frames) -> None:
    """A long video is tracked in windows, none shorter than eight frames, and the points go on from one to the next."""
    predictor = load_cotracker(weights, checkout=CHECKOUT)._predictor
    tracker = CoTracker(predictor, window_frames=window_frames)
    tracks = tracker.track(FRAMES, queries_px=np.array([[50.0, 20.0]], np.float32))
    assert [[50.0 + 3 * t, 20.0 + t] for t in range(10)] == tracks.points[:, 0].tolist()
    assert [True] * 5 + [False] * 5 == tracks.visible[:, 0].tolist()
    assert (tracks.visible == tracks.confidence.astype(bool)).all()
    assert min(predictor.lengths) >= 8


def test_what_is_missing_or_does_not_fit_is_named(weights, tmp_path, monkeypatch) -> None:
    """No package, no checkout, no file, weights of another network, and a file that would run code are refused."""
    monkeypatch.setitem(sys.modules, "cotracker", None)
    with pytest.raises(AnnotationError, match="package cotracker"):
        load_cotracker(weights)
    with pytest.raises(AnnotationError, match=r"hubconf\.py"):
        load_cotracker(weights, checkout=tmp_path)
    monkeypatch.delitem(sys.modules, "cotracker")
    with pytest.raises(AnnotationError, match="cotracker2"):
        load_cotracker(weights, checkout=CHECKOUT, version="2")
    for name, content in (("other.pth", {"step": torch.zeros(5)}), ("code.pth", {"step": Path("x")})):
        torch.save(content, tmp_path / name)
        with pytest.raises(CheckpointError, match=name):
            load_cotracker(tmp_path / name, checkout=CHECKOUT)
    with pytest.raises(CheckpointError, match=r"none\.pth"):
        load_cotracker(tmp_path / "none.pth", checkout=CHECKOUT)


def test_windows_of_one_frame_are_refused(weights) -> None:
    """They would share nothing."""
    with pytest.raises(InvalidInputError):
        CoTracker(load_cotracker(weights, checkout=CHECKOUT)._predictor, window_frames=1)
