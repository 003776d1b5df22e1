"""Short films with known shots, for tests of curation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from magma_ros.episodes import video
from magma_ros.types import ImageArray

RATE_HZ = 10.0


def shot(seed: int, count: int, *, size: tuple[int, int] = (48, 64)) -> ImageArray:
    """`count` pictures of one scene whose brightness goes up and down, (count, height, width, 3)."""
    generator = np.random.default_rng(seed)
    scene = np.kron(generator.integers(40, 200, (size[0] // 8, size[1] // 8, 3)), np.ones((8, 8, 1)))
    drift = 6 * (np.arange(count)[:, None, None, None] % 5)
    return (scene + drift).astype(np.uint8)


def write_film(path: Path, *shots: ImageArray) -> Path:
    """The shots one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(video.encode(np.concatenate(shots), rate_hz=RATE_HZ))
    return path
