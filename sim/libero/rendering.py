"""Pictures of a LIBERO scene: upstream's, pixel for pixel, or quick ones for collecting demonstrations."""

from __future__ import annotations

import weakref

import mujoco
import numpy as np

from magma_ros.sim.bridge.gl import require_gl
from magma_ros.sim.libero.simulation import Sight
from magma_ros.types import ImageArray

_COLLISION_GROUP, _VISUAL_GROUP = 0, 1


class SceneRenderer:
    """Draws what the cameras saw at a moment; owns an OpenGL context until `close`.

    Pictures come as robosuite hands them out: OpenGL's rows, upside down. `CameraSpec.rotate_180` turns them.

    With `fast` there are neither reflections nor multisampling: at least twice as many pictures, other pixels at edges
    and on the table. For demonstrations; a reported result is made without.
    """

    def __init__(self, model: mujoco.MjModel, *, image_size_px: int, fast: bool) -> None:
        require_gl()
        self._model = model
        self._data = mujoco.MjData(model)
        buffer = model.vis.global_
        buffer.offwidth, buffer.offheight = (max(size, image_size_px) for size in (buffer.offwidth, buffer.offheight))
        if fast:
            model.vis.quality.offsamples = 0
        self._renderer = mujoco.Renderer(model, image_size_px, image_size_px)
        if fast:
            self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._shown = mujoco.MjvOption()
        self._shown.geomgroup[_COLLISION_GROUP], self._shown.geomgroup[_VISUAL_GROUP] = 0, 1
        self._close = weakref.finalize(self, self._renderer.close)

    def render(self, sight: Sight, camera: str) -> ImageArray:
        """The picture that `camera` has of `sight`, (image_size_px, image_size_px, 3), upside down."""
        self._data.qpos[:] = sight.joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        present = self._model.site_rgba[:, 3].copy()
        self._model.site_rgba[:, 3] = sight.site_alpha
        self._renderer.update_scene(self._data, camera, self._shown)
        self._model.site_rgba[:, 3] = present
        return np.flipud(self._renderer.render())

    def close(self) -> None:
        """Free the OpenGL context."""
        self._close()
