"""Who acts while a policy's mistakes are collected."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.shared_acting import SharedActing, Sharing
from magma_ros.types import Action
from tests.examples import ScriptedPolicy, make_action, make_chunk, make_observation

LABEL = make_action(-0.01)


def acted(policy: ScriptedPolicy, num_steps: int, *, seed: int = 0, **options) -> list[Action]:
    """What is done in so many steps, one control period apart."""
    choose = SharedActing(policy, Sharing(**options), np.random.default_rng(seed), step_budget=8)
    period_s = policy.contract.control_period_s
    return [choose(make_observation(stamp_s=step * period_s), LABEL) for step in range(num_steps)]


def chunk_policy() -> ScriptedPolicy:
    return ScriptedPolicy(make_chunk([make_action(step).to_array().tolist() for step in (0.001, 0.002, 0.003)]))


@pytest.mark.parametrize(
    ("horizon", "wanted", "asked"), [(1, [1, 1, 1, 1], 4), (2, [1, 2, 1, 2], 2), (9, [1, 2, 3, 1], 2)]
)
def test_a_policy_is_asked_when_its_actions_are_used_up(horizon: int, wanted: list[int], asked: int) -> None:
    """As many of each answer as the horizon says, or as there are."""
    policy = chunk_policy()
    steps = acted(policy, 4, execution_horizon=horizon)
    assert wanted == [round(1000 * action.translation_m[0]) for action in steps]
    assert asked == policy.num_inferences


def test_an_expert_that_steps_in_makes_the_rest_of_an_answer_void() -> None:
    """About half of the steps are the expert's own label, and after each the policy begins a new answer."""
    steps = acted(chunk_policy(), 200, expert_share=0.5, execution_horizon=3)
    experts = [action is LABEL for action in steps]
    assert 70 < sum(experts) < 130
    after = [
        action.translation_m[0]
        for action, before in zip(steps[1:], experts, strict=False)
        if before and action is not LABEL
    ]
    assert {0.001} == set(after)


def test_an_expert_takes_over_once_and_for_good() -> None:
    """At a step that is drawn evenly from the first half of the budget, both ends included."""
    taken = []
    for seed in range(60):
        experts = [action is LABEL for action in acted(chunk_policy(), 6, seed=seed, takeover=True)]
        taken.append(experts.index(True))
        assert all(experts[taken[-1] :])
    assert {0, 1, 2, 3, 4} == set(taken)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"expert_share": 1.1}, "an expert share of 0 to 1, got 1.1"),
        ({"expert_share": float("nan")}, "an expert share of 0 to 1"),
        ({"expert_share": 0.1, "takeover": True}, "either takeover or an expert share"),
        ({"execution_horizon": 0}, "an execution horizon of at least 1"),
    ],
)
def test_a_sharing_that_cannot_be_is_refused(options: dict, said: str) -> None:
    """Before anybody acts."""
    with pytest.raises(EnvError, match=said):
        Sharing(**options)
