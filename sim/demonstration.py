"""One demonstration: an actor that errs on purpose, and in every state the action that the expert would take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from magma_ros.episodes import Episode
from magma_ros.errors import EnvError
from magma_ros.sim.env import Expert, RecordableEnv
from magma_ros.sim.perturbation import Perturber
from magma_ros.types import Action, FloatArray, Observation

MAX_DONE_FRAMES = 3
IDLE_SPEED_M_S = 5e-3
IDLE_SPEED_RAD_S = 5e-2


Chooser = Callable[[Observation, Action], Action]
"""From what is seen and what the expert would do: the action that is intended."""


@runtime_checkable
class PlaceableEnv(Protocol):
    """An environment whose arm can be put somewhere before the first step."""

    def place_ee(self, position_m: FloatArray, quat_xyzw: FloatArray) -> Observation:
        """Put the end effector at a pose in the base frame, as near as the arm can; the objects stay where they are."""
        ...


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt without pictures.

    Attributes:
        states: Of the environment, before each step.
        actions: The expert's in each of them.
        success: After the last step.
        interventions: Where the expert acted in the place of the policy; nowhere if nobody else was to act.
    """

    states: tuple[Any, ...]
    actions: tuple[Action, ...]
    success: bool
    interventions: tuple[bool, ...]

    def since_intervention(self) -> Rollout:
        """What came from the expert's first intervention on; nothing, where there was none."""
        first = self.interventions.index(True) if any(self.interventions) else len(self.states)
        return Rollout(self.states[first:], self.actions[first:], self.success, self.interventions[first:])


def roll_out(
    env: RecordableEnv,
    expert: Expert,
    perturber: Perturber,
    *,
    seed: int,
    settle_steps: int,
    max_steps: int,
    choose: Chooser | None = None,
) -> Rollout:
    """One attempt at `seed`.

    It ends when the environment ends it, after `max_steps`, or once the expert has had nothing to do for three steps.

    Args:
        env: Where, with or without pictures.
        expert: Of `env`; it labels every state.
        perturber: Of every executed action.
        seed: Of the initial state.
        settle_steps: Steps without motion before the first label.
        max_steps: Labels at most.
        choose: Says what is intended where it is not the expert's action: a policy whose mistakes are labelled.

    Raises:
        EnvError: the perturbation has start poses, and the arm of `env` cannot be placed.
    """
    observation, info = _begin(env, perturber, seed=seed, settle_steps=settle_steps)
    states: list[Any] = []
    actions: list[Action] = []
    interventions: list[bool] = []
    num_done, ended = 0, False
    while not ended and len(states) < max_steps and num_done < MAX_DONE_FRAMES:
        label = expert.act()
        states.append(env.get_state())
        actions.append(label)
        idle = is_motionless(label, period_s=env.contract.control_period_s)
        num_done = num_done + 1 if info["success"] and idle else 0
        intended = label if choose is None else choose(observation, label)
        interventions.append(choose is not None and intended is label)
        observation, _, terminated, truncated, info = env.step(perturber.execute(intended))
        ended = terminated or truncated
    return Rollout(tuple(states), tuple(actions), bool(info["success"]), tuple(interventions))


def _begin(
    env: RecordableEnv, perturber: Perturber, *, seed: int, settle_steps: int
) -> tuple[Observation, dict[str, Any]]:
    observation, info = env.reset(seed=seed)
    for _ in range(settle_steps):
        observation, _, _, _, info = env.step(Action(np.zeros(3), np.zeros(3), 1.0, env.contract.frame))
    start = perturber.start_pose()
    if start is not None:
        if not isinstance(env, PlaceableEnv):
            raise EnvError(f"expected an environment with `place_ee` for the start poses, got {type(env).__name__}")
        observation = env.place_ee(*start)
    return observation, info


def is_motionless(action: Action, *, period_s: float) -> bool:
    """Slower than 5 mm/s and 0.05 rad/s (at 5 Hz: 1 mm and 0.01 rad a step)."""
    return bool(_is_still(action.to_array()[None], period_s)[0])


def count_idle(rollout: Rollout, *, period_s: float) -> int:
    """States whose label neither moves the arm nor asks the gripper for something else than the label before it."""
    rows = np.stack([action.to_array() for action in rollout.actions])
    asks = np.abs(np.diff(rows[:, 6], prepend=1.0)) >= 0.5
    return int((_is_still(rows, period_s) & ~asks).sum())


def _is_still(rows: FloatArray, period_s: float) -> NDArray[np.bool_]:
    still = np.linalg.norm(rows[:, :3], axis=1) < IDLE_SPEED_M_S * period_s
    return np.asarray(still & (np.linalg.norm(rows[:, 3:6], axis=1) < IDLE_SPEED_RAD_S * period_s))


def to_episode(rollout: Rollout, observations: Sequence[Observation], *, seed: int) -> Episode:
    """The attempt as it is recorded; `observations` are those of its states."""
    measured = [observation.proprio for observation in observations if observation.proprio is not None]
    return Episode(
        images={name: np.stack([o.images[name] for o in observations]) for name in observations[0].images},
        actions=np.stack([action.to_array() for action in rollout.actions]),
        ee_position_m=np.stack([p.ee_position_m for p in measured]),
        ee_quat_xyzw=np.stack([p.ee_quat_xyzw for p in measured]),
        gripper_opening=np.array([p.gripper_opening for p in measured]),
        joint_positions_rad=np.stack([p.joint_positions_rad for p in measured]),
        stamps_s=np.array([observation.stamp_s for observation in observations]),
        instruction=observations[0].instruction,
        seed=seed,
        success=rollout.success,
        interventions=np.array(rollout.interventions),
    )
