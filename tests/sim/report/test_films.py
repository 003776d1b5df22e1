"""Small films of trials."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magma_ros.contract import CameraSpec
from magma_ros.sim.report.films import MAX_BYTES, FilmRecorder
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Observation, PicturesOnDemand, SafeAction
from tests.examples import CONTRACT, make_action, make_proprio

MOVES = SafeAction(make_action())


def film(recorder, path, pictures, *, decision=MOVES, outcome="success"):
    for step, picture in enumerate(pictures):
        recorder(Observation({"image": picture}, "push", 0.2 * step, make_proprio([0.3, 0.0, 0.2])), decision)
    return recorder.save(path, outcome=outcome, caption="carrot, seed 3")


def flat(count, *, shape=(96, 128, 3)):
    """Grey pictures, each plainly another than the one before: equal ones would be drawn together."""
    return [np.full(shape, 17 * (step % 15), np.uint8) for step in range(count)]


def read(path):
    ok, animation = cv2.imreadanimation(str(path))
    assert ok
    return animation


def test_a_short_trial_is_shown_step_by_step(tmp_path) -> None:
    """Every picture, 160 px wide over a bar of text, at twice the speed of the world, and the last one for a moment."""
    path = tmp_path / "films" / "a.webp"
    assert film(FilmRecorder(CONTRACT.cameras), path, flat(5))
    animation = read(path)
    assert [frame.shape[:2] for frame in animation.frames] == [(120 + 30, 160)] * 5
    assert [frame[:110, :, :3].mean() for frame in animation.frames] == pytest.approx([0, 17, 34, 51, 68], abs=4)
    assert list(animation.durations) == [100] * 4 + [1500]


def test_cameras_stand_side_by_side_and_upright(tmp_path) -> None:
    """What a policy sees, turned as its contract says, at one height; only pictures that are kept are drawn."""
    turned = CameraSpec("turned", 100, 100, rotate_180=True)
    recorder = FilmRecorder([*CONTRACT.cameras, turned, CameraSpec("elsewhere", 9, 9)], max_frames=4)
    drawn: list[tuple[int, str]] = []
    half = np.zeros((100, 100, 3), np.uint8)
    half[:50] = 250
    for step in range(7):

        def look(name: str, step: int = step) -> np.ndarray:
            drawn.append((step, name))
            return half if name == "turned" else half[:48] // 2

        pictures = PicturesOnDemand(["image", "turned", "other"], look)
        recorder(Observation(pictures, "push", 0.2 * step, make_proprio([0.3, 0.0, 0.2])), MOVES)
    assert recorder.save(tmp_path / "a.webp", outcome="success", caption="two")
    last = read(tmp_path / "a.webp").frames[-1][..., :3]
    assert (77 + 30, 160 + 77) == last.shape[:2]
    assert [125, 0, 250] == pytest.approx(
        [last[5:70, :150].mean(), last[5:30, 170:230].mean(), last[45:70, 170:230].mean()], abs=6
    )
    assert {name for _, name in drawn} == {"image", "turned"}
    assert {step for step, _ in drawn} == {0, 1, 2, 3, 4, 6}


@pytest.mark.parametrize("num_steps", [39, 40, 41, 100, 520])
def test_a_long_trial_is_shown_evenly_from_first_to_last(tmp_path, num_steps) -> None:
    """At most so many frames, at one pace, ending on the last one."""
    path = tmp_path / "a.webp"
    film(FilmRecorder(CONTRACT.cameras, max_frames=40, width_px=32), path, flat(num_steps, shape=(24, 32, 3)))
    animation = read(path)
    assert 20 <= len(animation.frames) <= 40
    assert animation.frames[-1][:20, :, :3].mean() == pytest.approx(17 * ((num_steps - 1) % 15), abs=4)
    assert len(set(animation.durations[:-2])) == 1
    assert sum(animation.durations[:-1]) == pytest.approx(100 * (num_steps - 1), rel=0.01)


def test_a_film_is_never_too_large(tmp_path) -> None:
    """Noise does not compress: quality goes first, then frames, but not time."""
    path = tmp_path / "a.webp"
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 256, (160, 160, 3), dtype=np.uint8) for _ in range(40)]
    film(FilmRecorder(CONTRACT.cameras), path, noise)
    assert path.stat().st_size <= MAX_BYTES
    assert sum(read(path).durations) == 39 * 100 + 1500


def test_text_says_how_it_ended_and_where_it_was_stopped(tmp_path) -> None:
    """Other outcomes and stops make other letters."""
    bars = {}
    stop = Stop(StopReason.HIGH_ENTROPY, "")
    for name, outcome, decision in (("a", "success", MOVES), ("b", "failure", MOVES), ("c", "success", stop)):
        film(FilmRecorder(CONTRACT.cameras), tmp_path / name, flat(3), outcome=outcome, decision=decision)
        bars[name] = [frame[-30:].astype(int) for frame in read(tmp_path / name).frames]
    assert np.abs(bars["a"][-1] - bars["b"][-1]).max() > 60
    assert np.abs(bars["a"][0] - bars["b"][0]).max() < 30
    assert np.abs(bars["a"][0] - bars["c"][0]).max() > 60


def test_without_pictures_nothing_is_written(tmp_path) -> None:
    """A trial that was not drawn, or did not begin, has no film."""
    path = tmp_path / "a.webp"
    recorder = FilmRecorder(CONTRACT.cameras)
    recorder(Observation({}, "push", 0.0, make_proprio([0.3, 0.0, 0.2])), MOVES)
    assert not recorder.save(path, outcome="error", caption="a")
    assert not path.exists()
