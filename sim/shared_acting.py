"""Who acts in an attempt at a demonstration that a policy begins or shares: the policy, or the expert in its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magma_ros.chunking import RecedingHorizon
from magma_ros.errors import EnvError
from magma_ros.policy import Policy
from magma_ros.types import Action, Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a policy and the expert share each attempt.

    Attributes:
        expert_share: Chance per step that the expert acts in a checkpoint's place, 0 to 1.
        takeover: A checkpoint acts for up to half of the budget, then the expert, whose part alone is recorded.
        execution_horizon: Actions of each of a checkpoint's chunks that are executed before it is asked again.
    """

    expert_share: float = 0.0
    takeover: bool = False
    execution_horizon: int = 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.expert_share <= 1.0:
            raise EnvError(f"expected an expert share of 0 to 1, got {self.expert_share}")
        if self.takeover and self.expert_share > 0:
            raise EnvError(f"expected either takeover or an expert share, got both, {self.expert_share}")
        if self.execution_horizon < 1:
            raise EnvError(f"expected an execution horizon of at least 1, got {self.execution_horizon}")


class SharedActing:
    """Chooses between a policy's action and the expert's in each step of one attempt.

    A policy is asked again once `execution_horizon` of its actions were executed or the expert stepped in.
    """

    def __init__(self, policy: Policy, sharing: Sharing, generator: np.random.Generator, *, step_budget: int) -> None:
        """Begin an attempt of `policy`, which forgets what it remembers; `generator` draws who acts.

        A takeover comes at a step that is drawn evenly from the first half of `step_budget`.
        """
        policy.reset()
        self._policy, self._generator, self._expert_share = policy, generator, sharing.expert_share
        self._horizon = RecedingHorizon(sharing.execution_horizon, control_period_s=policy.contract.control_period_s)
        self._cameras = [camera.name for camera in policy.contract.cameras]
        self._steps_left = int(generator.integers(step_budget // 2 + 1)) if sharing.takeover else None

    def __call__(self, observation: Observation, label: Action) -> Action:
        """`label`, which is the expert's, or what the policy does at `observation`."""
        if self._is_experts_turn():
            self._horizon.reset()
            return label
        if self._horizon.needs_chunk(observation.stamp_s):
            self._horizon.push(self._policy.infer(observation.seen_by(self._cameras)))
        action = self._horizon.next_action(observation.stamp_s)
        assert action is not None, "a chunk of this very moment has an action that is due"
        return action

    def _is_experts_turn(self) -> bool:
        if self._steps_left is not None:
            self._steps_left -= 1
            return self._steps_left < 0
        return self._generator.random() < self._expert_share
