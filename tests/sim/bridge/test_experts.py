"""The scripted experts solve their tasks and are functions of the state alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv
from magma_ros.sim.bridge.experts import TUNINGS, expert_for
from magma_ros.sim.bridge.layouts import layout_of_seed
from magma_ros.sim.bridge.looks import Look
from magma_ros.sim.bridge.perturbation import PERTURBATIONS
from magma_ros.sim.bridge.tasks import TASKS
from magma_ros.sim.demonstration import is_motionless, roll_out
from magma_ros.sim.perturbation import Perturber
from magma_ros.sim.suites import BRIDGE
from magma_ros.types import Action

ALL = sorted(TASKS)
CARROT_ACTIONS = {
    0: (0.018096, 0.021951, -0.009522, 0.000544, -0.008927, 0.24984, 1.0),
    5: (0.005481, 0.007977, -0.0042, 0.00703, 0.002699, 0.198628, 1.0),
    11: (0.000316, -0.002282, -0.00554, 0.000707, -0.001155, -0.013736, 0.0),
    14: (-0.013331, 0.000181, 0.0135, 0.001532, -0.006492, 0.0, 0.0),
    20: (-0.007533, 7.5e-05, -0.014261, -0.000224, 0.001923, 0.0, 0.0),
    24: (0.000372, -0.000657, -0.005952, -0.001731, 0.004109, 0.0, 0.0),
}
"""Step → the carrot's expert on seed 3, as it was when the first policy was trained on it."""


@pytest.fixture(scope="module", params=ALL)
def env(request):
    """Each task in turn, without pictures."""
    return BridgeEnv(request.param, render=False)


@pytest.fixture(scope="module")
def carrot():
    """The carrot, without pictures."""
    return BridgeEnv("carrot_on_plate", render=False)


def test_every_task_has_a_tuning_and_a_perturbation():
    """None was forgotten."""
    assert ALL == sorted(TUNINGS) == sorted(PERTURBATIONS)


@pytest.mark.parametrize("seed", [0, 17, 30, 1_000_000])
def test_solves_the_task_and_leaves_it_solved(env, seed):
    """The last step of the budget is a success, as every one since the fingers let go, within the contract's steps."""
    env.reset(seed=seed)
    expert, since = expert_for(env), None
    for step in range(BRIDGE.task(env.task.name).step_budget):
        action = expert.act()
        assert np.linalg.norm(action.translation_m) <= 0.03 + 1e-9
        assert np.linalg.norm(action.rotation_vector_rad) <= 0.25 + 1e-9
        assert action.gripper_opening in (0.0, 1.0)
        assert action.frame == BRIDGE_CONTRACT.frame
        info = env.step(action)[-1]
        let_go = info["success"] and not info["grasped"]
        since = (step if since is None else since) if let_go else None
    assert info == {"success": True, "grasped": False, "moved": True, "consecutive_grasp": True}
    assert since < BRIDGE.task(env.task.name).step_budget - 5


def test_same_state_same_action(env):
    """A fresh expert in a restored state does what the expert did that came there by itself."""
    env.reset(seed=31)
    expert, visited = expert_for(env), []
    for _ in range(30):
        action = expert.act()
        assert np.array_equal(action.to_array(), expert.act().to_array())
        visited.append((env.get_state(), action.to_array()))
        env.step(action)
    other = BridgeEnv(env.task.name, render=False)
    for state, expected in visited[::-3]:
        other.set_state(state)
        assert np.array_equal(expected, expert_for(other).act().to_array())


@pytest.mark.parametrize("seed", [1_000_001, 1_000_004])
def test_recovers_from_pushes(env, seed):
    """Pushed about, turned and with its gripper commands reversed for 20 steps, it still finishes."""
    wild = replace(
        PERTURBATIONS[env.task.name],
        clean_share=0.0,
        start_share=1.0,
        push_rate=0.15,
        flip_rate=0.05,
        num_steps=(20, 20),
    )
    draw = np.random.default_rng([seed, 1])
    attempt = roll_out(
        env,
        expert_for(env),
        Perturber(wild, draw),
        seed=seed,
        settle_steps=0,
        max_steps=2 * BRIDGE.task(env.task.name).step_budget,
    )
    assert attempt.success


def test_recovers_from_a_drop(env):
    """After the gripper was opened on the way, the expert picks the source up again and finishes."""
    env.reset(seed=1)
    start_m = env.poses().source_position_m[2]
    expert, dropped, info = expert_for(env), False, {"success": False}
    for _ in range(BRIDGE.task(env.task.name).step_budget + 25):
        action = expert.act()
        if env.poses().source_position_m[2] > start_m + 0.03 and not dropped:
            dropped = True
            for _ in range(3):
                env.step(Action([0, 0, 0.01], [0, 0, 0], 1.0, action.frame))
            continue
        info = env.step(action)[-1]
    assert dropped
    assert info["success"]


def test_never_waits_before_the_end(carrot):
    """Until the carrot is on the plate, every action moves the arm or changes the gripper's command."""
    _, info = carrot.reset(seed=2)
    expert, before = expert_for(carrot), 1.0
    while not info["success"]:
        action = expert.act()
        assert not is_motionless(action, period_s=0.2) or action.gripper_opening != before
        before = action.gripper_opening
        info = carrot.step(action)[-1]


def test_the_carrots_expert_is_the_one_that_policies_were_trained_on(carrot):
    """Its recorded actions, to a hundredth of a millimetre and a hundredth of a milliradian."""
    carrot.reset(seed=3)
    expert = expert_for(carrot)
    for step in range(60):
        action = expert.act()
        if step in CARROT_ACTIONS:
            assert np.abs(np.array(CARROT_ACTIONS[step]) - action.to_array()).max() < 1e-5
        carrot.step(action)


@pytest.mark.parametrize(("task", "shape"), [(task, shape) for task in ALL for shape in TASKS[task].other_sources])
def test_solves_unseen_objects(task, shape):
    """A source of another shape, which the expert was not tuned for, is put where it shall be too."""
    env = BridgeEnv(task, render=False)
    env.reset_to(layout_of_seed(40, env.task.placement), Look(source_shape=shape))
    expert = expert_for(env)
    for _ in range(BRIDGE.task(env.task.name).step_budget * 2 // 3):
        info = env.step(expert.act())[-1]
    assert info["success"]
    assert not info["grasped"]
