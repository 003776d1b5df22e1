"""Executed actions that depart from the intended ones, within bounds and for a while."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.sim.bridge.env import BRIDGE_CONTRACT
from magma_ros.sim.bridge.perturbation import PERTURBATIONS
from magma_ros.sim.collect import CollectConfig, perturbation_of
from magma_ros.sim.perturbation import Perturber
from magma_ros.sim.suites import SUITES, Suite
from magma_ros.types import Action

WILD = replace(PERTURBATIONS["carrot_on_plate"], clean_share=0.0, start_share=1.0, push_rate=0.2, flip_rate=0.2)
INTENDED = Action([0.03, 0, 0], [0, 0, 0.25], 1.0, "base_link")


def executed(perturber: Perturber, num_steps: int) -> np.ndarray:
    return np.stack([perturber.execute(INTENDED).to_array() for _ in range(num_steps)])


def test_executed_steps_stay_within_the_contract_and_end_as_intended() -> None:
    """Whatever is added, a step is one that the arm allows; after the last perturbed step nothing is added."""
    rows = executed(Perturber(WILD, np.random.default_rng(0)), 200)
    assert np.linalg.norm(rows[:, :3], axis=1).max() <= BRIDGE_CONTRACT.max_translation_m
    assert np.linalg.norm(rows[:, 3:6], axis=1).max() <= BRIDGE_CONTRACT.max_rotation_rad
    assert set(rows[:, 6]) == {0.0, 1.0}
    assert not np.array_equal(rows[:15, :6], np.tile(INTENDED.to_array()[:6], (15, 1)))
    assert np.array_equal(rows[WILD.num_steps[1] :], np.tile(INTENDED.to_array(), (200 - WILD.num_steps[1], 1)))


def test_the_generator_fixes_the_course() -> None:
    """The same seed errs in the same way, another in another way."""
    first, again, other = (Perturber(WILD, np.random.default_rng(seed)) for seed in (3, 3, 4))
    for one, two in zip(first.start_pose(), again.start_pose(), strict=True):
        assert np.array_equal(one, two)
    other.start_pose()
    course = executed(first, 60)
    assert np.array_equal(course, executed(again, 60))
    assert not np.array_equal(course, executed(other, 60))


def test_clean_episodes_are_left_alone() -> None:
    """They begin at home and execute what was intended."""
    clean = Perturber(replace(WILD, clean_share=1.0), np.random.default_rng(0))
    assert clean.is_clean
    assert clean.start_pose() is None
    assert np.array_equal(executed(clean, 20), np.tile(INTENDED.to_array(), (20, 1)))


def test_no_start_poses_begin_at_home() -> None:
    """A simulator that cannot place its arm leaves them out."""
    assert Perturber(replace(WILD, start_poses=None), np.random.default_rng(0)).start_pose() is None


@pytest.mark.parametrize("task", sorted(PERTURBATIONS))
def test_start_poses_look_down_within_their_box(task: str) -> None:
    """Positions fill the box, and the hand is tilted by at most 0.15 rad about each axis."""
    starts = PERTURBATIONS[task].start_poses
    draw = np.random.default_rng(1)
    drawn = [starts.draw(draw) for _ in range(200)]
    positions = np.stack([position for position, _ in drawn])
    size = np.array(starts.high_m) - starts.low_m
    assert (positions >= starts.low_m).all()
    assert (positions <= starts.high_m).all()
    assert (np.ptp(positions, axis=0) > 0.9 * size).all()
    downs = np.stack([Rotation.from_quat(quat).apply([1.0, 0.0, 0.0]) for _, quat in drawn])
    assert downs[:, 2].max() < -(np.cos(0.15) ** 2) + 1e-9


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_every_task_can_be_perturbed_within_its_suites_limits(suite: Suite) -> None:
    """No executed step of a demonstration is one that the suite's controller would have cut short."""
    for task in suite.tasks:
        perturbation = perturbation_of(suite, task, CollectConfig())
        assert perturbation.longest_m <= suite.limits.max_translation_step_m
        assert perturbation.longest_rad <= suite.limits.max_rotation_step_rad
