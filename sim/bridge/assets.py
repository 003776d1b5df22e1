"""Files that the scenes are built from: the arm's meshes and painted pictures; and the vertices of hulls."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from magma_ros.errors import EnvError
from magma_ros.types import FloatArray, ImageArray

MESH_FOLDER = Path(__file__).resolve().parent / "assets" / "wx250s"
MESHES = {
    "base": "WXSA-250-M-1-Base.stl",
    "shoulder": "WXSA-250-M-2-Shoulder.stl",
    "upper_arm": "WXSA-250-M-3-UA.stl",
    "upper_forearm": "WXSA-250-M-4-UF.stl",
    "lower_forearm": "WXSA-250-M-5-LF.stl",
    "wrist": "WXSA-250-M-6-Wrist.stl",
    "gripper": "WXSA-250-M-7-Gripper.stl",
    "gripper_prop": "WXSA-250-M-8-Gripper-Prop.stl",
    "gripper_bar": "WXSA-250-M-9-Gripper-Bar.stl",
    "finger": "WXSA-250-M-10-Finger.stl",
}
WOOD_SIZE_PX = 256
_HULL_SIDES = 12


@cache
def scene_files() -> dict[str, bytes]:
    """File name → content of everything that the scene's MJCF refers to.

    Raises:
        EnvError: a mesh is missing from the installed package.
    """
    files = {"wood.png": png(wood_picture())}
    for name in MESHES.values():
        path = MESH_FOLDER / name
        if not path.is_file():
            raise EnvError(f"expected the arm's mesh at {path}; reinstall the package with its data files")
        files[name] = path.read_bytes()
    return files


def wood_picture(*, seed: int = 7) -> ImageArray:
    """A plain light wood with grain along the picture's width, RGB, shape (256, 256, 3); tiles without seams."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((WOOD_SIZE_PX, WOOD_SIZE_PX)).astype(np.float32)
    tiled = np.tile(noise, (3, 3))
    grain = cv2.GaussianBlur(tiled, (0, 0), sigmaX=24, sigmaY=0.9) * 5.0
    broad = cv2.GaussianBlur(tiled, (0, 0), sigmaX=40, sigmaY=7) * 14.0
    middle = slice(WOOD_SIZE_PX, 2 * WOOD_SIZE_PX)
    shade = (grain + broad)[middle, middle]
    colour = np.array([178.0, 142.0, 104.0]) + shade[..., None] * np.array([14.0, 14.0, 13.0])
    return np.asarray(np.clip(colour, 0, 255), dtype=np.uint8)


def hull_vertices(half_size_m: tuple[float, float, float], sections: tuple[tuple[float, float], ...]) -> FloatArray:
    """Rings about x, shape (n, 3) [m]; `sections` are (x, width) as shares of the half sizes."""
    angles = np.linspace(0.0, 2.0 * np.pi, _HULL_SIDES, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rings = [np.column_stack([np.full(_HULL_SIDES, x), ring * width]) for x, width in sections]
    return np.asarray(np.concatenate(rings) * np.array(half_size_m))


def png(picture: ImageArray) -> bytes:
    """An RGB picture as the bytes of a file."""
    ok, data = cv2.imencode(".png", picture[..., ::-1])
    assert ok, "encoding a picture that we made ourselves cannot fail"
    return data.tobytes()
