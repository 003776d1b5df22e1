"""How far a policy's actions are from the recorded ones on recorded frames, beside two that look at nothing.

Each frame is answered alone, so an error does not carry over to the next frame; a low one is needed for success on the
robot, and not enough. Of an answer of several actions the first is judged. Intervals are 95 % percentile bootstraps
over episodes (Efron & Tibshirani 1993, chapter 13), since frames of one episode resemble each other; with a handful of
episodes they are too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from magma_ros.entropy_bounds import HOLD_QUANTILE, SLOW_QUANTILE
from magma_ros.episodes import Episode, EpisodeDataset
from magma_ros.errors import EpisodeError
from magma_ros.pipeline import Pipeline, from_model_numbers
from magma_ros.policy import ModelPolicy
from magma_ros.types import ActionChunk, FloatArray
from magma_ros.wording import counted

AXES = ("dx_m", "dy_m", "dz_m", "rx_rad", "ry_rad", "rz_rad")
"""The six motion axes: translation [m] and rotation vector [rad] over one control step, in the contract's frame."""

_OPEN = 0.5
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Interval:
    """A number over all frames, and the 95 % interval around it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.5f} [{self.low:.5f}, {self.high:.5f}]"


@dataclass(frozen=True, slots=True)
class ActionErrors:
    """Errors of one way to act.

    Attributes:
        mae: Axis → mean absolute error per step, in the axis's unit.
        rmse: Axis → root of the mean squared error per step, in the axis's unit.
        gripper_accuracy: Share of steps whose gripper goal is on the recorded side of half open.
    """

    mae: Mapping[str, Interval]
    rmse: Mapping[str, Interval]
    gripper_accuracy: Interval


@dataclass(frozen=True, slots=True)
class OpenLoopReport:
    """A policy's errors beside those of two baselines, on the same frames.

    Attributes:
        num_episodes, num_steps: What was judged.
        mean_of: Whose mean action the first baseline repeats: `training` as the checkpoint's statistics tell it, or
            `judged` where they do not, which favours the baseline.
        entropy_slow_nats, entropy_hold_nats: Quantiles of the frames' mean entropies over an answer's tokens, as
            `entropy_bounds` names them; 0 when not known [nat].
        policy: The policy's errors.
        mean: Errors of repeating that mean.
        previous: Errors of repeating the action before; at an episode's first step, of holding still.
        skill_over_mean, skill_over_previous: 1 - the policy's error / the baseline's, each axis's MAE counted in that
            of `mean`; 1 is perfect, 0 as good as the baseline, below 0 worse. The interval is of the paired ratio.
    """

    num_episodes: int
    num_steps: int
    mean_of: Literal["training", "judged"]
    entropy_slow_nats: float
    entropy_hold_nats: float
    policy: ActionErrors
    mean: ActionErrors
    previous: ActionErrors
    skill_over_mean: Interval
    skill_over_previous: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """A table for people."""
        rows = [f"{'MAE per step':<18}{'policy':>31}{'mean':>11}{'previous':>11}"]
        for axis in AXES:
            others = f"{self.mean.mae[axis].value:>11.5f}{self.previous.mae[axis].value:>11.5f}"
            rows.append(f"{axis:<18}{self.policy.mae[axis]!s:>31}{others}")
        accuracies = [one.gripper_accuracy for one in (self.policy, self.mean, self.previous)]
        rows.append(
            f"{'gripper accuracy':<18}{accuracies[0]!s:>31}{accuracies[1].value:>11.5f}{accuracies[2].value:>11.5f}"
        )
        rows.append(f"skill over the mean of the {self.mean_of} actions {self.skill_over_mean}")
        rows.append(f"skill over the previous action {self.skill_over_previous}")
        shares = f"{SLOW_QUANTILE:.1%} and {HOLD_QUANTILE:.1%}"
        rows.append(
            f"{shares} of actions below {self.entropy_slow_nats:.2f} and {self.entropy_hold_nats:.2f} nat a token"
        )
        return [*rows, f"{counted(self.num_steps, 'step')} of {counted(self.num_episodes, 'episode')}"]


def open_loop_errors(
    policy: ModelPolicy,
    dataset: EpisodeDataset,
    numbers: Sequence[int],
    *,
    batch_size: int = 32,
    num_resamples: int = 2000,
    seed: int = 0,
) -> OpenLoopReport:
    """Ask `policy` about every frame of episodes `numbers` and compare.

    Args:
        policy: It acts as it would on the robot, frame by frame.
        dataset: Episodes of the same motion that it was not trained on.
        numbers: Which of them.
        batch_size: Frames that are asked about at once.
        num_resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        EpisodeError: no episode, one that cannot be read, or recorded actions that never change.
        ContractError: the policy acts under another contract.
    """
    policy.contract.require_same_motion(dataset.contract, who=str(dataset.folder))
    if not numbers:
        raise EpisodeError(f"{dataset.folder}: expected at least one episode to judge by, got none")
    cameras = [camera.name for camera in policy.contract.cameras]
    recorded, answered, previous = [], [], []
    entropies_nats: list[float] = []
    for number in numbers:
        episode = dataset.read(number, cameras=cameras)
        recorded.append(episode.actions)
        chunks = _answers(policy, episode, batch_size)
        answered.append(np.stack([chunk.actions[0] for chunk in chunks]))
        entropies_nats += [float(chunk.entropy_nats.mean()) for chunk in chunks]
        previous.append(_previous_actions(episode))
    mean, mean_of = _mean_action(policy.pipeline, np.concatenate(recorded))
    means = [np.tile(mean, (len(actions), 1)) for actions in recorded]
    draws = _draws(len(numbers), num_resamples, seed)
    sums = {
        name: _Sums.of(recorded, guesses)
        for name, guesses in (("policy", answered), ("mean", means), ("previous", previous))
    }
    scale = sums["mean"].mae(draws[:1])[0]
    if not scale.any():
        raise EpisodeError(f"{dataset.folder}: the recorded actions never change; nothing can be told from them")
    scores = {name: (one.mae(draws)[:, scale > 0] / scale[scale > 0]).mean(axis=1) for name, one in sums.items()}
    skills = {name: 1.0 - scores["policy"] / np.maximum(scores[name], 1e-12) for name in ("mean", "previous")}
    return OpenLoopReport(
        num_episodes=len(numbers),
        num_steps=sum(len(actions) for actions in recorded),
        mean_of=mean_of,
        entropy_slow_nats=float(np.quantile(entropies_nats, SLOW_QUANTILE)),
        entropy_hold_nats=float(np.quantile(entropies_nats, HOLD_QUANTILE)),
        policy=sums["policy"].errors(draws),
        mean=sums["mean"].errors(draws),
        previous=sums["previous"].errors(draws),
        skill_over_mean=_interval(skills["mean"]),
        skill_over_previous=_interval(skills["previous"]),
    )


def _answers(policy: ModelPolicy, episode: Episode, batch_size: int) -> list[ActionChunk]:
    """The policy's answer for each frame."""
    answers: list[ActionChunk] = []
    for start in range(0, len(episode), batch_size):
        frames = [episode.observation(step) for step in range(start, min(start + batch_size, len(episode)))]
        answers += policy.infer_batch(frames)
    return answers


