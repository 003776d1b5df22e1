"""Videos of known motion: what they say of themselves agrees with their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.sim.moving_pictures import Camera, Scene, Thing

BALL = Thing(centre_px=(40.0, 50.0), radii_px=(16.0, 12.0), velocity_px=(3.0, 1.0), turn_rad=0.1)
POST = Thing(centre_px=(80.0, 60.0), radii_px=(6.0, 30.0))
CAMERA = Camera(pan_px=(2.0, -1.0), turn_rad=0.01, zoom=1.01, tilt=(1e-5, 0.0))
SCENE = Scene(things=(BALL, POST), camera=CAMERA, num_frames=8, height_px=120, width_px=140, seed=3)


def test_a_scene_films_the_same_twice_and_another_by_another_seed() -> None:
    """Textures and noise come from the seed alone."""
    noisy = Scene(things=(BALL,), num_frames=2, height_px=64, width_px=64, noise_levels=5.0)
    assert (noisy.film() == noisy.film()).all()
    assert (SCENE.film() != Scene(things=(BALL, POST), num_frames=8, height_px=120, width_px=140).film()).any()


def test_pixels_move_as_the_paths_say() -> None:
    """The picture around a point's true place in a later frame is the one around it in the first."""
    film = SCENE.film().astype(float)
    points = np.array([[40.0, 50.0], [36.0, 46.0], [20.0, 100.0], [100.0, 20.0]])
    paths, visible = SCENE.paths(points), SCENE.visible(points)
    for frame in (1, 4, 7):
        for index in np.flatnonzero(visible[frame]):
            x, y = np.rint(paths[frame, index]).astype(int)
            column, row = points[index].astype(int)
            there, here = film[frame, y - 1 : y + 2, x - 1 : x + 2], film[0, row - 1 : row + 2, column - 1 : column + 2]
            assert np.abs(there.mean(axis=(0, 1)) - here.mean(axis=(0, 1))).max() < 25.0


def test_without_the_camera_the_plane_rests_and_the_thing_moves() -> None:
    """Of a point of the plane every place is the first one; the thing's middle goes with its velocity."""
    paths = SCENE.plane_paths([[120.0, 100.0], [40.0, 50.0]])
    np.testing.assert_allclose(paths[:, 0], np.broadcast_to([120.0, 100.0], (8, 2)), atol=1e-9)
    expected = np.array([40.0, 50.0]) + np.arange(8)[:, None] * np.array([3.0, 1.0])
    np.testing.assert_allclose(paths[:, 1], expected, atol=1e-9)


def test_paths_may_begin_in_any_frame() -> None:
    """A path from a later frame on is the same one, seen from there."""
    first = SCENE.paths([[44.0, 52.0]])
    np.testing.assert_allclose(first, SCENE.paths(first[5], frame=5), atol=1e-6)
    np.testing.assert_allclose(first[5], SCENE.plane_paths(first[5], frame=5)[5], atol=1e-6)


def test_what_is_covered_or_outside_is_not_seen() -> None:
    """The ball's middle is hidden while the post is over it; a point that the camera leaves is not seen either."""
    scene = Scene(things=(BALL, POST), num_frames=24, height_px=120, width_px=140)
    visible = scene.visible([[40.0, 50.0]])[:, 0]
    distance = np.abs(scene.plane_paths([[40.0, 50.0]])[:, 0, 0] - 80.0)
    assert visible[0]
    assert not visible[distance < 4.0].any()
    assert visible[distance > 7.0].all()
    panned = Scene(things=(), camera=Camera(pan_px=(10.0, 0.0)), num_frames=3, height_px=64, width_px=64)
    assert [True, True, False] == panned.visible([[50.0, 30.0]])[:, 0].tolist()


def test_the_later_thing_owns_what_both_cover() -> None:
    """-1 is the plane."""
    scene = Scene(things=(BALL, Thing(centre_px=(46.0, 50.0), radii_px=(8.0, 8.0))), height_px=120, width_px=140)
    assert [0, 1, -1] == scene.owners([[30.0, 50.0], [46.0, 50.0], [100.0, 100.0]]).tolist()


def test_a_picture_that_is_too_small_is_refused() -> None:
    """Sides have 16 px or more."""
    with pytest.raises(InvalidInputError):
        Scene(things=(), height_px=8)
