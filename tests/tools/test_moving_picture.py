"""README's moving picture is made of the demo's film."""

from __future__ import annotations

import moving_picture
import numpy as np
from PIL import Image

from magma_ros.sim.film import Shot, write_film


def test_every_second_picture_of_a_film_moves(tmp_path):
    """An animated WebP has every second picture of the film, at the width that was asked for, and repeats."""
    shades = [np.full((48, 64, 3), shade, np.uint8) for shade in range(0, 240, 30)]
    film, picture = tmp_path / "film.mp4", tmp_path / "picture.webp"
    write_film(film, [Shot("put carrot on plate", "success", success=True, frames=tuple(shades))], frames_per_s=10)
    assert 0 == moving_picture.main(["--film", str(film), "--output", str(picture), "--width-px", "32"])
    with Image.open(picture) as moving:
        assert ("WEBP", 32, 0) == (moving.format, moving.width, moving.info["loop"])
        assert 4 <= moving.n_frames <= 10
