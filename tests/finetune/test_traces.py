"""Marks and traces: every degenerate clip has its reason, every draw its seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.lucas_kanade import LucasKanade
from magma_ros.finetune.trace_parameters import DEMO, HUMAN_VIDEO, ROBOT, TraceParameters
from magma_ros.finetune.traces import MarkedFrame, NoTrace, mark_clip, split, trace_of_mark
from magma_ros.finetune.tracks import Tracks, grid_points
from magma_ros.mark_text import parse_tom, to_grid, to_pixels, tom_answer
from magma_ros.marks import disc_px
from magma_ros.sim.moving_pictures import Camera, Scene, Thing

THINGS = (
    Thing(centre_px=(70.0, 90.0), radii_px=(34.0, 30.0), velocity_px=(4.5, 2.0), turn_rad=0.01),
    Thing(centre_px=(190.0, 190.0), radii_px=(28.0, 30.0), velocity_px=(-4.0, -3.0)),
)
CAMERA = Camera(pan_px=(2.0, -1.0), turn_rad=0.005, zoom=1.003)
STILL = Scene(things=THINGS, seed=1, noise_levels=3.0)
MOVING = Scene(things=THINGS, camera=CAMERA, seed=1, noise_levels=3.0)
GRID = grid_points(12, width_px=256, height_px=256)


def exact(scene: Scene) -> Tracks:
    """What a tracker without any fault would say."""
    seen = scene.visible(GRID)
    return Tracks(scene.paths(GRID), seen, seen.astype(np.float32))


def marked(tracks: Tracks, preset: TraceParameters = ROBOT, *, seed: int = 0) -> MarkedFrame:
    return trace_of_mark(tracks, width_px=256, height_px=256, preset=preset, seed=seed)


def unmoving(tracks: Tracks) -> Tracks:
    return Tracks(np.repeat(tracks.points[:1], len(tracks), axis=0), tracks.visible, tracks.confidence)


@pytest.mark.parametrize("scene", [STILL, MOVING])
def test_marks_on_moving_things_get_traces_that_are_right(scene) -> None:
    """With exact tracks, each trace has the cells of the true path without the camera's motion."""
    frame = marked(exact(scene))
    assert frame.no_trace is None
    assert frame.camera_moved == (scene is MOVING)
    assert frame.traces
    for trace in frame.traces:
        mark = frame.marks[trace.number - 1]
        assert scene.owners([[mark.x_px, mark.y_px]])[0] >= 0
        true = to_grid(scene.plane_paths([[mark.x_px, mark.y_px]])[:, 0], width_px=256, height_px=256)
        listed = np.array([trace.start, *trace.future])
        assert np.abs(listed[:, None] - true[None]).max(axis=2).min(axis=1).max() <= 1


def test_traces_that_are_read_back_lie_on_what_moved_and_not_beside_it() -> None:
    """The pixels of the cells are on neither side of the true paths: half a pixel to any side would be seen here."""
    away = []
    for frame in (marked(exact(STILL), seed=seed) for seed in range(8)):
        for trace in frame.traces:
            mark = frame.marks[trace.number - 1]
            true = STILL.plane_paths([[mark.x_px, mark.y_px]])[:, 0]
            offsets = to_pixels(trace.future, width_px=256, height_px=256)[:, None] - true[None]
            nearest = np.linalg.norm(offsets, axis=2).argmin(axis=1)
            away.append(offsets[np.arange(len(nearest)), nearest])
    assert np.abs(np.concatenate(away).mean(axis=0)).max() < 0.1


@pytest.mark.parametrize("preset", [DEMO, HUMAN_VIDEO, ROBOT])
def test_marks_are_as_many_as_the_preset_allows_and_numbered_without_a_gap(preset) -> None:
    """Numbers of foreground and background marks stay in their ranges over seeds, and differ between seeds."""
    tracks = exact(MOVING)
    frames = [marked(tracks, replace(preset, skip_share=0.0), seed=seed) for seed in range(12)]
    for frame in frames:
        assert [mark.number for mark in frame.marks] == list(range(1, len(frame.marks) + 1))
        assert preset.foreground_marks[0] <= sum(frame.is_moving) <= preset.foreground_marks[1]
        assert preset.background_marks[0] <= frame.is_moving.count(False) <= preset.background_marks[1]
        assert len(frame.marks) == frame.paths.shape[1]
        places = [[mark.x_px, mark.y_px] for mark in frame.marks]
        np.testing.assert_allclose(places, frame.paths[frame.frame], atol=1e-3)
    assert len({frame.is_moving for frame in frames}) > 6


def test_a_seed_gives_the_same_marks_and_another_one_others() -> None:
    """Every draw comes from the seed."""
    tracks = exact(MOVING)
    first, again, other = (marked(tracks, HUMAN_VIDEO, seed=seed) for seed in (4, 4, 5))
    assert (first.marks, first.traces, first.history) == (again.marks, again.traces, again.history)
    assert (first.paths == again.paths).all()
    assert first.marks != other.marks


