"""One demonstration: every state is labelled by the expert, whoever acted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.experts import expert_for
from magma_ros.sim.bridge.perturbation import PERTURBATIONS
from magma_ros.sim.demonstration import Rollout, count_idle, is_motionless, roll_out
from magma_ros.sim.perturbation import Perturber
from magma_ros.types import Action
from tests.sim.toy_demos import RecordableToy, ToyExpert

CARROT = PERTURBATIONS["carrot_on_plate"]


def attempt(env, expert, perturbation, *, seed, max_steps=90):
    """One attempt with its own generator."""
    draw = np.random.default_rng([seed, 1])
    return roll_out(env, expert, Perturber(perturbation, draw), seed=seed, settle_steps=0, max_steps=max_steps)


def ask(*row: float) -> Action:
    return Action(row[:3], [0, 0, row[3]], row[4], "base_link")


def test_labels_are_the_experts() -> None:
    """In each visited state of a perturbed attempt the recorded action is the expert's own, in any environment."""
    rollout = attempt(
        env := BridgeEnv(render=False), expert_for(env), replace(CARROT, clean_share=0.0), seed=1_000_003, max_steps=40
    )
    other = BridgeEnv(render=False)
    for state, label in list(zip(rollout.states, rollout.actions, strict=True))[::5]:
        other.set_state(state)
        assert np.array_equal(label.to_array(), expert_for(other).act().to_array())


def test_begins_at_a_start_pose() -> None:
    """With start poses the arm is elsewhere in the first frame, and the objects are where they were."""
    env = BridgeEnv(render=False)
    env.reset(seed=1_000_000)
    home = env.poses()
    starting = replace(CARROT, clean_share=0.0, start_share=1.0)
    rollout = attempt(env, expert_for(env), starting, seed=1_000_000, max_steps=1)
    env.set_state(rollout.states[0])
    assert np.linalg.norm(env.poses().ee_position_m - home.ee_position_m) > 0.01
    assert np.array_equal(home.source_position_m, env.poses().source_position_m)


def test_an_arm_that_cannot_be_placed_is_named() -> None:
    """Start poses in a world without `place_ee` are refused."""
    env = RecordableToy(render=False)
    with pytest.raises(EnvError, match="RecordableToy"):
        attempt(env, ToyExpert(env), replace(CARROT, clean_share=0.0, start_share=1.0), seed=0)


def test_idle_is_a_speed() -> None:
    """1 mm in a step is motion at 20 Hz and none at 4 Hz."""
    action = ask(0.001, 0, 0, 0, 1)
    assert not is_motionless(action, period_s=0.05)
    assert is_motionless(action, period_s=0.25)
    assert not is_motionless(ask(0, 0, 0, 0.02, 1), period_s=0.25)


def test_a_new_gripper_command_is_not_idle() -> None:
    """Of frames without motion those count that ask the gripper for nothing new; it begins open."""
    labels = (ask(0, 0, 0, 0, 1), ask(0.01, 0, 0, 0, 1), ask(0, 0, 0, 0, 0), ask(0, 0, 0, 0, 0), ask(0, 0, 0, 0.1, 0))
    assert count_idle(Rollout((), labels, success=True, interventions=()), period_s=0.2) == 2
