"""The scripted expert solves its task and is a function of the state alone."""

import numpy as np
import pytest

from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv
from magma_ros.sim.collect import is_motionless
from magma_ros.sim.experts import CarrotExpert

STEP_BUDGET = 60


@pytest.fixture(scope="module")
def env():
    """A world without pictures."""
    return BridgeEnv(render=False)


@pytest.mark.parametrize("seed", [0, 3, 10, 17, 24, 1_000_000])
def test_puts_the_carrot_on_the_plate(env, seed):
    """The last of 60 steps is a success, on official and on drawn layouts, within the contract's steps."""
    _, info = env.reset(seed=seed)
    expert = CarrotExpert(env)
    for _ in range(STEP_BUDGET):
        action = expert.act()
        assert np.linalg.norm(action.translation_m) <= 0.03 + 1e-9
        assert np.linalg.norm(action.rotation_vector_rad) <= 0.25 + 1e-9
        assert action.gripper_opening in (0.0, 1.0)
        assert action.frame == BRIDGE_CONTRACT.frame
        info = env.step(action)[-1]
    assert info == {"success": True, "grasped": False, "moved": True, "consecutive_grasp": True}


def test_same_state_same_action(env):
    """A fresh expert in a restored state does what the expert did that came there by itself."""
    env.reset(seed=31)
    expert, visited = CarrotExpert(env), []
    for _ in range(30):
        action = expert.act()
        visited.append((env.get_state(), action.to_array()))
        env.step(action)
    other = BridgeEnv(render=False)
    for state, expected in visited[::-3]:
        other.set_state(state)
        assert np.array_equal(expected, CarrotExpert(other).act().to_array())


def test_never_waits_before_the_end(env):
    """Until the carrot is on the plate, every action moves the arm or changes the gripper's command."""
    _, info = env.reset(seed=2)
    expert, before = CarrotExpert(env), 1.0
    while not info["success"]:
        action = expert.act()
        assert not is_motionless(action) or action.gripper_opening != before
        before = action.gripper_opening
        info = env.step(action)[-1]


def test_recovers_from_a_dropped_carrot(env):
    """After the gripper was opened on the way, the expert picks the carrot up again and finishes."""
    env.reset(seed=1)
    expert, dropped, info = CarrotExpert(env), False, {"success": False}
    for _ in range(STEP_BUDGET + 20):
        action = expert.act()
        carried = env.poses().source_position_m[2] > 0.06
        if carried and not dropped:
            dropped = True
            for _ in range(3):
                env.step(type(action)([0, 0, 0.01], [0, 0, 0], 1.0, action.frame))
            continue
        info = env.step(action)[-1]
    assert dropped
    assert info["success"]
