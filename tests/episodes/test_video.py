"""Pictures as H.264 and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes import video
from magma_ros.errors import EpisodeError


def smooth_pictures(num_pictures: int, *, height: int = 64, width: int = 96) -> np.ndarray:
    """Slopes of colour that wander: what a camera sees, more or less."""
    step, y, x = np.mgrid[0:num_pictures, 0:height, 0:width]
    waves = [np.sin(x / 17 + step / 3), np.cos(y / 11 - step / 5), np.sin((x + y) / 23 + step / 7)]
    return np.stack([(127 + 90 * wave).astype(np.uint8) for wave in waves], axis=-1)


def write(folder: Path, pictures: np.ndarray, *, rate_hz: float = 5.0) -> Path:
    path = folder / "clip.mp4"
    path.write_bytes(video.encode(pictures, rate_hz=rate_hz))
    return path


def test_the_error_is_small(tmp_path: Path) -> None:
    """Smooth colours come back within 1.6 levels on average, 16 at most; nothing is shifted, turned or swapped."""
    pictures = smooth_pictures(12)
    back = video.decode(write(tmp_path, pictures), start_s=0.0, num_pictures=12, rate_hz=5.0)
    error = np.abs(pictures.astype(int) - back)
    assert error.mean() < 1.6
    assert error.max() <= 16


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40)])
def test_colours_stay_what_they_are(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    """Full red comes back as full red: the matrix and range that encode are those that decode."""
    pictures = np.broadcast_to(np.array(colour, np.uint8), (2, 32, 32, 3))
    back = video.decode(write(tmp_path, pictures), start_s=0.0, num_pictures=2, rate_hz=5.0)
    assert np.abs(back.astype(int) - np.array(colour)).max() <= 3


@pytest.mark.parametrize("rate_hz", [5.0, 7.5, 29.97, 50.0, 1 / 3])
def test_each_picture_is_found_at_its_time(tmp_path: Path, rate_hz: float) -> None:
    """From any step on, at any rate, the pictures are those that were written there, in their order."""
    levels = np.arange(10, 250, 8, dtype=np.uint8)
    pictures = np.broadcast_to(levels[:, None, None, None], (len(levels), 16, 16, 3))
    path = write(tmp_path, pictures, rate_hz=rate_hz)
    for first in (0, 1, 7, 28):
        back = video.decode(path, start_s=first / rate_hz, num_pictures=2, rate_hz=rate_hz)
        assert np.abs(back[:, 0, 0, 0].astype(int) - levels[first : first + 2]).max() <= 2


def test_the_same_pictures_are_the_same_bytes() -> None:
    """In 500 encodings, since x264's macroblock tree makes about one of 200 such clips another one."""
    scene = np.kron(np.random.default_rng(2).integers(40, 200, (6, 8, 3)), np.ones((8, 8, 1)))
    pictures = [(scene + 6 * (step % 5)).astype(np.uint8) for step in range(19)]
    assert 1 == len({video.encode(pictures, rate_hz=10.0) for _ in range(500)})


def test_clips_follow_one_another_without_being_encoded_again(tmp_path: Path) -> None:
    """Joined, cut and joined again, each clip decodes to what it decoded to alone."""
    clips = [smooth_pictures(number, height=32, width=32)[::-1] for number in (3, 4, 5)]
    alone = []
    for clip in clips:
        path = write(tmp_path, clip)
        alone.append(video.decode(path, start_s=0.0, num_pictures=len(clip), rate_hz=5.0))
    first = write(tmp_path, clips[0])
    video.join(first, video.encode(clips[2], rate_hz=5.0), tmp_path / "too_long.mp4", num_kept=3, rate_hz=5.0)
    joined = tmp_path / "joined.mp4"
    video.join(tmp_path / "too_long.mp4", video.encode(clips[1], rate_hz=5.0), joined, num_kept=3, rate_hz=5.0)
    np.testing.assert_array_equal(alone[0], video.decode(joined, start_s=0.0, num_pictures=3, rate_hz=5.0))
    np.testing.assert_array_equal(alone[1], video.decode(joined, start_s=0.6, num_pictures=4, rate_hz=5.0))
    with pytest.raises(EpisodeError, match=r"expected 5 pictures from 0\.6 s on, got 4"):
        video.decode(joined, start_s=0.6, num_pictures=5, rate_hz=5.0)


def test_only_clips_of_one_kind_follow_one_another(tmp_path: Path) -> None:
    """Another size needs another decoder, so it begins a file of its own."""
    path = write(tmp_path, smooth_pictures(2))
    assert video.can_follow(path, video.encode(smooth_pictures(3)[::-1], rate_hz=5.0))
    assert not video.can_follow(path, video.encode(smooth_pictures(2, height=48), rate_hz=5.0))


def test_an_episode_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is known from the first picture, before the others are decoded."""
    path = write(tmp_path, smooth_pictures(4))
    monkeypatch.setattr(video, "MAX_DECODED_BYTES", 4 * 64 * 96 * 3 - 1)
    with pytest.raises(EpisodeError, match="at most"):
        video.decode(path, start_s=0.0, num_pictures=4, rate_hz=5.0)