def test_the_whole_way_from_pixels_finds_what_moves() -> None:
    """From a film under a moving camera to an answer's text that reads back as the traces."""
    frame = mark_clip(MOVING.film(), tracker=LucasKanade(), preset=ROBOT, seed=3)
    moving = [mark for mark, is_moving in zip(frame.marks, frame.is_moving, strict=True) if is_moving]
    owners = MOVING.owners([[mark.x_px, mark.y_px] for mark in moving])
    assert (owners >= 0).mean() > 0.5
    assert frame.traces == parse_tom(tom_answer(frame.traces))
    assert frame.num_steps == max(len(trace.future) for trace in frame.traces)
    assert 3 <= frame.speed <= 6


def test_from_pixels_what_moves_is_told_from_what_does_not() -> None:
    """Under a moving camera, with noise and a post in front, all that docs/som_tom.md promises of tracks holds."""
    post = Thing(centre_px=(150.0, 130.0), radii_px=(10.0, 60.0))
    scene = Scene(things=(*THINGS, post), camera=CAMERA, seed=6, noise_levels=4.0)
    tracks = LucasKanade().track(scene.film(), grid_size=16)
    begin = tracks.points[0]
    parts = split(tracks, frame=0, preset=ROBOT)
    moves = np.isin(scene.owners(begin), [0, 1])
    kept = np.concatenate([parts.foreground, parts.background])
    assert moves[parts.foreground].mean() >= 0.9
    assert np.isin(kept[moves[kept]], parts.foreground).mean() >= 0.9
    off_px = np.linalg.norm(parts.paths - scene.plane_paths(begin), axis=2)
    assert np.median(off_px[:, parts.background]) < 1.0
    assert off_px[:, parts.foreground][tracks.visible[:, parts.foreground]].mean() <= 2.0


@pytest.mark.parametrize("scene", [STILL, MOVING])
def test_foreground_is_what_moves_in_the_plane(scene) -> None:
    """With exact tracks no kept point is on the wrong side, whether the camera moves or not."""
    tracks = exact(scene)
    parts = split(tracks, frame=0, preset=ROBOT)
    assert (scene.owners(tracks.points[0][parts.foreground]) >= 0).all()
    assert (scene.owners(tracks.points[0][parts.background]) == -1).all()


def test_upstreams_demonstration_splits_before_the_camera_is_taken_out() -> None:
    """With a fast camera everything is foreground then, which leaves no background to mark."""
    fast = Scene(things=THINGS, camera=Camera(pan_px=(6.0, 0.0)), num_frames=6)
    assert marked(exact(fast), DEMO).no_trace is NoTrace.NO_BACKGROUND
    assert marked(exact(fast), ROBOT).no_trace is None


def test_too_few_points_leave_marks_without_traces() -> None:
    """Points that are seen in half of the frames only are no basis; those seen in the first frame are marked."""
    tracks = exact(STILL)
    visible = np.zeros_like(tracks.visible)
    visible[:8] = True
    frame = marked(Tracks(tracks.points, visible, tracks.confidence))
    assert (frame.no_trace, frame.traces, frame.num_steps) == (NoTrace.FEW_POINTS, (), 0)
    assert 6 <= len(frame.marks) <= 13
    assert len({(mark.x_px, mark.y_px) for mark in frame.marks}) == len(frame.marks)
    unseen = marked(Tracks(tracks.points, np.zeros_like(visible), tracks.confidence))
    assert (unseen.no_trace, unseen.marks) == (NoTrace.FEW_POINTS, ())


def test_without_motion_there_are_marks_and_no_traces() -> None:
    """A scene at rest, and one whose only motion is the camera's, teach where marks are."""
    assert marked(unmoving(exact(STILL))).no_trace is NoTrace.NOTHING_MOVES
    panned = exact(Scene(things=(), camera=CAMERA))
    frame = marked(panned)
    assert (frame.no_trace, frame.camera_moved) == (NoTrace.NOTHING_MOVES, True)
    assert frame.marks


def resting(grid_size: int, *, side_px: int) -> Tracks:
    """A grid of points that all stay where they are for six frames."""
    points = np.repeat(grid_points(grid_size, width_px=side_px, height_px=side_px)[None], 6, axis=0)
    return Tracks(points, np.ones(points.shape[:2], np.bool_), np.ones(points.shape[:2], np.float32))


@pytest.mark.parametrize("side_px", [256, 640])
def test_random_marks_do_not_cover_each_other_where_there_is_room(side_px) -> None:
    """Their middles are a disc's width apart, however dense the points are; and so in every seed."""
    tracks = resting(32, side_px=side_px)
    for seed in range(20):
        frame = trace_of_mark(tracks, width_px=side_px, height_px=side_px, preset=HUMAN_VIDEO, seed=seed)
        assert frame.no_trace in (NoTrace.NOTHING_MOVES, NoTrace.SKIPPED)
        places = np.array([(mark.x_px, mark.y_px) for mark in frame.marks]).reshape(-1, 2)
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(len(places), k=1)]
        assert not len(apart) or apart.min() >= disc_px(len(places), width_px=side_px)


