"""Policies by name."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import EnvError
from magma_ros.sim.policies import NoopPolicy, RandomPolicy, load_policy
from tests.examples import CONTRACT, make_observation
from tests.sim.toy_env import ToyEnv


def rows(policy: RandomPolicy, count: int) -> np.ndarray:
    return np.stack([policy.infer(make_observation()).actions[0] for _ in range(count)])


def test_random_policy_stays_within_half_the_contract() -> None:
    """Its steps are at most half of what is allowed, so that two never differ by more than the bound."""
    actions = rows(RandomPolicy(CONTRACT, seed=0), 500)
    assert np.linalg.norm(actions[:, :3], axis=1).max() <= CONTRACT.max_translation_m / 2
    assert np.linalg.norm(actions[:, 3:6], axis=1).max() <= CONTRACT.max_rotation_rad / 2
    assert (actions[:, 6] >= 0).all()
    assert (actions[:, 6] <= 1).all()


def test_random_policy_repeats_with_its_seed_and_goes_on_after_reset() -> None:
    """The seed fixes the whole course; a reset does not start it again."""
    policy = RandomPolicy(CONTRACT, seed=7)
    first = rows(policy, 3)
    policy.reset()
    second = rows(policy, 3)
    np.testing.assert_array_equal(np.concatenate([first, second]), rows(RandomPolicy(CONTRACT, seed=7), 6))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, rows(RandomPolicy(CONTRACT, seed=8), 3))


def test_random_policy_does_not_draw_what_the_layout_was_drawn_from() -> None:
    """A trial's seed draws the layout; the policy has draws of its own, so that its steps say nothing about it."""
    grippers = rows(RandomPolicy(CONTRACT, seed=30), 20)[:, 6]
    of_the_layout = np.random.default_rng(30).uniform(size=(20, 7))[:, 6]
    assert [] == np.intersect1d(grippers, of_the_layout).tolist()


def test_noop_policy_holds_still_with_the_gripper_open() -> None:
    """No motion, opening 1."""
    assert NoopPolicy(CONTRACT).infer(make_observation()).actions.tolist() == [[0.0] * 6 + [1.0]]


def test_scripted_policies_are_found_by_name() -> None:
    """`random` and `noop` take the environment's contract."""
    env = ToyEnv()
    assert isinstance(load_policy("random", env, seed=3), RandomPolicy)
    assert isinstance(load_policy("noop", env), NoopPolicy)
    assert load_policy("noop", env).contract == env.contract


def test_no_expert_knows_the_toy_world() -> None:
    """An environment without an expert is named."""
    with pytest.raises(EnvError, match="ToyEnv"):
        load_policy("expert", ToyEnv())
