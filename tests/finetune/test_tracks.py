"""Tracks of points, and the trackers that make them, on videos of known motion."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.lucas_kanade import LucasKanade
from magma_ros.finetune.tracks import Tracks, grid_points, joined
from magma_ros.sim.moving_pictures import Camera, Scene, Thing

BALL = Thing(centre_px=(45.0, 60.0), radii_px=(24.0, 20.0), velocity_px=(4.0, 1.0), turn_rad=0.01)
CAMERA = Camera(pan_px=(-1.5, 1.0), turn_rad=0.006, zoom=1.004)
SCENE = Scene(things=(BALL,), camera=CAMERA, num_frames=10, height_px=128, width_px=160, noise_levels=3.0, seed=2)


def errors(tracks: Tracks, scene: Scene, *, frame: int = 0) -> np.ndarray:
    return np.linalg.norm(tracks.points - scene.paths(tracks.points[frame], frame=frame), axis=2)


def test_tracks_are_whole_and_read_only() -> None:
    """Shapes must agree, pixels be finite, and arrays are copies."""
    points, seen, sure = np.zeros((3, 2, 2), np.float32), np.ones((3, 2), bool), np.ones((3, 2), np.float32)
    tracks = Tracks(points, seen, sure)
    points[:] = 7.0
    assert (tracks.points == 0.0).all()
    assert 3 == len(tracks)
    with pytest.raises(ValueError, match="read-only"):
        tracks.points[0] = 1.0
    with pytest.raises(InvalidInputError):
        Tracks(points, seen[:2], sure)
    with pytest.raises(InvalidInputError):
        Tracks(np.full((3, 2, 2), np.nan, np.float32), seen, sure)


def test_the_grid_is_the_middles_of_equal_cells() -> None:
    """Row by row, as far from the left edge as from the right one."""
    points = grid_points(4, width_px=16, height_px=8)
    assert [[1.5, 0.5], [5.5, 0.5]] == points[:2].tolist()
    np.testing.assert_allclose(points.mean(axis=0), [7.5, 3.5])
    with pytest.raises(InvalidInputError):
        grid_points(9, width_px=16, height_px=8)


def test_points_are_followed_on_plane_and_thing() -> None:
    """Where points are seen under a moving camera, and truly are, the median error is below half a pixel."""
    tracks = LucasKanade().track(SCENE.film(), grid_size=12)
    truly = SCENE.visible(tracks.points[0])
    error = errors(tracks, SCENE)
    on_ball = SCENE.owners(tracks.points[0]) == 0
    assert np.median(error[:, ~on_ball][(tracks.visible & truly)[:, ~on_ball]]) < 0.5
    assert np.median(error[:, on_ball][(tracks.visible & truly)[:, on_ball]]) < 0.5
    assert tracks.visible[truly].mean() > 0.85
    assert tracks.visible[~truly].mean() < 0.15


def test_confidence_is_that_of_what_is_seen() -> None:
    """It is 1 in the query's frame, at least the limit where a point is seen, and 0 where not."""
    tracks = LucasKanade(min_likeness=0.7).track(SCENE.film(), grid_size=8)
    assert (tracks.confidence[0] == 1.0).all()
    assert (tracks.confidence[tracks.visible] >= 0.7).all()
    assert (tracks.confidence[~tracks.visible] == 0.0).all()


def test_what_was_covered_is_seen_again_and_its_way_made_up() -> None:
    """A point that passes behind a post is lost there, found behind it, and its way between is nearly right."""
    post = Thing(centre_px=(95.0, 60.0), radii_px=(9.0, 50.0))
    thing = Thing(centre_px=(45.0, 60.0), radii_px=(24.0, 20.0), velocity_px=(6.0, 0.0))
    scene = Scene(things=(thing, post), num_frames=16, height_px=128, width_px=192, seed=5)
    queries = np.array([[45.0, 60.0]], np.float32)
    tracks = LucasKanade().track(scene.film(), queries_px=queries)
    truly = scene.visible(queries)[:, 0]
    assert not tracks.visible[~truly, 0].any()
    assert tracks.visible[-1, 0]
    assert errors(tracks, scene).max() < 2.0


