"""`BridgeEnv`: put the carrot on the plate, at 5 Hz, with target-delta end-effector actions along the base axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.geometry import compose_ee_delta
from magma_ros.sim.bridge import arm, scene
from magma_ros.sim.bridge.kinematics import solve_ik
from magma_ros.sim.bridge.layouts import CARROT_HALF_SIZE_M, PLATE_HALF_HEIGHT_M, Layout, layout_of_seed
from magma_ros.sim.bridge.rendering import SceneRenderer
from magma_ros.sim.bridge.success import CONSECUTIVE_GRASP_STEPS, has_moved, is_success, read_contacts
from magma_ros.types import Action, FloatArray, ImageArray, Observation, Pose, Proprio, frozen_array

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
INSTRUCTIONS = {"carrot_on_plate": "put carrot on plate"}
SUBSTEPS = scene.PHYSICS_HZ // scene.CONTROL_HZ
SETTLE_S = 0.5
_ARM = slice(0, 6)
_FINGERS = slice(6, 8)
_STATE_SPEC = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True, slots=True)
class BridgeState:
    """Everything that the next step depends on; `set_state` continues from it exactly.

    Attributes:
        physics: MuJoCo's integration state, shape (n,).
        target_position_m, target_quat_xyzw: Accumulated end-effector target in the base frame.
        source_start_m: The carrot's position after settling, world frame, shape (3,) [m].
        num_steps: Control steps since reset.
        num_grasped_steps, longest_grasp_steps: Length of the present grasp and of the longest one.
    """

    physics: FloatArray
    target_position_m: FloatArray
    target_quat_xyzw: FloatArray
    source_start_m: FloatArray
    num_steps: int = 0
    num_grasped_steps: int = 0
    longest_grasp_steps: int = 0


@dataclass(frozen=True, slots=True)
class WorldPoses:
    """Poses that only a simulator knows, all in the base frame; positions (3,) [m], quaternions (4,) xyzw."""

    ee_position_m: FloatArray
    ee_quat_xyzw: FloatArray
    gripper_opening: float
    source_position_m: FloatArray
    source_quat_xyzw: FloatArray
    target_position_m: FloatArray


class BridgeEnv:
    """A WidowX 250S, a carrot and a plate; implements `Env`. Deterministic: a seed and the actions fix every bit."""

    def __init__(self, task: str = "carrot_on_plate", *, image_size_px: int = 128, render: bool = True) -> None:
        if task not in INSTRUCTIONS:
            raise EnvError(f"task: expected one of {sorted(INSTRUCTIONS)}, got {task!r}")
        self.instruction = INSTRUCTIONS[task]
        self.contract = BRIDGE_CONTRACT
        self._model = scene.build_model()
        self._data, self._scratch = mujoco.MjData(self._model), mujoco.MjData(self._model)
        self._ee = self._model.site("ee").id
        self._base_rotation = _matrix(np.array(scene.BASE_QUAT_WXYZ))
        self._renderer = SceneRenderer(self._model, width_px=image_size_px, height_px=image_size_px) if render else None
        self._viewer: tuple[tuple[int, int], SceneRenderer] | None = None
        self._state: BridgeState | None = None

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """Arm at home, gripper open, objects laid out by `seed` and settled for 0.5 s."""
        return self.reset_to(layout_of_seed(seed))

    def reset_to(self, layout: Layout) -> tuple[Observation, dict[str, Any]]:
        """As `reset`, with the objects where `layout` puts them."""
        model, data = self._model, self._data
        mujoco.mj_resetData(model, data)
        data.qpos[_ARM], data.qpos[_FINGERS] = arm.HOME_JOINTS_RAD, arm.FINGER_RANGE_M[1]
        data.ctrl[_ARM], data.ctrl[_FINGERS] = arm.HOME_JOINTS_RAD, arm.GRIPPER_TARGET_M[1]
        yaw = layout.source_yaw_rad / 2
        carrot = [*layout.source_xy_m, scene.TABLE_TOP_M + CARROT_HALF_SIZE_M[2], np.cos(yaw), 0, 0, np.sin(yaw)]
        plate = [*layout.target_xy_m, scene.TABLE_TOP_M + PLATE_HALF_HEIGHT_M, 1, 0, 0, 0]
        data.joint("carrot").qpos[:], data.joint("plate").qpos[:] = carrot, plate
        mujoco.mj_step(model, data, int(SETTLE_S * scene.PHYSICS_HZ))
        data.time = 0.0
        mujoco.mj_forward(model, data)
        position, quat = self._ee_in_base()
        self._state = BridgeState(self._physics(), position, quat, data.body("carrot").xpos.copy())
        return self._observe(), self._info()

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """0.2 s of physics towards the target that `action` moves; reward 1.0 on success; never ends by itself."""
        state, data = self._require_state(), self._data
        _require_usable(action)
        position, quat = compose_ee_delta(state.target_position_m, state.target_quat_xyzw, action)
        self._drive(position, quat, action.gripper_opening, num_substeps=SUBSTEPS)
        grasped = state.num_grasped_steps + 1 if read_contacts(self._model, data).grasped else 0
        longest = max(grasped, state.longest_grasp_steps)
        self._state = BridgeState(
            self._physics(), position, quat, state.source_start_m, state.num_steps + 1, grasped, longest
        )
        info = self._info()
        return self._observe(), float(info["success"]), False, False, info

    def follow(self, target_in_base: Pose, gripper_opening: float, *, num_substeps: int) -> Proprio:
        """As many steps of 1 / `PHYSICS_HZ` s towards a pose of the end effector; draws nothing, is no control step."""
        state = self._require_state()
        position, quat = target_in_base.position_m, target_in_base.quat_xyzw
        self._drive(position, quat, gripper_opening, num_substeps=num_substeps)
        self._state = replace(state, physics=self._physics(), target_position_m=position, target_quat_xyzw=quat)
        return self._proprio()

    def look(self) -> tuple[Observation, dict[str, Any]]:
        """What there is to see now, as `step` gives it."""
        self._require_state()
        return self._observe(), self._info()

    def place_ee(self, position_m: FloatArray, quat_xyzw: FloatArray) -> Observation:
        """Put the arm, at rest, where its end effector has this pose in the base frame (or near it), and aim there."""
        state, data = self._require_state(), self._data
        data.qpos[_ARM] = self._ik(np.asarray(position_m), np.asarray(quat_xyzw))
        data.qvel[_ARM] = 0.0
        data.ctrl[_ARM] = data.qpos[_ARM]
        mujoco.mj_forward(self._model, data)
        position, quat = self._ee_in_base()
        self._state = BridgeState(self._physics(), position, quat, state.source_start_m, state.num_steps)
        return self._observe()

    def view(self, *, width_px: int, height_px: int) -> ImageArray:
        """The scene as the camera sees it, for people: shape (height_px, width_px, 3); 4:3 is undistorted."""
        self._require_state()
        size = (width_px, height_px)
        if self._viewer is None or self._viewer[0] != size:
            self._close_viewer()
            self._viewer = (size, SceneRenderer(self._model, width_px=width_px, height_px=height_px))
        return self._viewer[1].render(self._data)

    def get_state(self) -> BridgeState:
        """The present state; a value of its own."""
        return self._require_state()

    def set_state(self, state: BridgeState) -> Observation:
        """Continue from `state`, which may come from another `BridgeEnv`."""
        physics = state.physics.copy()
        mujoco.mj_setState(self._model, self._data, physics, _STATE_SPEC)
        mujoco.mj_forward(self._model, self._data)
        mujoco.mj_setState(self._model, self._data, physics, _STATE_SPEC)
        self._state = state
        return self._observe()

    def poses(self) -> WorldPoses:
        """Where everything is now: for experts and tests, never for a policy."""
        self._require_state()
        source, target = self._data.body("carrot"), self._data.body("plate")
        return WorldPoses(
            *self._ee_in_base(),
            self._gripper_opening(),
            self._point_in_base(source.xpos),
            self._quat_in_base(source.xmat.reshape(3, 3)),
            self._point_in_base(target.xpos),
        )

    def close(self) -> None:
        """Free the renderers; further calls raise `EnvError`."""
        self._close_viewer()
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        self._state = None

    def _close_viewer(self) -> None:
        if self._viewer is not None:
            self._viewer[1].close()
            self._viewer = None

    def _require_state(self) -> BridgeState:
        if self._state is None:
            raise EnvError("expected `reset` before this call: the environment is new or closed")
        return self._state

    def _physics(self) -> FloatArray:
        physics = np.empty(mujoco.mj_stateSize(self._model, _STATE_SPEC))
        mujoco.mj_getState(self._model, self._data, physics, _STATE_SPEC)
        return frozen_array(physics, shape=(-1,), dtype=np.float64, name="physics")

    def _drive(self, position_m: FloatArray, quat_xyzw: FloatArray, opening: float, *, num_substeps: int) -> None:
        data = self._data
        data.ctrl[_ARM] = self._ik(position_m, quat_xyzw)
        closed, opened = arm.GRIPPER_TARGET_M
        data.ctrl[_FINGERS] = closed + (opened - closed) * np.clip(opening, 0.0, 1.0)
        mujoco.mj_step(self._model, data, num_substeps)
        mujoco.mj_forward(self._model, data)

    def _ik(self, position_m: FloatArray, quat_xyzw: FloatArray) -> FloatArray:
        rotation = self._base_rotation @ _matrix(quat_xyzw[[3, 0, 1, 2]])
        position = np.array(scene.BASE_POSITION_M) + self._base_rotation @ position_m
        start = self._data.qpos[_ARM].copy()
        return solve_ik(
            self._model, self._scratch, site_id=self._ee, position_m=position, rotation=rotation, start_rad=start
        )

    def _ee_in_base(self) -> tuple[FloatArray, FloatArray]:
        site = self._data.site(self._ee)
        return self._point_in_base(site.xpos), self._quat_in_base(site.xmat.reshape(3, 3))

    def _point_in_base(self, point_m: FloatArray) -> FloatArray:
        return np.asarray(self._base_rotation.T @ (point_m - np.array(scene.BASE_POSITION_M)))

    def _quat_in_base(self, rotation: FloatArray) -> FloatArray:
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, (self._base_rotation.T @ rotation).ravel())
        return quat[[1, 2, 3, 0]]

    def _gripper_opening(self) -> float:
        low, high = arm.FINGER_RANGE_M
        return float(np.clip((self._data.qpos[_FINGERS].mean() - low) / (high - low), 0.0, 1.0))

    def _observe(self) -> Observation:
        pictures = {} if self._renderer is None else {scene.CAMERA_NAME: self._renderer.render(self._data)}
        stamp_s = self._require_state().num_steps / scene.CONTROL_HZ
        return Observation(pictures, self.instruction, stamp_s, self._proprio())

    def _proprio(self) -> Proprio:
        return Proprio(*self._ee_in_base(), self._gripper_opening(), self._data.qpos[_ARM])

    def _info(self) -> dict[str, Any]:
        state, contacts = self._require_state(), read_contacts(self._model, self._data)
        source, target = self._data.body("carrot").xpos, self._data.body("plate").xpos
        return {
            "success": is_success(source, target, contacts),
            "grasped": contacts.grasped,
            "moved": has_moved(state.source_start_m, source),
            "consecutive_grasp": state.longest_grasp_steps >= CONSECUTIVE_GRASP_STEPS,
        }


def _require_usable(action: Action) -> None:
    if action.frame != BRIDGE_CONTRACT.frame:
        raise InvalidInputError(f"action: expected frame {BRIDGE_CONTRACT.frame!r}, got {action.frame!r}")
    if not np.isfinite(action.to_array()).all():
        raise InvalidInputError(f"action: expected finite numbers, got {action.to_array()}")


def _matrix(quat_wxyz: FloatArray) -> FloatArray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, np.ascontiguousarray(quat_wxyz, dtype=np.float64))
    return matrix.reshape(3, 3)