def test_random_marks_are_as_many_where_there_is_no_room_for_them() -> None:
    """In a picture of four discs by four they come closer, but no two to one place, and as many as were drawn."""
    tracks = resting(16, side_px=48)
    for seed in range(5):
        frame = trace_of_mark(tracks, width_px=48, height_px=48, preset=DEMO, seed=seed)
        assert 8 <= len(frame.marks) <= 19
        assert len({(mark.x_px, mark.y_px) for mark in frame.marks}) == len(frame.marks)


def test_marks_that_move_too_little_have_no_trace() -> None:
    """Where a filter leaves no trace, the marks stay and the reason is told."""
    frame = marked(exact(STILL), replace(ROBOT, min_speed_cells=50.0))
    assert (frame.no_trace, frame.traces) == (NoTrace.TOO_STILL, ())
    assert any(frame.is_moving)
    slow = marked(exact(STILL), replace(ROBOT, static_cells=400.0))
    assert slow.no_trace is NoTrace.TOO_STILL


def test_static_positions_are_left_out_of_a_trace() -> None:
    """Each listed position is as far from the one before as asked for, to within the rounding of cells."""
    few = marked(exact(STILL), replace(ROBOT, static_cells=20.0))
    every = marked(exact(STILL), replace(ROBOT, static_cells=0.0))
    assert max(len(trace.future) for trace in few.traces) < min(len(trace.future) for trace in every.traces)
    for trace in few.traces:
        listed = np.array([trace.start, *trace.future])
        assert np.linalg.norm(np.diff(listed, axis=0), axis=1).min() > 18.0


def test_a_trace_ends_where_its_mark_is_last_seen() -> None:
    """Positions that the tracker only estimated at the end are not taught."""
    tracks = exact(STILL)
    visible = tracks.visible.copy()
    visible[11:] = False
    frame = marked(Tracks(tracks.points, visible, tracks.confidence), replace(ROBOT, static_cells=0.0))
    assert 10 == frame.num_steps


def test_positions_outside_of_the_picture_are_clipped_and_counted() -> None:
    """A thing that leaves at the right ends at the last column, and the frame says how often."""
    leaving = Thing(centre_px=(200.0, 128.0), radii_px=(30.0, 60.0), velocity_px=(6.0, 0.0))
    scene = Scene(things=(leaving,), num_frames=12)
    truth = exact(scene)
    tracks = Tracks(truth.points, np.ones_like(truth.visible), truth.confidence)
    frame = marked(tracks, replace(ROBOT, static_cells=0.0))
    cells = np.concatenate([trace.future for trace in frame.traces])
    assert 255 == cells[:, 0].max()
    assert frame.num_clipped == (cells[:, 0] == 255).sum()


def test_the_marked_frame_lies_before_half_of_the_motion() -> None:
    """In human video it varies, its history lies before it, and its future is what is traced."""
    tracks = exact(MOVING)
    frames = [marked(tracks, replace(HUMAN_VIDEO, skip_share=0.0), seed=seed) for seed in range(20)]
    assert len({frame.frame for frame in frames}) > 3
    assert max(frame.frame for frame in frames) <= 8
    for frame in frames:
        assert len(frame.history) == min(3, frame.frame)
        assert list(frame.history) == sorted(set(frame.history))
        assert all(index < frame.frame for index in frame.history)
        assert frame.num_steps <= 15 - frame.frame


def test_the_asked_share_of_clips_is_left_without_marks() -> None:
    """About a fifth of human videos, and none of the others."""
    tracks = exact(MOVING)
    skipped = [marked(tracks, HUMAN_VIDEO, seed=seed).no_trace is NoTrace.SKIPPED for seed in range(60)]
    assert 4 <= sum(skipped) <= 22
    assert () == marked(tracks, replace(HUMAN_VIDEO, skip_share=1.0)).marks


def test_a_single_frame_shows_no_motion() -> None:
    """At least two frames are needed, and parameters in their ranges."""
    tracks = exact(Scene(things=THINGS, num_frames=1))
    with pytest.raises(InvalidInputError):
        marked(tracks)
    with pytest.raises(InvalidInputError):
        replace(ROBOT, visible_share=1.5)
    with pytest.raises(InvalidInputError):
        replace(ROBOT, foreground_marks=(3, 2))


def test_the_presets_have_upstreams_values() -> None:
    """Thresholds and ranges are those of the demonstration, of human video and of robots."""
    values = [
        (
            p.moving_step_px,
            p.foreground_step_px,
            p.foreground_marks,
            p.background_marks,
            p.assume_moving,
            p.split_before,
        )
        for p in (DEMO, HUMAN_VIDEO, ROBOT)
    ]
    assert [
        (0.5, 2.0, (2, 5), (6, 14), False, True),
        (1.0, 3.0, (2, 5), (6, 14), True, False),
        (1.0, 1.0, (2, 4), (4, 9), False, False),
    ] == values
    assert (0.5, 0.8, 4.0, 2.0) == (
        ROBOT.visible_share,
        ROBOT.moving_share,
        ROBOT.reprojection_px,
        ROBOT.static_cells,
    )
    assert (0.2, 2.0, 0.25) == (HUMAN_VIDEO.skip_share, HUMAN_VIDEO.min_speed_cells, HUMAN_VIDEO.min_length_share)
