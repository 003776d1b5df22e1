"""The shipped checkpoints do the jobs that they are shipped for."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from magma_ros.checkpoint import load_model, load_policy
from magma_ros.controller import Controller
from magma_ros.picture_questions import predicted_traces
from magma_ros.pipeline import Pipeline
from magma_ros.policy import ModelPolicy
from magma_ros.sim.bridge.questions import SceneQuestions
from magma_ros.sim.envs import make_env
from magma_ros.sim.rollout import rollout
from magma_ros.sim.suites import BRIDGE, find_suite
from magma_ros.sim.sweep.plan import Trial
from magma_ros.sim.sweep.pool import InProcessPool
from magma_ros.sim.sweep.worker import TrialSetup
from magma_ros.talking import talk

MAX_PASSES_PER_ACTION = 4.0
BUDGET = BRIDGE.task("carrot_on_plate").step_budget
CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
CHECKPOINT = CHECKPOINTS / "magma-tiny"
MAX_BYTES = 20 * 10**6


@pytest.mark.timeout(300)
def test_magma_tiny_does_what_its_card_says() -> None:
    """Whole and at most 20 MB, it succeeds in at least 6 of 8 trials of four tasks; none is in its data or its card."""
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) <= MAX_BYTES
    setup = TrialSetup(BRIDGE, partial(make_env, BRIDGE))
    trials = [Trial(task.name, seed) for task in BRIDGE.tasks for seed in (500, 501)]
    with closing(InProcessPool(setup, load_policy(CHECKPOINT))) as pool:
        outcomes = [done.result.outcome for done in pool.run(trials)]
    assert 0 == outcomes.count("error")
    assert outcomes.count("success") >= 6, outcomes


@pytest.mark.timeout(300)
def test_magma_tiny_libero_solves_official_tasks() -> None:
    """As small, it does two of three tasks of both suites, four actions at a time, from states that it never saw."""
    folder = CHECKPOINTS / "magma-tiny-libero"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
    policy = load_policy(folder)
    asked = {
        "libero_object": (
            "pick_up_the_alphabet_soup_and_place_it_in_the_basket",
            "pick_up_the_bbq_sauce_and_place_it_in_the_basket",
        ),
        "libero_spatial": ("pick_up_the_black_bowl_from_table_center_and_place_it_on_the_plate",),
    }
    outcomes = []
    for name, tasks in asked.items():
        suite = find_suite(name)
        setup = TrialSetup(suite, partial(make_env, suite), execution_horizon=4)
        with closing(InProcessPool(setup, policy)) as pool:
            outcomes += [done.result.outcome for done in pool.run([Trial(task, 0) for task in tasks])]
    assert outcomes.count("success") >= 2, outcomes


@pytest.mark.timeout(300)
def test_magma_tiny_talking_acts_and_knows_what_it_sees() -> None:
    """It succeeds in three of four tasks; most of what it says of 32 unseen scenes is true.

    Two thirds of the words are right, and as many traces nearer to the truth than marks that stay where they are.
    """
    folder = CHECKPOINTS / "magma-tiny-talking"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
    policy = load_policy(folder)
    setup = TrialSetup(BRIDGE, partial(make_env, BRIDGE))
    with closing(InProcessPool(setup, policy)) as pool:
        outcomes = [done.result.outcome for done in pool.run([Trial(task.name, 500) for task in BRIDGE.tasks])]
    assert outcomes.count("success") >= 3, outcomes
    words, off_px, still_px = [], [], []
    for task in BRIDGE.tasks:
        with closing(SceneQuestions(task.name)) as questions:
            scenes = [scene for seed in range(8_000_000, 8_000_008) for scene in questions.scenes(seed, count=1)]
        for scene in scenes:
            said = {asked.kind: "".join(talk(policy, asked.question(scene.image))) for asked in scene.asked[:4]}
            right = {asked.kind: asked for asked in scene.asked}
            words.append(said["words"] == right["words"].answer)
            if "trace" in said:
                size = {"width_px": 128, "height_px": 128}
                (told,) = predicted_traces(said["trace"], right["trace"].marks, **size)
                (true,) = predicted_traces(right["trace"].answer, right["trace"].marks, **size)
                num = min(len(told.points_px), len(true.points_px))
                off_px.append(np.linalg.norm(told.points_px[:num] - true.points_px[:num], axis=1).mean())
                still_px.append(np.linalg.norm(true.points_px[0] - true.points_px[:num], axis=1).mean())
    assert sum(words) >= 22, words
    assert np.less(off_px, still_px).sum() >= 22, (off_px, still_px)


class Recorder:
    """A model that keeps what it was asked and what it answered."""

    def __init__(self, model):
        self._model = model
        self.inputs = []
        self.predictions = []

    def generate_actions(self, inputs, **options):
        self.inputs += inputs
        self.predictions.append(self._model.generate_actions(inputs, **options))
        return self.predictions[-1]


def test_drafting_saves_passes_and_changes_no_token() -> None:
    """In a whole episode that it acts out it needs at most 4.0 passes per action, with the tokens of 7 passes."""
    model = load_model(CHECKPOINT)
    recorder = Recorder(model)
    env = make_env(BRIDGE, BRIDGE.task("carrot_on_plate"))
    controller = Controller(ModelPolicy(Pipeline.load(CHECKPOINT), recorder), limits=BRIDGE.limits)
    try:
        rollout(env, controller, seed=500, step_budget=BUDGET)
    finally:
        env.close()
    assert BUDGET == len(recorder.inputs)
    assert sum(prediction.num_passes for prediction in recorder.predictions) / BUDGET <= MAX_PASSES_PER_ACTION
    for item, drafted in zip(recorder.inputs, recorder.predictions, strict=True):
        wrong = np.where(drafted.tokens == drafted.tokens[0, 0], drafted.tokens[0, 0] - 1, drafted.tokens[0, 0])
        plain = model.decoder.actions(model.processor([item]), draft=wrong, next_guess=lambda _, draft: draft)
        np.testing.assert_array_equal(plain.tokens, drafted.tokens)
        np.testing.assert_array_equal(plain.expected, drafted.expected)
