"""The simulated arm agrees with its reference, repeats itself exactly and refuses what it cannot use."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.geometry import compose_ee_delta, quat_distance_rad
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.layouts import layout_of_seed
from magma_ros.sim.bridge.stages import BASE_POSITION_M, BASE_QUAT_WXYZ
from magma_ros.types import Action, FloatArray, Pose

GOLDEN_EE_IN_WORLD = {
    0: ((-0.1455, 0.0341, 0.9991), (0.0081, -0.7257, 0.0052, 0.6880)),
    5: ((-0.1462, 0.0341, 0.9519), (0.0081, -0.7236, 0.0052, 0.6902)),
    11: ((-0.2005, 0.0848, 0.9493), (0.0075, -0.7241, 0.0037, 0.6897)),
    17: ((-0.2051, 0.0941, 0.9452), (-0.1674, -0.7036, -0.1807, 0.6666)),
    23: ((-0.2045, 0.0928, 0.9457), (-0.2854, -0.6670, -0.1223, 0.6773)),
}
"""Step → (position [m], quaternion wxyz) of ManiSkill3's Bridge arm under `golden_actions`."""


def golden_actions() -> FloatArray:
    """6x down, 6x sideways and down, 6x yaw, 6x roll; gripper closed from step 12; shape (24, 7)."""
    rows = np.zeros((24, 7))
    rows[:6, 2] = -0.01
    rows[6:12, 0], rows[6:12, 1] = 0.01, -0.01
    rows[12:18, 5] = 0.1
    rows[18:, 3] = 0.05
    rows[:12, 6] = 1.0
    return rows


@pytest.fixture(scope="module")
def env():
    """A world without pictures."""
    world = BridgeEnv(render=False)
    yield world
    world.close()


@pytest.fixture(scope="module")
def camera_env():
    """A world with small pictures."""
    world = BridgeEnv(image_size_px=64)
    yield world
    world.close()


def in_world(position_m, quat_xyzw):
    """A pose of the base frame in the world frame (position [m], quat_xyzw)."""
    half_turn = Rotation.from_quat(np.array(BASE_QUAT_WXYZ)[[1, 2, 3, 0]])
    return np.array(BASE_POSITION_M) + half_turn.apply(np.array(position_m)), (
        half_turn * Rotation.from_quat(np.array(quat_xyzw))
    ).as_quat()


def act(row):
    """An action in the base frame from seven numbers."""
    return Action.from_array(row, frame="base_link")


STAY = act([0, 0, 0, 0, 0, 0, 1])


def test_the_arm_follows_the_reference_arm(env):
    """Measured end-effector poses agree with ManiSkill3's Bridge arm within 1 mm and 0.5 degrees."""
    env.reset(seed=0)
    for step, row in enumerate(golden_actions()):
        proprio = env.step(act(row))[0].proprio
        if step in GOLDEN_EE_IN_WORLD:
            expected_position, (w, *xyz) = GOLDEN_EE_IN_WORLD[step]
            position, quat = in_world(proprio.ee_position_m, proprio.ee_quat_xyzw)
            assert np.abs(position - expected_position).max() < 1e-3
            assert np.rad2deg(quat_distance_rad(quat, [*xyz, w])) < 0.5


def test_home_pose(env):
    """The arm begins where SimplerEnv's does, with an open gripper."""
    observation, info = env.reset(seed=0)
    position, _ = in_world(observation.proprio.ee_position_m, observation.proprio.ee_quat_xyzw)
    assert np.abs(position - (-0.1451, 0.0341, 1.0053)).max() < 2e-4
    assert observation.proprio.gripper_opening == 1.0
    assert observation.stamp_s == 0.0
    assert info == {"success": False, "grasped": False, "moved": False, "consecutive_grasp": False}


def test_objects_settle_where_the_layout_puts_them(env):
    """After settling, carrot and plate are within 1 mm of the layout and rest on the table."""
    env.reset(seed=5)
    layout, poses = layout_of_seed(5, env.task.placement), env.poses()
    source, _ = in_world(poses.source_position_m, [0, 0, 0, 1])
    target, _ = in_world(poses.target_position_m, [0, 0, 0, 1])
    assert np.abs(source[:2] - layout.source_xy_m).max() < 1e-3
    assert np.abs(target[:2] - layout.target_xy_m).max() < 1e-3
    assert abs(source[2] - 0.8875) < 1e-3
    assert abs(target[2] - 0.8715) < 1e-3


def test_targets_accumulate(env):
    """Ten steps of 1 cm along x and as many still ones end 10 cm further along the base's x axis."""
    start = env.reset(seed=1)[0].proprio.ee_position_m
    for row in [[0.01, 0, 0, 0, 0, 0, 1]] * 10 + [[0, 0, 0, 0, 0, 0, 1]] * 10:
        end = env.step(act(row))[0].proprio.ee_position_m
    assert np.abs(end - start - (0.1, 0, 0)).max() < 1.5e-3


