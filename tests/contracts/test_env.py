"""What every environment keeps to; a new one joins by a line in `ENVS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from magma_ros.errors import EnvError, InvalidInputError
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.env import Env
from magma_ros.sim.libero.env import LiberoEnv
from magma_ros.sim.libero.protocol import SUITES as LIBERO_SUITES
from magma_ros.types import Action, Observation
from tests.sim.toy_env import ToyEnv

ENVS: dict[str, Callable[[], Env]] = {
    "bridge": lambda: BridgeEnv(image_size_px=64),
    "bridge_variants": lambda: BridgeEnv("eggplant_in_basket", image_size_px=64, look="variants"),
    "libero": lambda: LiberoEnv("libero_object", LIBERO_SUITES[1].tasks[0].name, render=False),
    "toy": ToyEnv,
}


@pytest.fixture(scope="module", params=sorted(ENVS))
def make(request: pytest.FixtureRequest) -> Callable[[], Env]:
    return ENVS[request.param]


@pytest.fixture(scope="module")
def env(make: Callable[[], Env]) -> Iterator[Env]:
    world = make()
    yield world
    world.close()


def action(env: Env, *row: float) -> Action:
    return Action.from_array([*row, *[0.0] * (7 - len(row))], frame=env.contract.frame)


def assert_same(first: Observation, second: Observation) -> None:
    assert set(first.images) == set(second.images)
    for name in first.images:
        np.testing.assert_array_equal(first.images[name], second.images[name])
    np.testing.assert_array_equal(first.proprio.ee_position_m, second.proprio.ee_position_m)
    np.testing.assert_array_equal(first.proprio.ee_quat_xyzw, second.proprio.ee_quat_xyzw)
    assert first.stamp_s == second.stamp_s


def test_first_observation_shows_every_camera_at_time_zero(env: Env) -> None:
    """After reset the clock is zero, the instruction the task's, and all cameras of the contract are there, or none."""
    observation, info = env.reset(seed=0)
    assert observation.stamp_s == 0.0
    assert observation.instruction == env.instruction
    assert env.instruction.strip()
    assert not observation.images or {camera.name for camera in env.contract.cameras} <= set(observation.images)
    assert isinstance(info, dict)


def test_proprio_is_a_pose(env: Env) -> None:
    """The measured orientation has unit norm and the gripper is between closed and open."""
    observation, _ = env.reset(seed=1)
    assert np.isfinite(observation.proprio.ee_position_m).all()
    assert np.linalg.norm(observation.proprio.ee_quat_xyzw) == pytest.approx(1.0, abs=1e-6)
    assert 0.0 <= observation.proprio.gripper_opening <= 1.0


def test_step_answers_gymnasiums_five_values_one_period_later(env: Env) -> None:
    """Observation, reward, terminated, truncated and info with a plain yes or no for success."""
    env.reset(seed=2)
    for index in (1, 2, 3):
        observation, reward, terminated, truncated, info = env.step(action(env, 0.005))
        assert observation.stamp_s == pytest.approx(index * env.contract.control_period_s)
        assert isinstance(reward, float)
        assert (type(terminated), type(truncated), type(info["success"])) == (bool, bool, bool)


def test_displacement_is_along_the_axes_of_the_frame(env: Env) -> None:
    """Going 5 cm up in five steps raises the measured end effector by that, and moves it little sideways.

    Steps that are added to the measured pose forget what was not reached: then it is a part of that.
    """
    start, _ = env.reset(seed=3)
    observation = start
    for step_m in (0.01,) * 5 + (0.0,) * 5:
        observation, *_ = env.step(action(env, 0.0, 0.0, step_m))
    moved = observation.proprio.ee_position_m - start.proprio.ee_position_m
    least_m = 0.04 if env.contract.reference == "target" else 0.005
    assert least_m < moved[2] < 0.06
    assert np.abs(moved[:2]).max() < 0.01


def test_the_same_seed_and_actions_repeat_exactly(make: Callable[[], Env], env: Env) -> None:
    """Another instance, and the same one again, show the same pictures and measure the same."""
    other = make()
    try:
        draw = np.random.default_rng(0)
        rows = draw.uniform(-0.02, 0.02, (4, 6))
        for _ in range(2):
            assert_same(env.reset(seed=40)[0], other.reset(seed=40)[0])
            for row in rows:
                assert_same(env.step(action(env, *row))[0], other.step(action(other, *row))[0])
    finally:
        other.close()


def test_reset_forgets_the_trial_before(env: Env) -> None:
    """What happened in one trial has no effect on the next."""
    first, _ = env.reset(seed=41)
    for _ in range(3):
        env.step(action(env, 0.02, 0.0, -0.01))
    env.reset(seed=42)
    assert_same(first, env.reset(seed=41)[0])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_actions_that_are_no_numbers_are_refused(env: Env, value: float) -> None:
    """An action with NaN or infinity raises and does not move the world."""
    env.reset(seed=43)
    with pytest.raises(InvalidInputError):
        env.step(action(env, value))
    observation, *_ = env.step(action(env))
    assert observation.stamp_s == pytest.approx(env.contract.control_period_s)


def test_actions_in_another_frame_are_refused(env: Env) -> None:
    """A displacement along unknown axes raises."""
    env.reset(seed=44)
    with pytest.raises(InvalidInputError):
        env.step(Action(np.zeros(3), np.zeros(3), 1.0, "somewhere_else"))


def test_step_before_reset_and_after_close_is_refused(make: Callable[[], Env]) -> None:
    """Only a world that was reset can be stepped."""
    world = make()
    with pytest.raises(EnvError):
        world.step(action(world))
    world.reset(seed=0)
    world.close()
    with pytest.raises(EnvError):
        world.step(action(world))
