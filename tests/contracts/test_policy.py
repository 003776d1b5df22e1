"""What every policy keeps to; a new policy joins by a line in `POLICIES`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from magma_ros.controller import Controller
from magma_ros.errors import MagmaRosError
from magma_ros.policy import Policy
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.env import Env
from magma_ros.sim.policies import load_policy
from magma_ros.sim.suites import BRIDGE_LIMITS
from magma_ros.types import ActionChunk, Observation, SafeAction
from tests.model.random_checkpoints import write_random_checkpoint
from tests.remote.serving import ServedPolicy

PolicyMaker = Callable[[Env, Path], Policy]

POLICIES: dict[str, PolicyMaker] = {
    "expert": lambda env, _: load_policy("expert", env),
    "random": lambda env, _: load_policy("random", env, seed=1),
    "noop": lambda env, _: load_policy("noop", env),
    "model": lambda env, folder: load_policy(str(write_random_checkpoint(folder)), env),
    "remote": lambda env, folder: ServedPolicy(load_policy(str(write_random_checkpoint(folder)), env)),
}


@pytest.fixture(scope="module")
def env() -> Iterator[BridgeEnv]:
    world = BridgeEnv(image_size_px=64)
    yield world
    world.close()


@pytest.fixture(scope="module", params=sorted(POLICIES))
def policy(
    request: pytest.FixtureRequest, env: BridgeEnv, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Policy]:
    made = POLICIES[request.param](env, tmp_path_factory.mktemp("policy"))
    yield made
    made.close()


@pytest.fixture
def observation(env: BridgeEnv) -> Observation:
    first, _ = env.reset(seed=100)
    return first


def test_contract_moves_the_environments_arm(policy: Policy, env: BridgeEnv) -> None:
    """The policy's numbers mean what the environment's do."""
    env.contract.require_same_motion(policy.contract, who="the policy")


def test_chunk_is_finite_in_the_contracts_frame_and_stamped_like_its_observation(
    policy: Policy, observation: Observation
) -> None:
    """An answer has at least one action of seven finite numbers, the frame and the observation's time."""
    chunk = policy.infer(observation)
    assert isinstance(chunk, ActionChunk)
    assert chunk.actions.shape == (len(chunk), 7)
    assert np.isfinite(chunk.actions).all()
    assert (chunk.actions[:, 6] >= 0).all()
    assert (chunk.actions[:, 6] <= 1).all()
    assert (chunk.frame, chunk.stamp_s) == (policy.contract.frame, observation.stamp_s)


def test_actions_can_be_driven_through_the_controller(policy: Policy, env: BridgeEnv) -> None:
    """Ten ticks in a row give actions that the arm may execute, or stops; never an exception."""
    observation, _ = env.reset(seed=101)
    controller = Controller(policy, limits=BRIDGE_LIMITS)
    controller.reset()
    for _ in range(10):
        decision = controller.tick(observation, observation.stamp_s)
        if isinstance(decision, SafeAction):
            observation, *_ = env.step(decision.action)


def test_the_observation_is_not_changed(policy: Policy, observation: Observation) -> None:
    """A policy reads; the picture stays as it was."""
    before = observation.images["image"].copy()
    policy.infer(observation)
    np.testing.assert_array_equal(before, observation.images["image"])


def test_reset_may_be_called_at_any_time(policy: Policy, observation: Observation) -> None:
    """Before the first inference, after it and twice in a row."""
    policy.reset()
    policy.infer(observation)
    policy.reset()
    policy.reset()
    policy.infer(observation)


def test_refusals_are_the_projects_own_errors(policy: Policy, observation: Observation) -> None:
    """A policy may need no picture; one that does refuses its absence with an error that stops the arm."""
    blind = Observation({}, observation.instruction, observation.stamp_s, observation.proprio)
    with contextlib.suppress(MagmaRosError):
        assert len(policy.infer(blind)) >= 1
