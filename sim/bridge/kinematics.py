"""Inverse kinematics of the arm: damped least squares on the end effector's Jacobian."""

from __future__ import annotations

import mujoco
import numpy as np

from magma_ros.types import FloatArray

MAX_ITERATIONS = 20
DAMPING = 1e-5
POSITION_TOLERANCE_M = 2e-5
ROTATION_TOLERANCE_RAD = 2e-4


def solve_ik(
    model: mujoco.MjModel,
    scratch: mujoco.MjData,
    *,
    site_id: int,
    position_m: FloatArray,
    rotation: FloatArray,
    start_rad: FloatArray,
) -> FloatArray:
    """Arm joints (n,) [rad] within their ranges that bring the site to a pose in the world frame, or near it.

    The arm's joints are the model's first n. `scratch` is overwritten; `rotation` is a matrix, shape (3, 3).
    """
    count = len(start_rad)
    low, high = model.jnt_range[:count].T
    joints = np.clip(start_rad, low, high)
    jacobian = np.zeros((6, model.nv))
    error, twist = np.zeros(6), np.zeros(3)
    quat = np.zeros(4)
    for _ in range(MAX_ITERATIONS):
        scratch.qpos[:count] = joints
        mujoco.mj_kinematics(model, scratch)
        mujoco.mj_comPos(model, scratch)
        error[:3] = position_m - scratch.site_xpos[site_id]
        mujoco.mju_mat2Quat(quat, (rotation @ scratch.site_xmat[site_id].reshape(3, 3).T).ravel())
        mujoco.mju_quat2Vel(twist, quat, 1.0)
        error[3:] = twist
        if np.linalg.norm(error[:3]) < POSITION_TOLERANCE_M and np.linalg.norm(twist) < ROTATION_TOLERANCE_RAD:
            break
        mujoco.mj_jacSite(model, scratch, jacobian[:3], jacobian[3:], site_id)
        arm = jacobian[:, :count]
        joints = np.clip(joints + arm.T @ np.linalg.solve(arm @ arm.T + DAMPING * np.eye(6), error), low, high)
    return joints
