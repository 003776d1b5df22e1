"""`LiberoEnv`: a LIBERO task behind our environment protocol, at 20 Hz."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from magma_ros.errors import EnvError
from magma_ros.sim.libero.convention import FRAME, libero_contract, to_osc
from magma_ros.sim.libero.protocol import CAMERAS, CONTROL_RATE_HZ, IMAGE_SIZE_PX, SETTLE_STEPS, find_task
from magma_ros.sim.libero.rendering import SceneRenderer
from magma_ros.sim.libero.simulation import LiberoState, Simulation
from magma_ros.sim.libero.world import World
from magma_ros.types import Action, ImageArray, Observation, PicturesOnDemand

_REST = to_osc(Action(np.zeros(3), np.zeros(3), 1.0, FRAME))


class LiberoEnv:
    """One task of a LIBERO suite; implements `RecordableEnv`. A seed and the actions fix every step and every picture.

    A picture takes longer than the step that it follows, so it is drawn when it is looked at, and only then.

    Args:
        suite: `libero_spatial`, `libero_object`, `libero_goal`, `libero_10` or `libero_90`.
        task: Upstream's name of the task.
        render: Draw pictures; without, the same physics to the last bit, several times faster.
        cameras: `agentview`, which looks at the table, and `robot0_eye_in_hand` on the wrist.
        image_size_px: Height and width of each picture.
        fast: Draw them for collecting demonstrations: no reflections, no multisampling. Evaluations need upstream's
            pixels, which are what is drawn without.

    Raises:
        EnvError: there is no such task or camera, or LIBERO is not installed as it must be.
    """

    def __init__(
        self,
        suite: str,
        task: str,
        *,
        render: bool = True,
        cameras: Sequence[str] = CAMERAS,
        image_size_px: int = IMAGE_SIZE_PX,
        fast: bool = False,
    ) -> None:
        self.instruction = find_task(suite, task).instruction
        self.contract = libero_contract(cameras, image_size_px=image_size_px)
        self._cameras = tuple(cameras) if render else ()
        world = World(Simulation(suite, task))
        self._world: World | None = world
        self._renderer: SceneRenderer | None = None
        if render:
            self._renderer = SceneRenderer(world.simulation.model, image_size_px=image_size_px, fast=fast)
        self._undrawn: weakref.WeakSet[PicturesOnDemand] = weakref.WeakSet()
        self._begun = False

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """The scene of `seed`, settled: fixtures placed by it, objects in official state seed % 50, ten steps at rest.

        The info names the official state as "init_state". With a demonstration's seed the objects lie between two
        official states, of which none is among the first ten, and it is None.
        """
        simulation = self._open().simulation
        self._draw_while_possible()
        index = simulation.reset(seed=seed)
        success = False
        for _ in range(SETTLE_STEPS):
            success = simulation.step(_REST)
        self._begun = True
        return self._observe(), {"success": success, "init_state": index}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """0.05 s; terminates, with reward 1.0, at the first step after which the goal's predicates hold."""
        success = self._running().simulation.step(to_osc(action))
        return self._observe(), float(success), success, False, {"success": success}

    def get_state(self) -> LiberoState:
        """The present state; a value of its own."""
        return self._running().simulation.get_state()

    def set_state(self, state: LiberoState) -> Observation:
        """Continue from `state`, which may come from another environment of the same task, drawn or not."""
        simulation = self._open().simulation
        self._draw_while_possible()
        simulation.set_state(state)
        self._begun = True
        return self._observe()

    def world(self) -> World:
        """Where everything is now: for experts and tests, never for a policy."""
        return self._running()

    def close(self) -> None:
        """Free renderer and physics; further calls raise `EnvError`."""
        self._draw_while_possible()
        if self._renderer is not None:
            self._renderer.close()
        if self._world is not None:
            self._world.simulation.close()
        self._renderer = self._world = None
        gc.collect()  # robosuite ties its objects into cycles, with the meshes and textures of the scene

    def _open(self) -> World:
        if self._world is None:
            raise EnvError("expected an open environment: it is closed")
        return self._world

    def _running(self) -> World:
        world = self._open()
        if not self._begun:
            raise EnvError("expected `reset` before this call: the environment is new")
        return world

    def _observe(self) -> Observation:
        world = self._running()
        simulation = world.simulation
        stamp_s = (simulation.num_steps - SETTLE_STEPS) / CONTROL_RATE_HZ
        return Observation(self._pictures(), self.instruction, stamp_s, world.proprio())

    def _pictures(self) -> Mapping[str, ImageArray]:
        renderer, sight = self._renderer, self._running().simulation.sight
        if renderer is None:
            return {}
        pictures = PicturesOnDemand(self._cameras, lambda camera: renderer.render(sight, camera))
        self._undrawn.add(pictures)
        return pictures

    def _draw_while_possible(self) -> None:
        """Draw what somebody still holds: the fixtures are about to be placed anew, or the renderer to be closed."""
        for pictures in tuple(self._undrawn):
            dict(pictures)
        self._undrawn.clear()
