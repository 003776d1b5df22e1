"""The camera has the real one's intrinsics, stretched into a square picture."""

import cv2
import mujoco
import numpy as np
import pytest

from magma_ros.sim.bridge.rendering import SceneRenderer
from magma_ros.sim.bridge.scene import build_model

SIZE_PX = 128
FOCAL_PX, CENTRE_PX, SENSOR_PX = 623.588, np.array([319.501, 239.545]), np.array([640.0, 480.0])


def project(data, point_m):
    """Where a pinhole of the C920's numbers shows a world point in the square picture: (column, row) [px]."""
    camera = data.camera("image")
    x, y, z = camera.xmat.reshape(3, 3).T @ (point_m - camera.xpos)
    return (CENTRE_PX + FOCAL_PX * np.array([x, -y]) / -z) * SIZE_PX / SENSOR_PX


@pytest.fixture(scope="module")
def world():
    """Model, data and a 128 px renderer of the scene."""
    model = build_model()
    renderer = SceneRenderer(model, width_px=SIZE_PX, height_px=SIZE_PX)
    yield model, mujoco.MjData(model), renderer
    renderer.close()


@pytest.mark.parametrize("xy_m", [(-0.235, -0.075), (-0.235, 0.075), (-0.085, -0.075), (-0.085, 0.075)])
def test_a_point_appears_where_the_intrinsics_say(world, xy_m):
    """The plate's dish, painted red and put in each corner of the square, is within 0.4 px of its projection."""
    model, data, renderer = world
    mujoco.mj_resetData(model, data)
    data.qpos[:6] = (1.2, -1.5, 1.0, 0.0, 1.0, 0.0)  # the arm out of sight
    data.joint("carrot").qpos[:3] = (5.0, 5.0, 1.0)
    data.joint("plate").qpos[:3] = (*xy_m, 0.8715)
    mujoco.mj_forward(model, data)
    painted = model.mat("dish").rgba.copy()
    model.mat("dish").rgba[:] = (1.0, 0.0, 0.0, 1.0)
    picture = renderer.render(data).astype(int)
    model.mat("dish").rgba[:] = painted
    rows, columns = np.nonzero(picture[..., 0] > 2 * picture[..., 1])
    rim = [(0.044 * np.cos(a), 0.044 * np.sin(a), 0.0034) for a in np.linspace(0, 2 * np.pi, 90)]
    outline = np.array([project(data, np.array([*xy_m, 0.8715]) + point) for point in rim], dtype=np.float32)
    moments = cv2.moments(outline)
    assert abs(columns.mean() + 0.5 - moments["m10"] / moments["m00"]) < 0.4
    assert abs(rows.mean() + 0.5 - moments["m01"] / moments["m00"]) < 0.4
    assert len(rows) == pytest.approx(moments["m00"], rel=0.12)


def test_carrot_plate_and_arm_are_seen(world):
    """The picture of a first frame shows orange, green, blue and black pixels on wood."""
    model, data, renderer = world
    mujoco.mj_resetData(model, data)
    data.qpos[:6] = (-0.018, 0.04, 0.222, -0.005, 1.365, 0.002)
    data.joint("carrot").qpos[:3] = (-0.16, -0.075, 0.8875)
    data.joint("plate").qpos[:3] = (-0.16, 0.075, 0.8715)
    mujoco.mj_forward(model, data)
    red, green, blue = np.moveaxis(renderer.render(data).astype(int), -1, 0)
    assert ((red > 180) & (blue < 80)).sum() > 60
    assert ((green > red + 30) & (green > blue + 30)).sum() > 4
    assert (blue > red + 10).sum() > 150
    assert (red + green + blue < 120).sum() > 300