def test_what_passes_over_a_point_does_not_carry_it_off() -> None:
    """Of the points of the plane that a thing passes over, nearly all are where they were as long as they are seen."""
    thing = Thing(centre_px=(40.0, 64.0), radii_px=(24.0, 30.0), velocity_px=(5.0, 0.0))
    scene = Scene(things=(thing,), num_frames=12, height_px=128, width_px=160, seed=4)
    queries = np.array([[x, y] for x in range(66, 110, 4) for y in range(48, 82, 4)], np.float32)
    tracks = LucasKanade().track(scene.film(), queries_px=queries)
    assert (errors(tracks, scene)[tracks.visible] > 2.0).mean() < 0.06


def test_points_are_tracked_backwards_from_the_frame_in_which_they_are_given() -> None:
    """From the middle of a video, both directions are right."""
    tracks = LucasKanade().track(SCENE.film(), grid_size=8, query_frame=5)
    assert 10 == len(tracks)
    truly = SCENE.visible(tracks.points[5], frame=5)
    error = errors(tracks, SCENE, frame=5)
    for half in (slice(0, 5), slice(6, 10)):
        assert np.median(error[half][(tracks.visible & truly)[half]]) < 0.5


def test_a_flat_cell_gives_its_strongest_corner() -> None:
    """In a picture with one square, the grid's points near it lie on its corners, the others in the middle of cells."""
    frames = np.full((2, 96, 96, 3), 100, np.uint8)
    frames[:, 40:60, 40:60] = 200
    points = LucasKanade().track(frames, grid_size=6).points[0]
    middles = grid_points(6, width_px=96, height_px=96)
    moved = np.linalg.norm(points - middles, axis=1) > 0.1
    assert 0 < moved.sum() < 18
    corners = np.array([[40, 40], [59, 40], [40, 59], [59, 59]])
    nearest = np.linalg.norm(points[moved][:, None] - corners, axis=2).min(axis=1)
    assert np.median(nearest) < 8.0


def test_nothing_is_seen_where_there_is_nothing_to_see() -> None:
    """In a picture of one colour, and after a cut, points are not claimed to be seen."""
    flat = np.full((3, 64, 64, 3), 90, np.uint8)
    assert not LucasKanade().track(flat, grid_size=4).visible[1:].any()
    cut = np.concatenate([SCENE.film()[:1], Scene(things=(), num_frames=1, height_px=128, width_px=160, seed=9).film()])
    assert LucasKanade().track(cut, grid_size=8).visible[1].mean() < 0.05


def test_windows_are_joined_at_the_frame_that_they_share() -> None:
    """The shared frame counts once, and what was not seen at the seam stays unseen."""
    points = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    seen = np.array([[True, True], [True, True], [True, False]])
    first = Tracks(points, seen, seen.astype(np.float32))
    second = Tracks(points[::-1], np.ones((3, 2), bool), np.ones((3, 2), np.float32))
    whole = joined([first, second])
    assert 5 == len(whole)
    assert [True, False] == whole.visible[-1].tolist()
    assert [1.0, 0.0] == whole.confidence[-1].tolist()
    assert (points[0] == whole.points[-1]).all()


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"grid_size": 4, "queries_px": np.zeros((1, 2), np.float32)},
        {"grid_size": 4, "query_frame": 10},
        {"grid_size": 0},
        {"queries_px": np.zeros((0, 2), np.float32)},
        {"queries_px": np.zeros((3, 3), np.float32)},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(question) -> None:
    """A grid or points, at least one of them, in a frame that there is."""
    with pytest.raises(InvalidInputError):
        LucasKanade().track(np.zeros((2, 32, 32, 3), np.uint8), **question)


def test_a_tracker_that_cannot_work_is_refused() -> None:
    """Windows have three pixels or more."""
    with pytest.raises(InvalidInputError):
        LucasKanade(window_px=2)
