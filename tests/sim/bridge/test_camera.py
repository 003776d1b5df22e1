"""The simulated camera is where the arm's file says, and projects as its CameraInfo says."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.calibration import FixedCamera
from magma_ros.camera_model import CameraModel
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.scene import camera_matrix
from magma_ros.types import Pose


@pytest.mark.parametrize("arm", ["sim", "sim_servo"])
def test_a_thing_is_seen_where_the_calibration_says(arm: str) -> None:
    """The middle of the green cube's pixels is that of its projected corners, to 1.5 px of 640, wherever it lies."""
    calibration = arms.load(arm).topics.cameras[0].calibration
    assert isinstance(calibration, FixedCamera)
    pose = Pose(np.array(calibration.position_m), np.array(calibration.quat_xyzw))
    size = {"width_px": 640, "height_px": 480}
    model = CameraModel(camera_matrix(**size), np.zeros(5), **size)
    env = BridgeEnv("stack_cube", render=False)
    for seed in (0, 20):
        env.reset(seed=seed)
        np.testing.assert_allclose(pose.position_m, env.camera_pose().position_m, atol=1e-3)
        assert (
            Rotation.from_quat(pose.quat_xyzw).inv() * Rotation.from_quat(env.camera_pose().quat_xyzw)
        ).magnitude() < 2e-3
        cube = env.poses()
        corners_m = np.array(list(product((-1, 1), repeat=3))) * cube.source_half_m
        turned_m = Rotation.from_quat(cube.source_quat_xyzw).apply(corners_m) + cube.source_position_m
        corners = model.project(turned_m, pose_camera_in_base=pose)
        red, green, blue = np.moveaxis(env.view(**size).astype(int), -1, 0)
        seen = np.argwhere((green > 1.6 * red) & (green > 1.6 * blue))[:, ::-1]
        middle, expected = ((points.min(axis=0) + points.max(axis=0)) / 2 for points in (seen, corners))
        np.testing.assert_allclose(expected, middle, atol=1.5)
    env.close()
