"""Perturbed demonstrations: an actor that errs on purpose, and in every state the action that the expert would take.

Rolled out without pictures first; only the frames that are kept are drawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter
from magma_ros.policy import Policy
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv, BridgeState
from magma_ros.sim.experts import CarrotExpert
from magma_ros.types import Action, FloatArray, Observation

PolicyFactory = Callable[[], Policy]
MAX_DONE_FRAMES = 3
IDLE_TRANSLATION_M = 1e-3
IDLE_ROTATION_RAD = 1e-2
_MAX_EXECUTED_M = 0.045
_MAX_EXECUTED_RAD = 0.4


@dataclass(frozen=True, slots=True)
class Perturbation:
    """How the executed action departs from the intended one.

    Attributes:
        clean_share: Share of episodes that are not perturbed at all.
        start_share: Share of the others that begin at a random end-effector pose.
        noise_m, noise_rad: Standard deviation of the correlated noise at scale 1; an episode's scale is 0 … 1.3.
        noise_memory: Correlation of the noise between two steps.
        push_rate, push_m, push_rad: Pushes begun per step and their largest step per axis; one lasts 2 to 5 steps.
        flip_rate: Wrong gripper commands begun per step; one lasts 1 or 2 steps.
        min_steps, max_steps: All of this ends after a number of steps from this range, so that the expert can finish.
    """

    clean_share: float = 0.15
    start_share: float = 0.5
    noise_m: float = 0.006
    noise_rad: float = 0.05
    noise_memory: float = 0.7
    push_rate: float = 0.03
    push_m: float = 0.025
    push_rad: float = 0.2
    flip_rate: float = 0.012
    min_steps: int = 15
    max_steps: int = 60


@dataclass(frozen=True, slots=True)
class CollectConfig:
    """What one call of `collect` does, apart from where and how many.

    Attributes:
        perturbation: Of every executed action.
        actor: Makes the policy that acts (DAgger), once in each worker, so it must pickle; None lets the expert act.
        expert_share: With an `actor`: chance per step that the expert's action is executed instead (beta).
        max_steps: Control steps after which an episode is given up.
        image_size_px: Side of the recorded picture.
    """

    perturbation: Perturbation = field(default_factory=Perturbation)
    actor: PolicyFactory | None = None
    expert_share: float = 0.0
    max_steps: int = 90
    image_size_px: int = 128


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What `collect` wrote: `num_idle_frames` have a label of less than 1 mm and 0.01 rad and no gripper change."""

    num_episodes: int
    num_attempts: int
    num_frames: int
    num_idle_frames: int


