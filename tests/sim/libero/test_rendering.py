import contextlib
import io

import mujoco
import numpy as np
import pytest

from magma_ros.sim.libero.convention import to_osc
from magma_ros.sim.libero.protocol import AGENTVIEW, SETTLE_STEPS, WRIST
from magma_ros.sim.libero.rendering import SceneRenderer
from magma_ros.sim.libero.resources import init_states, problem_file
from tests.sim.libero.golden import IMAGE_SIZE_PX, SEED, SUITE, TASK, golden_actions

NUM_COMPARED = 4


@pytest.fixture(scope="module")
def upstream() -> list[np.ndarray]:
    """Pictures of the first golden steps as LIBERO's own environment shows them, reset as published evaluations do."""
    from libero.libero.envs.env_wrapper import OffScreenRenderEnv  # noqa: PLC0415 - brings robosuite

    with contextlib.redirect_stdout(io.StringIO()):
        env = OffScreenRenderEnv(
            bddl_file_name=str(problem_file(SUITE, TASK)),
            camera_names=[AGENTVIEW],
            camera_heights=IMAGE_SIZE_PX,
            camera_widths=IMAGE_SIZE_PX,
            hard_reset=False,
        )
    env.seed(SEED)
    env.env.reset()
    env.set_init_state(init_states(SUITE, TASK)[SEED])
    for _ in range(SETTLE_STEPS):
        env.step([0, 0, 0, 0, 0, 0, -1])
    pictures = [env.step(to_osc(action))[0][f"{AGENTVIEW}_image"] for action in golden_actions()[:NUM_COMPARED]]
    env.close()
    return pictures


def test_pictures_are_upstreams_pixel_for_pixel(drawn, upstream) -> None:
    """While the arm moves, what is seen is what LIBERO's own environment shows, moment and pixel."""
    drawn.reset(seed=SEED)
    for action, expected in zip(golden_actions(), upstream, strict=False):
        observation, *_ = drawn.step(action)
        np.testing.assert_array_equal(expected, observation.images[AGENTVIEW])


def test_quick_pictures_are_near_and_not_the_same(drawn) -> None:
    """Without reflections and multisampling a picture differs by a few levels, from the wrist as well."""
    drawn.reset(seed=SEED)
    simulation = drawn.world().simulation
    exact = {camera: drawn._renderer.render(simulation.sight, camera) for camera in (AGENTVIEW, WRIST)}
    samples = simulation.model.vis.quality.offsamples
    quick = SceneRenderer(simulation.model, image_size_px=IMAGE_SIZE_PX, fast=True)
    pictures = {camera: quick.render(simulation.sight, camera) for camera in (AGENTVIEW, WRIST)}
    flags = quick._renderer.scene.flags
    quick.close()
    assert (0, 0) == (flags[mujoco.mjtRndFlag.mjRND_REFLECTION], simulation.model.vis.quality.offsamples)
    simulation.model.vis.quality.offsamples = samples
    for camera in (AGENTVIEW, WRIST):
        difference = np.abs(exact[camera].astype(int) - pictures[camera]).mean()
        assert 0.2 < difference < 8.0


def test_drawing_changes_nothing(drawn) -> None:
    """The state before and after a picture of another moment is the same."""
    drawn.reset(seed=SEED)
    simulation = drawn.world().simulation
    before, alpha = simulation.get_state(), simulation.model.site_rgba.copy()
    drawn._renderer.render(simulation.sight, WRIST)
    after = simulation.get_state()
    np.testing.assert_array_equal(before.physics, after.physics)
    np.testing.assert_array_equal(alpha, simulation.model.site_rgba)
