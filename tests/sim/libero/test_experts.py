"""The scripted experts of LIBERO solve their tasks, recover, and are functions of the state alone."""

import numpy as np
import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.libero.env import LiberoEnv
from magma_ros.sim.libero.experts import expert_for
from magma_ros.types import Action

BOWL = "akita_black_bowl_1"
STEP_BUDGET = 220


def test_takes_the_bowl_out_of_the_drawer(blind):
    """It is on the plate within upstream's budget, by actions within OSC's box, each given again by its state alone."""
    expert = expert_for(blind)
    blind.reset(seed=0)
    visited, terminated = [], False
    while not terminated and len(visited) < STEP_BUDGET:
        action = expert.act()
        assert np.abs(action.translation_m).max() <= 0.05 + 1e-9
        assert np.abs(action.rotation_vector_rad).max() <= 0.5
        assert action.gripper_opening in (0.0, 1.0)
        visited.append((blind.get_state(), action.to_array()))
        terminated = blind.step(action)[2]
    assert terminated
    for state, expected in visited[::-7]:
        blind.set_state(state)
        assert np.array_equal(expected, expert_for(blind).act().to_array())


def test_picks_a_dropped_bowl_up_again(blind):
    """The hand is opened and pushed aside while it lifts the bowl; the next grasp succeeds."""
    expert = expert_for(blind)
    blind.reset(seed=1)
    start_m = blind.world().pose(BOWL).position_m[2]
    for _ in range(STEP_BUDGET):
        blind.step(expert.act())
        if blind.world().pose(BOWL).position_m[2] > start_m + 0.03:
            break
    for _ in range(12):
        blind.step(Action([0.0, 0.03, 0.02], [0.1, 0.0, 0.2], 1.0, blind.contract.frame))
    assert blind.world().pose(BOWL).position_m[2] < start_m + 0.03
    assert any(blind.step(expert.act())[2] for _ in range(STEP_BUDGET))


def test_refuses_a_task_that_is_no_pick_and_place():
    """A goal that is a drawer's position has no expert, and the error says what has one."""
    env = LiberoEnv("libero_goal", "open_the_middle_drawer_of_the_cabinet", render=False)
    with pytest.raises(EnvError, match=r"no scripted expert.*one thing onto or into another"):
        expert_for(env)
    env.close()