@pytest.mark.parametrize("opening", [0.0, 1.0])
def test_gripper_goes_where_it_is_told(env, opening):
    """Opening 0 closes the fingers and opening 1 opens them, within a second."""
    env.reset(seed=1)
    for _ in range(6):
        observation = env.step(act([0, 0, 0, 0, 0, 0, opening]))[0]
    assert abs(observation.proprio.gripper_opening - opening) < 0.03


def test_one_step_is_a_fifth_of_a_second(env):
    """Stamps count simulated time since the reset."""
    env.reset(seed=1)
    assert [env.step(STAY)[0].stamp_s for _ in range(3)] == pytest.approx([0.2, 0.4, 0.6])


def test_a_saved_state_continues_exactly(env):
    """Another world that takes over a state goes through the same states, bit for bit."""
    other = BridgeEnv(render=False)
    env.reset(seed=30)
    for row in golden_actions()[:8]:
        env.step(act(row))
    other.set_state(env.get_state())
    for row in golden_actions()[8:]:
        env.step(act(row))
        other.step(act(row))
    assert env.get_state().physics.tobytes() == other.get_state().physics.tobytes()


def test_a_restored_state_shows_the_same_picture(camera_env):
    """The frame of a state does not depend on how the world got there."""
    camera_env.reset(seed=3)
    for row in golden_actions()[:5]:
        observation = camera_env.step(act(row))[0]
    state = camera_env.get_state()
    camera_env.reset(seed=4)
    assert np.array_equal(observation.images["image"], camera_env.set_state(state).images["image"])


DIGEST_PROGRAM = """
import hashlib
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.types import Action
env = BridgeEnv(image_size_px=64)
digest = hashlib.sha256(env.reset(seed=40)[0].images["image"].tobytes())
for step in range(12):
    row = [0.01, 0.005 * (-1) ** step, -0.008, 0.0, 0.02, 0.05, step % 2]
    digest.update(env.step(Action.from_array(row, frame="base_link"))[0].images["image"].tobytes())
digest.update(env.get_state().physics.tobytes())
print(digest.hexdigest())
"""


def test_two_processes_see_and_do_the_same():
    """A seed and its actions give identical states and frames in every process."""
    digests = {
        subprocess.run([sys.executable, "-c", DIGEST_PROGRAM], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_placing_the_end_effector(env):
    """`place_ee` brings the measured pose to the one asked for and keeps the objects still."""
    env.reset(seed=2)
    before, down = env.poses(), Rotation.from_matrix([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]).as_quat()
    proprio = env.place_ee(np.array([0.3, 0.05, 0.15]), down).proprio
    assert np.abs(proprio.ee_position_m - (0.3, 0.05, 0.15)).max() < 1e-3
    assert quat_distance_rad(proprio.ee_quat_xyzw, down) < 0.01
    assert np.array_equal(before.source_position_m, env.poses().source_position_m)
    held = env.step(STAY)[0].proprio
    assert np.abs(held.ee_position_m - proprio.ee_position_m).max() < 1e-3


@pytest.mark.parametrize(
    "action",
    [Action.from_array([0, 0, np.nan, 0, 0, 0, 1], frame="base_link"), Action.from_array(np.zeros(7), frame="world")],
)
def test_unusable_actions_are_refused(env, action):
    """An action that is not finite or is given in another frame raises and does not move the arm."""
    env.reset(seed=1)
    before = env.get_state().physics
    with pytest.raises(InvalidInputError):
        env.step(action)
    assert np.array_equal(before, env.get_state().physics)


def test_order_of_calls():
    """A step before the first reset raises, and so does an unknown task."""
    with pytest.raises(EnvError, match="reset"):
        BridgeEnv(render=False).step(STAY)
    with pytest.raises(EnvError, match="carrot_on_plate"):
        BridgeEnv("stack_cubes", render=False)


def test_is_fast_enough(env):
    """Physics alone runs much faster than the real arm, even on a busy machine (loose bound)."""
    env.reset(seed=0)
    start = time.process_time()
    for _ in range(20):
        env.step(STAY)
    assert time.process_time() - start < 20 * 0.05


def test_following_a_pose_for_a_control_period_is_a_step() -> None:
    """100 substeps towards the pose that an action leads to change the arm as that action does, and count no step."""
    stepped, followed = BridgeEnv(render=False), BridgeEnv(render=False)
    action = Action(np.array([0.0, 0.01, 0.02]), np.array([0.0, 0.0, 0.1]), 0.5, "base_link")
    stepped.reset(seed=3)
    start, _ = followed.reset(seed=3)
    assert start.proprio is not None
    target = Pose(*compose_ee_delta(start.proprio.ee_position_m, start.proprio.ee_quat_xyzw, action))
    expected = stepped.step(action)[0].proprio
    measured = followed.follow(target, 0.5, num_substeps=100)
    assert expected is not None
    np.testing.assert_array_equal(expected.joint_positions_rad, measured.joint_positions_rad)
    np.testing.assert_array_equal(expected.ee_position_m, followed.look()[0].proprio.ee_position_m)  # type: ignore[union-attr]
    assert (1, 0) == (stepped.get_state().num_steps, followed.get_state().num_steps)
