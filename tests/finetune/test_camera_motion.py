"""The camera's motion, found in points and taken out of them."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.finetune.camera_motion import compensated, homographies, is_moving, step_lengths
from magma_ros.finetune.tracks import grid_points
from magma_ros.sim.moving_pictures import Camera, Scene, Thing

BALL = Thing(centre_px=(60.0, 60.0), radii_px=(30.0, 25.0), velocity_px=(4.0, 2.0))
CAMERA = Camera(pan_px=(2.0, -1.0), turn_rad=0.01, zoom=1.005, tilt=(1e-5, -1e-5))
SCENE = Scene(things=(BALL,), camera=CAMERA, num_frames=8, height_px=160, width_px=200)
GRID = grid_points(12, width_px=200, height_px=160)
POINTS = SCENE.paths(GRID).astype(np.float32)
SEEN = SCENE.visible(GRID)


def test_a_points_length_is_its_mean_step() -> None:
    """In pixels per step."""
    points = np.array([[[0, 0], [0, 0]], [[3, 4], [0, 0]], [[3, 4], [1, 0]]], np.float32)
    assert [2.5, 0.5] == step_lengths(points).tolist()


def test_the_camera_moves_if_most_points_do() -> None:
    """More than the share must exceed the step; a thing that moves alone is no camera."""
    still = Scene(things=(BALL,), num_frames=8, height_px=160, width_px=200).paths(GRID).astype(np.float32)
    assert is_moving(POINTS, min_step_px=1.0, min_share=0.8)
    assert not is_moving(still, min_step_px=1.0, min_share=0.8)
    assert not is_moving(POINTS, min_step_px=50.0, min_share=0.8)


@pytest.mark.parametrize("reference", [0, 3])
def test_the_cameras_motion_is_found_and_taken_out(reference) -> None:
    """Points of the plane rest and the thing's go as in the plane, seen from the reference frame."""
    views = homographies(POINTS, SEEN, reference=reference, reprojection_px=1.0)
    assert views is not None
    assert (np.eye(3) == views[reference]).all()
    there = POINTS[reference]
    expected = SCENE.plane_paths(there, frame=reference)
    same = SCENE.owners(there, frame=reference) == SCENE.owners(GRID)
    assert np.abs(compensated(POINTS, views) - expected)[:, same].max() < 0.05


def test_points_that_are_not_seen_do_not_count() -> None:
    """Wrong places of unseen points change nothing."""
    wrong = POINTS.copy()
    hidden = np.zeros_like(SEEN)
    hidden[5, ::2] = True
    wrong[hidden] += 40.0
    views = homographies(wrong, SEEN & ~hidden, reference=0, reprojection_px=1.0)
    assert views is not None
    plane = SCENE.owners(GRID) == -1
    rest = (~hidden[5]) & plane & SEEN[5]
    assert np.abs(compensated(wrong, views)[5, rest] - GRID[rest]).max() < 0.05


def test_without_four_shared_points_there_is_none() -> None:
    """One frame that shares three points with the reference is enough to give up."""
    few = SEEN.copy()
    few[4] = False
    few[4, :3] = True
    assert homographies(POINTS, few, reference=0, reprojection_px=4.0) is None
    assert homographies(np.zeros_like(POINTS), SEEN, reference=0, reprojection_px=4.0) is None
