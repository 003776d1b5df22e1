"""Pictures of the scene: MuJoCo's renderer without shadows, reflections and multisampling, supersampled instead."""

from __future__ import annotations

import weakref

import mujoco

from magma_ros import images
from magma_ros.sim.bridge.gl import require_gl
from magma_ros.sim.bridge.scene import CAMERA_NAME
from magma_ros.types import ImageArray

SUPERSAMPLE = 2
"""Each picture is drawn this many times larger along both sides and area-averaged down."""


class SceneRenderer:
    """Draws the fixed camera's view; owns an OpenGL context until `close`."""

    def __init__(self, model: mujoco.MjModel, *, width_px: int, height_px: int) -> None:
        require_gl()
        self._width_px, self._height_px = width_px, height_px
        self._renderer = mujoco.Renderer(model, SUPERSAMPLE * height_px, SUPERSAMPLE * width_px)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0
        self._close = weakref.finalize(self, self._renderer.close)

    def render(self, data: mujoco.MjData) -> ImageArray:
        """The camera's view of `data`, shape (height_px, width_px, 3).

        Its sensor is 4:3; a square picture is that view stretched, as SimplerEnv does.
        """
        self._renderer.update_scene(data, CAMERA_NAME)
        return images.resize(self._renderer.render(), height_px=self._height_px, width_px=self._width_px)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._close()
