"""The adapter for SimplerEnv itself: what it asks for, and what it turns into what."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.sim.bridge.tasks import find_task
from magma_ros.sim.simpler import SimplerEnv, action_row, open_maniskill
from magma_ros.types import Action

HALF = np.sqrt(0.5)


class SmallManiSkill:
    """Answers as ManiSkill does, batched tensors of one: an arm that goes where it is told at once."""

    def __init__(self) -> None:
        self.unwrapped = self
        self.position = torch.tensor([[0.3, 0.0, 0.1]])
        self.rows = []
        arm = SimpleNamespace(ee_pose_at_base=None)
        robot = SimpleNamespace(get_qpos=lambda: torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.026, 0.026]]))
        self.agent = SimpleNamespace(
            controller=SimpleNamespace(controllers={"arm": arm}),
            robot=robot,
            get_controller_state=lambda: {"arm": self.position.clone()},
            set_controller_state=lambda state: self.move_to(state["arm"]),
        )
        self.move_to(self.position)

    def move_to(self, position):
        self.position = position
        pose = SimpleNamespace(p=position, q=torch.tensor([[HALF, 0.0, HALF, 0.0]]))
        self.agent.controller.controllers["arm"].ee_pose_at_base = pose

    def get_obs(self):
        picture = torch.zeros((1, 480, 640, 3), dtype=torch.uint8)
        picture[:, :, 320:] = 200
        return {"sensor_data": {"3rd_view_camera": {"rgb": picture}}}

    def reset(self, *, seed):
        self.move_to(torch.tensor([[0.3, 0.001 * seed, 0.1]]))
        return self.get_obs(), {}

    def step(self, rows):
        self.rows.append(rows)
        self.move_to(self.position + torch.tensor(rows[:, :3]))
        return self.get_obs(), None, None, None, {"success": torch.tensor([bool(self.position[0, 2] > 0.2)])}

    def get_state_dict(self):
        return {"arm": self.position.clone()}

    def set_state_dict(self, state):
        self.move_to(state["arm"])

    def close(self):
        self.rows.clear()


def action(*row):
    """In the base frame, the rest zero."""
    return Action.from_array([*row, *[0.0] * (7 - len(row))], frame="base_link")


def test_without_maniskill_it_says_what_to_install(monkeypatch):
    """The error names the package, its assets and the need for Vulkan."""
    monkeypatch.setitem(sys.modules, "mani_skill", None)
    with pytest.raises(EnvError, match=r"PutCarrotOnPlateInScene.*mani-skill==3.*bridge_v2_real2sim.*Vulkan"):
        open_maniskill(find_task("carrot_on_plate"))


def test_actions_are_what_the_controller_takes():
    """Displacements stay, turns become the Euler angles of the same rotation, and the gripper runs from -1 to 1."""
    row = action_row(action(0.01, -0.02, 0.03, 0.2, -0.1, 0.3, 1.0))
    np.testing.assert_allclose([0.01, -0.02, 0.03], row[:3])
    turn = Rotation.from_euler("XYZ", row[3:6])
    np.testing.assert_allclose([0.2, -0.1, 0.3], turn.as_rotvec(), atol=1e-12)
    assert (1.0, -1.0) == (row[6], action_row(action())[6])


@pytest.mark.parametrize("row", [action(np.nan), Action(np.zeros(3), np.zeros(3), 1.0, "world")])
def test_unusable_actions_are_refused(row):
    """NaN, or another frame, raises."""
    with pytest.raises(InvalidInputError):
        action_row(row)


def test_observations_are_those_of_our_contract():
    """Picture of the wanted size under our camera's name, pose in ROS order, gripper 0 … 1, stamps in seconds."""
    env = SimplerEnv("stack_cube", image_size_px=64, make=lambda _task: SmallManiSkill())
    observation, info = env.reset(seed=5)
    assert info == {"success": False}
    assert observation.images["image"].shape == (64, 64, 3)
    assert (0, 200) == (observation.images["image"][0, 0, 0], observation.images["image"][0, -1, 0])
    assert observation.instruction == "stack the green block on the yellow block"
    np.testing.assert_allclose([0.0, HALF, 0.0, HALF], observation.proprio.ee_quat_xyzw, atol=1e-6)
    assert observation.proprio.gripper_opening == pytest.approx(0.5)
    assert observation.proprio.joint_positions_rad.shape == (6,)
    observation, reward, terminated, truncated, info = env.step(action(0.0, 0.0, 0.2))
    assert observation.stamp_s == pytest.approx(0.2)
    assert (1.0, False, False, {"success": True}) == (reward, terminated, truncated, info)


def test_states_can_be_returned_to():
    """After going on, a kept state brings back the measured pose and the clock."""
    env = SimplerEnv("carrot_on_plate", make=lambda _task: SmallManiSkill())
    env.reset(seed=1)
    before, *_ = env.step(action(0.01))
    state = env.get_state()
    env.step(action(0.02))
    after = env.set_state(state)
    np.testing.assert_array_equal(before.proprio.ee_position_m, after.proprio.ee_position_m)
    assert before.stamp_s == after.stamp_s


def test_order_of_calls():
    """A step before the first reset raises."""
    with pytest.raises(EnvError, match="reset"):
        SimplerEnv("carrot_on_plate", make=lambda _task: SmallManiSkill()).step(action())