class Perturber:
    """Turns intended actions into executed ones; its whole course is fixed by `generator`."""

    def __init__(self, perturbation: Perturbation, generator: np.random.Generator) -> None:
        self._settings, self._generator = perturbation, generator
        self.is_clean = bool(generator.random() < perturbation.clean_share)
        self._scale = float(generator.uniform(0.0, 1.3))
        self._steps_left = int(generator.integers(perturbation.min_steps, perturbation.max_steps + 1))
        self._noise = np.zeros(6)
        self._push, self._push_steps, self._flip_steps = np.zeros(6), 0, 0

    def start_pose(self) -> tuple[FloatArray, FloatArray] | None:
        """A random end-effector pose in the base frame (position [m], quat_xyzw), or None to begin at home."""
        draw = self._generator
        if self.is_clean or draw.random() >= self._settings.start_share:
            return None
        position = draw.uniform([0.20, -0.13, 0.075], [0.40, 0.16, 0.20])
        down = Rotation.from_matrix([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
        turn = Rotation.from_euler("xyz", [*draw.uniform(-0.15, 0.15, 2), draw.uniform(-0.4, 2.0)])
        return position, np.asarray((turn * down).as_quat())

    def execute(self, intended: Action) -> Action:
        """`intended` with noise, pushes and gripper flips; at most 4.5 cm and 0.4 rad."""
        self._steps_left -= 1
        if self.is_clean or self._steps_left < 0:
            return intended
        self._advance()
        motion = np.concatenate([intended.translation_m, intended.rotation_vector_rad])
        motion = self._push if self._push_steps > 0 else motion + self._noise
        opening = 1.0 - intended.gripper_opening if self._flip_steps > 0 else intended.gripper_opening
        return Action(
            _shorten(motion[:3], _MAX_EXECUTED_M), _shorten(motion[3:], _MAX_EXECUTED_RAD), opening, intended.frame
        )

    def _advance(self) -> None:
        settings, draw = self._settings, self._generator
        memory = settings.noise_memory
        spread = self._scale * np.repeat([settings.noise_m, settings.noise_rad], 3)
        self._noise = memory * self._noise + np.sqrt(1.0 - memory**2) * spread * draw.standard_normal(6)
        self._push_steps, self._flip_steps = self._push_steps - 1, self._flip_steps - 1
        if draw.random() < settings.push_rate:
            self._push_steps = int(draw.integers(2, 6))
            self._push = draw.uniform(-1.0, 1.0, 6) * np.repeat([settings.push_m, settings.push_rad], 3)
        if draw.random() < settings.flip_rate:
            self._flip_steps = int(draw.integers(1, 3))


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt without pictures: states and, for each, the expert's action; `success` at its last step."""

    states: tuple[BridgeState, ...]
    actions: tuple[Action, ...]
    success: bool


def collect(
    output_dir: Path,
    *,
    num_episodes: int,
    first_seed: int = 1_000_000,
    config: CollectConfig | None = None,
    workers: int = 2,
) -> CollectReport:
    """Write demonstrations of seeds `first_seed`, … until the dataset in `output_dir` has `num_episodes` episodes.

    Goes on where it stopped. The expert's own episodes are kept when they end in success, a policy's always. What is
    written depends on the seeds and the configuration alone, not on the number of workers.
    """
    config = config or CollectConfig()
    writer = EpisodeWriter(output_dir, contract=BRIDGE_CONTRACT, source=_describe(config, first_seed))
    next_seed = EpisodeDataset(output_dir).read(len(writer) - 1).seed + 1 if len(writer) else first_seed
    num_attempts = num_frames = num_idle = num_written = 0
    episodes = _in_order(config, count(next_seed), workers=workers)
    while len(writer) < num_episodes:
        episode = next(episodes)
        num_attempts += 1
        if episode is not None:
            writer.append(episode)
            num_written += 1
            num_frames += len(episode)
            num_idle += count_idle(episode)
    episodes.close()
    return CollectReport(num_written, num_attempts, num_frames, num_idle)


class Collector:
    """Makes episodes in one process; owns its environments and the acting policy."""

    def __init__(self, config: CollectConfig) -> None:
        self._config = config
        self._physics, self._renderer = BridgeEnv(render=False), BridgeEnv(image_size_px=config.image_size_px)
        self._policy = config.actor() if config.actor else None

    def __call__(self, seed: int) -> Episode | None:
        """The episode of `seed`, or None when it is not kept."""
        env = self._physics if self._policy is None else self._renderer
        rollout = roll_out(env, seed=seed, config=self._config, policy=self._policy)
        if self._policy is None and not rollout.success:
            return None
        return _episode([self._renderer.set_state(state) for state in rollout.states], rollout, seed=seed)


def roll_out(env: BridgeEnv, *, seed: int, config: CollectConfig, policy: Policy | None) -> Rollout:
    """One attempt at `seed`, ended by the step budget or once the expert has had nothing to do for three steps."""
    draw = np.random.default_rng([seed, 1])
    perturber = Perturber(config.perturbation, draw)
    expert = CarrotExpert(env)
    states: list[BridgeState] = []
    actions: list[Action] = []
    observation, info = env.reset(seed=seed)
    start = perturber.start_pose()
    if start is not None:
        observation = env.place_ee(*start)
    if policy is not None:
        policy.reset()
    num_done = 0
    while len(states) < config.max_steps and num_done < MAX_DONE_FRAMES:
        label = expert.act()
        states.append(env.get_state())
        actions.append(label)
        num_done = num_done + 1 if info["success"] and is_motionless(label) else 0
        intended = label
        if policy is not None and draw.random() >= config.expert_share:
            intended = policy.infer(observation)[0]
        observation, _, _, _, info = env.step(perturber.execute(intended))
    return Rollout(tuple(states), tuple(actions), bool(info["success"]))


def is_motionless(action: Action) -> bool:
    """Less than 1 mm and less than 0.01 rad."""
    translation, rotation = np.linalg.norm(action.translation_m), np.linalg.norm(action.rotation_vector_rad)
    return bool(translation < IDLE_TRANSLATION_M and rotation < IDLE_ROTATION_RAD)


def count_idle(episode: Episode) -> int:
    """Frames whose label neither moves the arm nor asks the gripper for something new."""
    still = np.linalg.norm(episode.actions[:, :3], axis=1) < IDLE_TRANSLATION_M
    still &= np.linalg.norm(episode.actions[:, 3:6], axis=1) < IDLE_ROTATION_RAD
    before = np.concatenate([episode.gripper_opening[:1], episode.actions[:-1, 6]])
    return int((still & (np.abs(episode.actions[:, 6] - before) < 0.5)).sum())


def _episode(observations: list[Observation], rollout: Rollout, *, seed: int) -> Episode:
    proprio = [observation.proprio for observation in observations]
    measured = [p for p in proprio if p is not None]
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
    )


def _in_order(config: CollectConfig, seeds: Iterable[int], *, workers: int) -> Generator[Episode | None, None, None]:
    """The episode of each seed, in order, made a few seeds ahead by `workers` processes (by this one for 1)."""
    if workers <= 1:
        yield from map(Collector(config), seeds)
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(config,))
    waiting: deque[Future[dict[str, Any] | None]] = deque()
    try:
        for seed in seeds:
            waiting.append(pool.submit(_collect_in_worker, seed))
            if len(waiting) > 2 * workers:
                values = waiting.popleft().result()
                yield None if values is None else Episode(**values)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker_collectors: list[Collector] = []
"""The one collector of a worker process; empty in the process that hands out the seeds."""


def _start_worker(config: CollectConfig) -> None:
    _worker_collectors.append(Collector(config))


def _collect_in_worker(seed: int) -> dict[str, Any] | None:
    """The fields of the episode: plain values, which pickle."""
    episode = _worker_collectors[0](seed)
    if episode is None:
        return None
    return {**{f.name: getattr(episode, f.name) for f in fields(episode)}, "images": dict(episode.images)}


def _shorten(vector: FloatArray, longest: float) -> FloatArray:
    return np.asarray(vector * min(1.0, longest / max(float(np.linalg.norm(vector)), 1e-12)))


def _describe(config: CollectConfig, first_seed: int) -> dict[str, Any]:
    actor = "expert" if config.actor is None else "policy"
    perturbation = {name: getattr(config.perturbation, name) for name in Perturbation.__dataclass_fields__}
    return {"env": "bridge/carrot_on_plate", "actor": actor, "first_seed": first_seed, "perturbation": perturbation}