def _previous_actions(episode: Episode) -> FloatArray:
    still = np.array([*[0.0] * len(AXES), episode.gripper_opening[0]])
    return np.concatenate([still[None], episode.actions[:-1]])


def _mean_action(pipeline: Pipeline, recorded: FloatArray) -> tuple[FloatArray, Literal["training", "judged"]]:
    numbers = pipeline.config.norm_stats.mean
    if numbers is None:
        return recorded.mean(axis=0), "judged"
    return from_model_numbers(numbers[None], pipeline.contract)[0], "training"


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over each episode's steps: absolute and squared errors (E, 6), right gripper goals (E,), steps (E,)."""

    absolute: FloatArray
    squared: FloatArray
    gripper: FloatArray
    steps: FloatArray

    @classmethod
    def of(cls, recorded: Sequence[FloatArray], guessed: Sequence[FloatArray]) -> _Sums:
        pairs = list(zip(recorded, guessed, strict=True))
        motion = [guess[:, : len(AXES)] - truth[:, : len(AXES)] for truth, guess in pairs]
        right = [(guess[:, -1] >= _OPEN) == (truth[:, -1] >= _OPEN) for truth, guess in pairs]
        return cls(
            np.stack([np.abs(error).sum(axis=0) for error in motion]),
            np.stack([(error**2).sum(axis=0) for error in motion]),
            np.array([float(one.sum()) for one in right]),
            np.array([float(len(error)) for error in motion]),
        )

    def mae(self, draws: NDArray[np.int64]) -> FloatArray:
        """Mean absolute errors, (draws, 6)."""
        means: FloatArray = (draws @ self.absolute) / (draws @ self.steps)[:, None]
        return means

    def errors(self, draws: NDArray[np.int64]) -> ActionErrors:
        mae, steps = self.mae(draws), draws @ self.steps
        rmse = np.sqrt((draws @ self.squared) / steps[:, None])
        return ActionErrors(
            mae={axis: _interval(mae[:, column]) for column, axis in enumerate(AXES)},
            rmse={axis: _interval(rmse[:, column]) for column, axis in enumerate(AXES)},
            gripper_accuracy=_interval((draws @ self.gripper) / steps),
        )


def _draws(num_episodes: int, num_resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each episode counts: once in the first row, as often as it was drawn in the others."""
    even = np.full(num_episodes, 1.0 / num_episodes)
    drawn = np.random.default_rng(seed).multinomial(num_episodes, even, size=num_resamples)
    return np.concatenate([np.ones((1, num_episodes), np.int64), drawn])


def _interval(values: FloatArray) -> Interval:
    """Of the first value, by the spread of the others."""
    low, high = np.quantile(values[1:], [_TAIL, 1.0 - _TAIL])
    return Interval(float(values[0]), float(low), float(high))
