"""Inverse kinematics finds the joints of poses that the arm can reach."""

import mujoco
import numpy as np

from magma_ros.sim.bridge.arm import HOME_JOINTS_RAD
from magma_ros.sim.bridge.kinematics import solve_ik
from magma_ros.sim.bridge.scene import build_model

MODEL = build_model()
SITE = MODEL.site("ee").id


def pose_of(joints_rad):
    """Forward kinematics: (position [m], rotation matrix) in the world."""
    data = mujoco.MjData(MODEL)
    data.qpos[:6] = joints_rad
    mujoco.mj_kinematics(MODEL, data)
    return data.site_xpos[SITE].copy(), data.site_xmat[SITE].reshape(3, 3).copy()


def solve(position_m, rotation):
    """The joints that `solve_ik` finds from home."""
    home = np.array(HOME_JOINTS_RAD)
    scratch = mujoco.MjData(MODEL)
    return solve_ik(MODEL, scratch, site_id=SITE, position_m=position_m, rotation=rotation, start_rad=home)


def test_reachable_poses_are_reached():
    """Forward kinematics of the answer is the pose asked for, within 0.1 mm and 0.001 rad."""
    for offset in np.random.default_rng(0).uniform(-0.25, 0.25, (10, 6)):
        position, rotation = pose_of(np.array(HOME_JOINTS_RAD) + offset)
        found_position, found_rotation = pose_of(solve(position, rotation))
        assert np.abs(found_position - position).max() < 1e-4
        assert np.abs(found_rotation - rotation).max() < 1e-3


def test_unreachable_poses_stay_inside_the_joint_ranges():
    """A pose two metres away gives finite joints within their ranges."""
    position, rotation = pose_of(HOME_JOINTS_RAD)
    joints = solve(position - np.array([2.0, 0.0, 0.0]), rotation)
    low, high = MODEL.jnt_range[:6].T
    assert np.isfinite(joints).all()
    assert ((low <= joints) & (joints <= high)).all()
