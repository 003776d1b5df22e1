"""Who acts in an attempt at a demonstration that a policy begins or shares: the policy, or the expert in its place."""

from __future__ import annotations

import numpy as np

from magma_ros.chunking import RecedingHorizon
from magma_ros.policy import Policy
from magma_ros.types import Action, Observation


class SharedActing:
    """Chooses between a policy's action and the expert's in each step of one attempt.

    A policy is asked again once `execution_horizon` of its actions were executed or the expert stepped in.
    """

    def __init__(
        self,
        policy: Policy,
        generator: np.random.Generator,
        *,
        expert_share: float,
        takeover_by: int | None,
        execution_horizon: int,
    ) -> None:
        """Begin an attempt of `policy`.

        Args:
            policy: Forgets what it remembers.
            generator: Draws who acts.
            expert_share: Chance per step that the expert acts.
            takeover_by: The expert takes over for good at a step that is drawn evenly up to this one; None: never.
            execution_horizon: Actions of each answer that are executed, at least 1.

        Raises:
            InvalidInputError: a horizon below 1.
        """
        policy.reset()
        self._policy, self._generator, self._expert_share = policy, generator, expert_share
        self._horizon = RecedingHorizon(execution_horizon, control_period_s=policy.contract.control_period_s)
        self._cameras = [camera.name for camera in policy.contract.cameras]
        self._steps_left = None if takeover_by is None else int(generator.integers(takeover_by + 1))

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
