"""Policies by name: the scripted expert, two that know nothing, checkpoints, and policy servers."""

from __future__ import annotations

import numpy as np

from magma_ros.contract import ActionContract
from magma_ros.errors import ContractError, EnvError
from magma_ros.load_options import LoadOptions
from magma_ros.policies import open_policy
from magma_ros.policy import Policy
from magma_ros.sim.env import Env, Expert
from magma_ros.types import Action, ActionChunk, Observation

SCRIPTED = ("expert", "random", "noop")
"""Policies without a network: each acts for one environment, and is made anew for each trial."""

_NO_TOKENS = np.empty((0, 7), dtype=np.int64)
_STREAM = 3
"""Of the random policy's draws: with the seed alone they would be those that the layout was drawn from."""


class ExpertPolicy:
    """A scripted expert behind the `Policy` protocol; it looks at the world, not at the observation."""

    def __init__(self, expert: Expert, contract: ActionContract) -> None:
        self._expert = expert
        self._contract = contract

    @property
    def contract(self) -> ActionContract:
        """The environment's."""
        return self._contract

    def infer(self, observation: Observation) -> ActionChunk:
        """The expert's one action for the present state."""
        return _single(self._expert.act(), observation)

    def reset(self) -> None:
        """Nothing to forget: the expert is a function of the state."""

    def close(self) -> None:
        """Nothing to release."""


class RandomPolicy:
    """Uniform random steps of at most half the contract's bounds, the gripper anywhere: the floor of a benchmark."""

    def __init__(self, contract: ActionContract, *, seed: int = 0) -> None:
        self._contract = contract
        self._generator = np.random.default_rng([seed, _STREAM])
        # A cube whose corner has half the allowed length, so that two steps never differ by more than the bound.
        translation = contract.max_translation_m / np.sqrt(12.0)
        rotation = contract.max_rotation_rad / np.sqrt(12.0)
        self._high = np.array([translation] * 3 + [rotation] * 3 + [1.0])
        self._low = np.array([-translation] * 3 + [-rotation] * 3 + [0.0])

    @property
    def contract(self) -> ActionContract:
        """The environment's."""
        return self._contract

    def infer(self, observation: Observation) -> ActionChunk:
        """The generator's next action."""
        row = self._generator.uniform(self._low, self._high)
        return _single(Action.from_array(row, frame=self._contract.frame), observation)

    def reset(self) -> None:
        """The generator goes on, so that trials differ."""

    def close(self) -> None:
        """Nothing to release."""


class NoopPolicy:
    """Holds still with the gripper open."""

    def __init__(self, contract: ActionContract) -> None:
        self._contract = contract

    @property
    def contract(self) -> ActionContract:
        """The environment's."""
        return self._contract

    def infer(self, observation: Observation) -> ActionChunk:
        """No motion."""
        return _single(Action(np.zeros(3), np.zeros(3), 1.0, self._contract.frame), observation)

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to release."""


def load_policy(name: str, env: Env, *, seed: int = 0, options: LoadOptions | None = None) -> Policy:
    """The policy called `name`: `expert`, `random`, `noop`, or what `policies.open_policy` knows.

    Args:
        name: What is wanted.
        env: Where it will act; the scripted policies take its contract, the expert reads its state.
        seed: Of the random policy's generator.
        options: How a checkpoint is brought up.

    Raises:
        EnvError: no expert knows `env`.
        ContractError: its actions would mean another motion in `env`.
        MagmaRosError: it cannot be loaded or may not act, or nobody serves a policy at the address.
    """
    if name == "random":
        return RandomPolicy(env.contract, seed=seed)
    if name == "noop":
        return NoopPolicy(env.contract)
    if name == "expert":
        return ExpertPolicy(expert_for(env), env.contract)
    policy = open_policy(name, options or LoadOptions())
    try:
        env.contract.require_same_motion(policy.contract, who=f"policy {name}")
    except ContractError:
        policy.close()
        raise
    return policy


def expert_for(env: Env) -> Expert:
    """The scripted expert of the task in `env`.

    Raises:
        EnvError: there is none.
    """
    from magma_ros.sim.bridge import experts as bridge_experts  # noqa: PLC0415 - needs MuJoCo
    from magma_ros.sim.bridge.env import BridgeEnv  # noqa: PLC0415 - same
    from magma_ros.sim.libero import experts as libero_experts  # noqa: PLC0415 - same
    from magma_ros.sim.libero.env import LiberoEnv  # noqa: PLC0415 - same

    if isinstance(env, BridgeEnv):
        return bridge_experts.expert_for(env)
    if isinstance(env, LiberoEnv):
        return libero_experts.expert_for(env)
    raise EnvError(f"no scripted expert for {type(env).__name__}, available for BridgeEnv and LiberoEnv")


def _single(action: Action, observation: Observation) -> ActionChunk:
    return ActionChunk(action.to_array()[None], action.frame, observation.stamp_s, _NO_TOKENS)
