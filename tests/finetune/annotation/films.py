"""Episodes and curated clips with things that move, for tests of annotation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.contract import CameraSpec
from magma_ros.episodes import Episode, EpisodeWriter, video
from magma_ros.sim.moving_pictures import Camera, Scene, Thing
from magma_ros.types import ImageArray
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT

SIDE_PX = 96


def film(seed: int, *, num_frames: int = 12, moving: bool = True) -> ImageArray:
    """A thing that goes to the right before a ground at rest, (T, 96, 96, 3)."""
    speed = (3.0, 0.5) if moving else (0.0, 0.0)
    thing = Thing(centre_px=(28.0, 30.0 + 5 * seed), radii_px=(18.0, 14.0), velocity_px=speed)
    scene = Scene(
        things=(thing,), camera=Camera(), num_frames=num_frames, height_px=SIDE_PX, width_px=SIDE_PX, seed=seed
    )
    return scene.film()


def write_episodes(folder: Path, *, count: int = 3) -> Path:
    """Episodes of 12 steps; in the last one nothing moves."""
    contract = replace(CONTRACT, cameras=(CameraSpec("image", SIDE_PX, SIDE_PX),))
    with EpisodeWriter(folder, contract=contract, source={"env": "invented"}) as writer:
        for seed in range(count):
            plain = invented_episode(seed, num_steps=12)
            values: dict[str, Any] = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
            values |= {"images": {"image": film(seed, moving=seed < count - 1)}, "instruction": f"push thing {seed}"}
            writer.append(Episode(**values))
    return folder


def write_clips(folder: Path) -> Path:
    """What a curation of one segment with two clips left, the second one too short for a window."""
    folder.mkdir(parents=True)
    clips = []
    for part, num_frames in enumerate((12, 4)):
        name = f"a.mp4/part_{part}.mp4"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(video.encode(film(part, num_frames=num_frames), rate_hz=10.0))
        clips.append({"clip": name, "part": part})
    line = {"video": "a.mp4", "start": 0.0, "end": 9.0, "text": "push the thing", "clips": clips, "dropped": []}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "settings.json").write_text(json.dumps({"num_segments": 1}))
    return folder


def as_float(picture: ImageArray) -> np.ndarray:
    """For differences of levels."""
    return picture.astype(np.float64)
