"""SimplerEnv's own WidowX tasks in ManiSkill, where that and Vulkan are there, behind the contract of `BridgeEnv`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magma_ros import images
from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.sim.bridge.arm import FINGER_RANGE_M
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT
from magma_ros.sim.bridge.scene import CAMERA_NAME
from magma_ros.sim.bridge.tasks import BridgeTask, find_task
from magma_ros.types import Action, FloatArray, ImageArray, Observation, Proprio

MANISKILL = "mani-skill==3.0.1"
ASSETS = ("bridge_v2_real2sim", "widowx250s")
CAMERA = "3rd_view_camera"
HINT = (
    f"install it into an environment of its own with `pip install {MANISKILL}`, its assets with "
    + " and ".join(f"`python -m mani_skill.utils.download_asset {name}`" for name in ASSETS)
    + ", and a Vulkan driver (a GPU's own, or Mesa's lavapipe, 25.0 or newer); without them use the suite 'bridge'"
)


@dataclass(frozen=True, slots=True)
class SimplerState:
    """ManiSkill's state and its controller's, as it gives them, and the control steps since reset."""

    scene: Any
    controller: Any
    num_steps: int


class SimplerEnv:
    """One of the four tasks on ManiSkill's CPU simulation; implements `RecordableEnv`.

    ManiSkill draws the layout of a trial from its seed, so trials are not those of `BridgeEnv` of the same seed.
    """

    def __init__(self, task: str, *, image_size_px: int = 128, make: Callable[[BridgeTask], Any] | None = None) -> None:
        """Open the task; `make` may give another Gymnasium environment than `open_maniskill`.

        Raises:
            EnvError: no such task, or ManiSkill, its assets or Vulkan are missing.
        """
        self.task = find_task(task)
        self.contract = BRIDGE_CONTRACT
        self.instruction = self.task.instruction
        self._size_px = image_size_px
        self._env = (make or open_maniskill)(self.task)
        self._num_steps: int | None = None

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """Begin the trial of `seed`."""
        raw, _ = self._env.reset(seed=seed)
        self._num_steps = 0
        return self._observe(raw), {"success": False}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One control period; never ends by itself."""
        num_steps = self._require_steps()
        raw, _, _, _, info = self._env.step(action_row(action)[None])
        self._num_steps = num_steps + 1
        success = bool(_array(info["success"]).item())
        return self._observe(raw), float(success), False, False, {"success": success}

    def get_state(self) -> SimplerState:
        """Of the scene and of the controller's accumulated target."""
        num_steps, world = self._require_steps(), self._env.unwrapped
        return SimplerState(world.get_state_dict(), world.agent.get_controller_state(), num_steps)

    def set_state(self, state: SimplerState) -> Observation:
        """Go there."""
        world = self._env.unwrapped
        world.set_state_dict(state.scene)
        world.agent.set_controller_state(state.controller)
        self._num_steps = state.num_steps
        return self._observe(world.get_obs())

    def close(self) -> None:
        """Release ManiSkill's scene."""
        self._num_steps = None
        self._env.close()

    def _require_steps(self) -> int:
        if self._num_steps is None:
            raise EnvError("expected `reset` before this call: the environment is new or closed")
        return self._num_steps

    def _observe(self, raw: Any) -> Observation:
        picture = np.asarray(_array(raw["sensor_data"][CAMERA]["rgb"])[0], dtype=np.uint8)
        stamp_s = self._require_steps() / self.contract.control_rate_hz
        proprio = measured(self._env.unwrapped.agent)
        return Observation({CAMERA_NAME: self._resize(picture)}, self.instruction, stamp_s, proprio)

    def _resize(self, picture: ImageArray) -> ImageArray:
        return images.resize(picture, height_px=self._size_px, width_px=self._size_px)


def action_row(action: Action) -> FloatArray:
    """ManiSkill's seven numbers: displacement [m], turn as Euler angles about x, y', z'' [rad], gripper -1 … 1.

    Raises:
        InvalidInputError: the action is not finite or is given in another frame.
    """
    if action.frame != BRIDGE_CONTRACT.frame:
        raise InvalidInputError(f"action: expected frame {BRIDGE_CONTRACT.frame!r}, got {action.frame!r}")
    if not np.isfinite(action.to_array()).all():
        raise InvalidInputError(f"action: expected finite numbers, got {action.to_array()}")
    euler = Rotation.from_rotvec(np.array(action.rotation_vector_rad)).as_euler("XYZ")
    return np.array([*action.translation_m, *euler, 2.0 * np.clip(action.gripper_opening, 0.0, 1.0) - 1.0])


def measured(agent: Any) -> Proprio:
    """End effector in the base frame, gripper and joints of ManiSkill's WidowX."""
    pose = agent.controller.controllers["arm"].ee_pose_at_base
    joints = np.asarray(_array(agent.robot.get_qpos())[0], dtype=np.float64)
    low, high = FINGER_RANGE_M
    opening = float(np.clip((joints[6:8].mean() - low) / (high - low), 0.0, 1.0))
    quat_wxyz = np.asarray(_array(pose.q)[0], dtype=np.float64)
    return Proprio(_array(pose.p)[0], quat_wxyz[[1, 2, 3, 0]] / np.linalg.norm(quat_wxyz), opening, joints[:6])


def open_maniskill(task: BridgeTask) -> Any:
    """ManiSkill's environment of `task`, one on the CPU.

    Raises:
        EnvError: ManiSkill, its assets or Vulkan are missing; says what to install.
    """
    try:
        import gymnasium  # noqa: PLC0415 - an optional dependency
        import mani_skill  # noqa: PLC0415 - same
        import mani_skill.envs  # noqa: PLC0415 - registers the tasks
    except ImportError as error:
        raise EnvError(f"SimplerEnv's {task.upstream} needs ManiSkill, which is not here ({error}): {HINT}") from error
    folder = mani_skill.ASSET_DIR / "tasks" / "bridge_dataset"
    if not folder.is_dir():  # it would ask on the terminal whether to fetch them
        raise EnvError(f"SimplerEnv's {task.upstream}: no assets at {folder}: {HINT}")
    try:
        return gymnasium.make(
            f"{task.upstream}-v1", obs_mode="rgb+segmentation", num_envs=1, sim_backend="cpu", render_backend="cpu"
        )
    except RuntimeError as error:
        raise EnvError(f"SimplerEnv's {task.upstream}: ManiSkill cannot draw here ({error}): {HINT}") from error


def _array(values: Any) -> NDArray[Any]:
    """A tensor or array, as NumPy's."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)
