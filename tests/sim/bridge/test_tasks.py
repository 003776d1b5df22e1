"""The four tasks: what they say, how their things lie, and that the gripper can hold and place them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.errors import EnvError
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.layouts import layout_of_seed
from magma_ros.sim.bridge.looks import MATCHING
from magma_ros.sim.bridge.tasks import TASKS, find_task
from magma_ros.sim.suites import BRIDGE
from magma_ros.types import Action

DOWN = Rotation.from_matrix([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
SHAPES = [(name, shape, 7) for name, task in TASKS.items() for shape in ("", *task.other_sources)]
GRASP_HEIGHT_M = 0.0195


@pytest.fixture(scope="module", params=TASKS)
def env(request):
    """A world of each task, without pictures."""
    world = BridgeEnv(request.param, render=False)
    yield world
    world.close()


def test_every_task_of_the_suite_has_24_official_episodes():
    """The suite's tasks are those that there is a world for, each with as many layouts as SimplerEnv evaluates."""
    assert [task.name for task in BRIDGE.tasks] == list(TASKS)
    assert [24] * 4 == [len(task.placement.official()) for task in TASKS.values()]


def test_an_unknown_task_names_the_four():
    """A wrong name says which there are."""
    with pytest.raises(EnvError, match="eggplant_in_basket"):
        find_task("fold_towel")


def in_world(env, point_m):
    """A point of the base frame in the world [m]."""
    return np.array(env.task.stage.base_position_m) + np.array([-1.0, -1.0, 1.0]) * point_m


@pytest.mark.parametrize("seed", [0, 5, 11, 16, 23, 24, 1_000_000])
def test_things_settle_where_the_layout_puts_them(env, seed):
    """After settling source and target are within 2 mm of the layout, at rest, and nothing is done yet."""
    _, info = env.reset(seed=seed)
    layout, poses, stage = layout_of_seed(seed, env.task.placement), env.poses(), env.task.stage
    source, target = in_world(env, poses.source_position_m), in_world(env, poses.target_position_m)
    assert np.abs(source[:2] - layout.source_xy_m).max() < 2e-3
    assert np.abs(target[:2] - layout.target_xy_m).max() < 2e-3
    assert abs(source[2] - stage.source_floor_m - env.task.source.half_size_m[2]) < 1e-3
    assert abs(target[2] - stage.target_floor_m - env.task.target.half_size_m[2]) < 1e-3
    assert info == {"success": False, "grasped": False, "moved": False, "consecutive_grasp": False}


def test_home_of_the_sink():
    """Over the sink the arm begins with the joints that SimplerEnv measured there, the fingers over the worktop."""
    world = BridgeEnv("eggplant_in_basket", render=False)
    proprio = world.reset(seed=0)[0].proprio
    assert np.abs(proprio.joint_positions_rad - world.task.stage.home_joints_rad).max() < 1e-2
    assert in_world(world, proprio.ee_position_m)[2] > 0.99


def grasp_pose(poses):
    """Where the end effector holds the source: position [m] and quat_xyzw, fingers down and across it."""
    source = Rotation.from_quat(poses.source_quat_xyzw)
    position = poses.source_position_m + source.apply(poses.grip.centre_m)
    position[2] = poses.source_floor_m + GRASP_HEIGHT_M
    along = source.apply([1.0, 0.0, 0.0])
    yaw = np.arctan2(along[1], along[0])
    yaw = (yaw + np.pi / 4) % np.pi - np.pi / 4  # the wrist's comfortable half turn
    return position, (Rotation.from_euler("z", yaw) * DOWN).as_quat()


def carry(env, translation_m, opening, *, steps=1):
    """As many equal steps; the last info."""
    for _ in range(steps):
        info = env.step(Action(np.array(translation_m), np.zeros(3), opening, "base_link"))[-1]
    return info


@pytest.mark.parametrize(("name", "shape", "seed"), [*SHAPES, *((name, "", 2) for name in TASKS)])
def test_every_source_can_be_held_and_placed(name, shape, seed):
    """Fingers that close at the grip lift the source; let go over the target, it counts as done."""
    world = BridgeEnv(name, render=False)
    world.reset_to(layout_of_seed(seed, world.task.placement), replace(MATCHING, source_shape=shape))
    world.place_ee(*grasp_pose(world.poses()))
    carry(world, [0.0, 0.0, 0.0], 0.0, steps=4)
    poses = world.poses()
    assert np.allclose(poses.grip.width_m, 2 * 0.006 + 0.044 * poses.gripper_opening, atol=0.008)
    info = carry(world, [0.0, 0.0, 0.025], 0.0, steps=6)
    assert info["grasped"]
    assert world.poses().source_position_m[2] > poses.source_position_m[2] + 0.1
    for _ in range(30):
        poses = world.poses()
        offset = poses.target_position_m - poses.source_position_m
        carry(world, np.clip(0.4 * np.array([*offset[:2], 0.0]), -0.03, 0.03), 0.0)
    resting_m = poses.target_position_m[2] + poses.target_half_m[2] + poses.source_half_m[2]
    for _ in range(20):
        drop = resting_m + 0.004 - world.poses().source_position_m[2]
        carry(world, [0.0, 0.0, np.clip(0.5 * drop, -0.02, 0.02)], 0.0)
    assert not carry(world, [0.0, 0.0, 0.0], 1.0, steps=4)["grasped"]
    info = carry(world, [0.0, 0.0, 0.02], 1.0, steps=4)
    assert info == {"success": True, "grasped": False, "moved": True, "consecutive_grasp": True}


def test_a_carrot_that_leans_on_the_table_is_not_on_the_plate():
    """The 'full' rule fails where the carrot lies over the plate's rim with its tip on the table."""
    world = BridgeEnv("carrot_on_plate", render=False)
    layout = layout_of_seed(1, world.task.placement)
    beside = replace(layout, source_xy_m=layout.target_xy_m + np.array([0.0, 0.07]), source_yaw_rad=np.pi / 2)
    _, info = world.reset_to(beside)
    assert not info["success"]


def test_a_spoon_may_lie_over_the_towels_edge():
    """The 'partial' rule is content with a spoon whose handle is on the table."""
    world = BridgeEnv("spoon_on_towel", render=False)
    layout = layout_of_seed(1, world.task.placement)
    over = replace(layout, source_xy_m=layout.target_xy_m + np.array([0.05, 0.0]))
    assert world.reset_to(over)[1]["success"]
