"""`BridgeEnv`: SimplerEnv's four WidowX tasks, at 5 Hz, with target-delta end-effector actions along the base axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.geometry import compose_ee_delta
from magma_ros.sim.bridge import scene
from magma_ros.sim.bridge.layouts import Layout, layout_of_seed
from magma_ros.sim.bridge.looks import MATCHING, SHIFTED, Look, look_of_seed
from magma_ros.sim.bridge.rendering import SceneRenderer
from magma_ros.sim.bridge.success import CONSECUTIVE_GRASP_STEPS, has_moved
from magma_ros.sim.bridge.tasks import find_task
from magma_ros.sim.bridge.world import World, WorldPoses
from magma_ros.sim.suites import Look as LookSet
from magma_ros.types import Action, FloatArray, ImageArray, Observation, Pose, Proprio

BRIDGE_CONTRACT = ActionContract(
    embodiment="bridge_widowx",
    frame="base_link",
    rotation_form="rpy",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=float(scene.CONTROL_HZ),
    max_translation_m=0.05,
    max_rotation_rad=0.5,
    cameras=(CameraSpec(scene.CAMERA_NAME, 128, 128),),
)
SUBSTEPS = scene.PHYSICS_HZ // scene.CONTROL_HZ


@dataclass(frozen=True, slots=True)
class BridgeState:
    """Everything that picture and physics depend on; `set_state` continues from it exactly.

    Attributes:
        physics: MuJoCo's integration state, shape (n,).
        target_position_m, target_quat_xyzw: Accumulated end-effector target in the base frame.
        source_start_m: The source's position after settling, world frame, shape (3,) [m].
        num_steps: Control steps since reset.
        num_grasped_steps, longest_grasp_steps: Length of the present grasp and of the longest one.
        look: How the trial looks.
    """

    physics: FloatArray
    target_position_m: FloatArray
    target_quat_xyzw: FloatArray
    source_start_m: FloatArray
    num_steps: int = 0
    num_grasped_steps: int = 0
    longest_grasp_steps: int = 0
    look: Look = MATCHING


class BridgeEnv:
    """A WidowX 250S and a task; implements `RecordableEnv`. Deterministic: a seed and the actions fix every bit.

    Attributes:
        task: What is to be done.
        instruction, contract: As `Env`.
    """

    def __init__(
        self,
        task: str = "carrot_on_plate",
        *,
        image_size_px: int = 128,
        render: bool = True,
        look: LookSet = "matching",
    ) -> None:
        self.task = find_task(task)
        self.instruction = self.task.instruction
        self.contract = BRIDGE_CONTRACT
        self._look_set: LookSet = look
        self._size_px = (image_size_px, image_size_px) if render else None
        self._world = World(self.task, MATCHING)
        self._renderer = self._new_renderer(self._size_px)
        self._viewer: tuple[tuple[int, int], SceneRenderer] | None = None
        self._state: BridgeState | None = None

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """Arm at home, gripper open, things laid out by `seed` and settled for 0.5 s.

        With variants, `info["variant"]` names the axis along which the look of this seed departs from the fixed one.
        """
        varies = self._look_set == "variants"
        fixed = SHIFTED if self._look_set == "shifted" else MATCHING
        look = look_of_seed(seed, self.task) if varies else fixed
        observation, info = self.reset_to(layout_of_seed(seed, self.task.placement), look)
        return observation, {**info, "variant": look.axis} if varies else info

    def reset_to(self, layout: Layout, look: Look = MATCHING) -> tuple[Observation, dict[str, Any]]:
        """As `reset`, with the things where `layout` puts them and the looks of `look`."""
        self._dress(look)
        self._world.place(layout)
        self._state = BridgeState(
            self._world.physics(), *self._world.ee_in_base(), self._world.source_in_world(), look=look
        )
        return self._observe(), self._info()

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """0.2 s of physics towards the target that `action` moves; reward 1.0 on success; never ends by itself."""
        state, world = self._require_state(), self._world
        _require_usable(action)
        position, quat = compose_ee_delta(state.target_position_m, state.target_quat_xyzw, action)
        world.drive(position, quat, action.gripper_opening, num_substeps=SUBSTEPS)
        grasped = state.num_grasped_steps + 1 if world.contacts().grasped else 0
        self._state = replace(
            state,
            physics=world.physics(),
            target_position_m=position,
            target_quat_xyzw=quat,
            num_steps=state.num_steps + 1,
            num_grasped_steps=grasped,
            longest_grasp_steps=max(grasped, state.longest_grasp_steps),
        )
        info = self._info()
        return self._observe(), float(info["success"]), False, False, info

    def follow(self, target_in_base: Pose, gripper_opening: float, *, num_substeps: int) -> Proprio:
        """As many steps of 1 / `PHYSICS_HZ` s towards a pose of the end effector; draws nothing, is no control step."""
        state, world = self._require_state(), self._world
        position, quat = target_in_base.position_m, target_in_base.quat_xyzw
        world.drive(position, quat, gripper_opening, num_substeps=num_substeps)
        self._state = replace(state, physics=world.physics(), target_position_m=position, target_quat_xyzw=quat)
        return self._proprio()

    def look(self) -> tuple[Observation, dict[str, Any]]:
        """What there is to see now, as `step` gives it."""
        self._require_state()
        return self._observe(), self._info()

    def place_ee(self, position_m: FloatArray, quat_xyzw: FloatArray) -> Observation:
        """Put the arm, at rest, where its end effector has this pose in the base frame (or near it), and aim there."""
        state, world = self._require_state(), self._world
        world.put_ee(position_m, quat_xyzw)
        position, quat = world.ee_in_base()
        self._state = BridgeState(
            world.physics(), position, quat, state.source_start_m, state.num_steps, look=state.look
        )
        return self._observe()

    def view(self, *, width_px: int, height_px: int) -> ImageArray:
        """The scene as the camera sees it, for people: shape (height_px, width_px, 3); 4:3 is undistorted."""
        self._require_state()
        size = (width_px, height_px)
        if self._viewer is None or self._viewer[0] != size:
            self._close_viewer()
            self._viewer = (size, SceneRenderer(self._world.model, width_px=width_px, height_px=height_px))
        return self._viewer[1].render(self._world.data)

    def get_state(self) -> BridgeState:
        """The present state; a value of its own."""
        return self._require_state()

    def set_state(self, state: BridgeState) -> Observation:
        """Continue from `state`, which may come from another `BridgeEnv` of the same task, in any look."""
        self._dress(state.look)
        self._world.restore(state.physics)
        self._state = state
        return self._observe()

    def poses(self) -> WorldPoses:
        """Where everything is now: for experts and tests, never for a policy."""
        self._require_state()
        return self._world.poses()

    def camera_pose(self) -> Pose:
        """The camera's optical frame in the base frame: x right, y down, z forward."""
        self._require_state()
        return Pose(*self._world.camera_in_base())

    def close(self) -> None:
        """Free the renderers; further calls raise `EnvError`."""
        self._close_renderers()
        self._state = None

    def _dress(self, look: Look) -> None:
        """Another look is another model, and its meshes and textures must go to the renderer again."""
        if look != self._world.look:
            self._close_renderers()
            self._world = World(self.task, look)
            self._renderer = self._new_renderer(self._size_px)

    def _new_renderer(self, size_px: tuple[int, int] | None) -> SceneRenderer | None:
        if size_px is None:
            return None
        return SceneRenderer(self._world.model, width_px=size_px[0], height_px=size_px[1])

    def _close_renderers(self) -> None:
        self._close_viewer()
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _close_viewer(self) -> None:
        if self._viewer is not None:
            self._viewer[1].close()
            self._viewer = None

    def _require_state(self) -> BridgeState:
        if self._state is None:
            raise EnvError("expected `reset` before this call: the environment is new or closed")
        return self._state

    def _observe(self) -> Observation:
        pictures = {} if self._renderer is None else {scene.CAMERA_NAME: self._renderer.render(self._world.data)}
        stamp_s = self._require_state().num_steps / scene.CONTROL_HZ
        return Observation(pictures, self.instruction, stamp_s, self._proprio())

    def _proprio(self) -> Proprio:
        return Proprio(*self._world.ee_in_base(), self._world.gripper_opening(), self._world.joints_rad())

    def _info(self) -> dict[str, Any]:
        state, contacts = self._require_state(), self._world.contacts()
        return {
            "success": self._world.is_success(contacts),
            "grasped": contacts.grasped,
            "moved": has_moved(state.source_start_m, self._world.source_in_world()),
            "consecutive_grasp": state.longest_grasp_steps >= CONSECUTIVE_GRASP_STEPS,
        }


def _require_usable(action: Action) -> None:
    if action.frame != BRIDGE_CONTRACT.frame:
        raise InvalidInputError(f"action: expected frame {BRIDGE_CONTRACT.frame!r}, got {action.frame!r}")
    if not np.isfinite(action.to_array()).all():
        raise InvalidInputError(f"action: expected finite numbers, got {action.to_array()}")
