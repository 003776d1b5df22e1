"""Perturbed demonstrations of any task of any simulator, straight to episodes.

Rolled out without pictures first; only the frames that are kept are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter, holds_episodes
from magma_ros.errors import EnvError, EpisodeError
from magma_ros.in_order import InOrder
from magma_ros.policy import Policy
from magma_ros.sim.attempts import Attempt, AttemptLog, CollectReport, num_failures_in_a_row
from magma_ros.sim.demonstration import Chooser, Rollout, count_idle, roll_out, to_episode
from magma_ros.sim.env import Env, Expert, RecordableEnv
from magma_ros.sim.envs import make_env
from magma_ros.sim.perturbation import Perturbation, Perturber
from magma_ros.sim.policies import expert_for
from magma_ros.sim.provenance import source_commit
from magma_ros.sim.shared_acting import SharedActing, Sharing
from magma_ros.sim.suites import FIRST_DEMO_SEED, Suite, Task

REPORT_NAME = "report.json"

Fields = dict[str, Any]
"""An episode as plain values, which go from one process to another."""


class EnvFactory(Protocol):
    """Makes the environment of a task, with pictures or without."""

    def __call__(self, suite: Suite, task: Task, *, render: bool) -> RecordableEnv:
        """A new environment."""
        ...


def make_collection_env(suite: Suite, task: Task, *, render: bool) -> RecordableEnv:
    """The suite's environment, with the quick pictures that are meant for collecting."""
    return make_env(suite, task, render=render, fast=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectConfig:
    """What `collect` does with each task. The callables go to other processes, so they must pickle.

    Attributes:
        perturbation: Of every executed action; None for the task's own.
        actor: Makes the policy that acts (DAgger), once in each worker; None lets the expert act.
        actor_identity: With an `actor`: which one it is, as plain JSON values by name. The dataset keeps them.
        sharing: With an `actor`: how it and the expert share an attempt.
        max_steps: Control steps after which an attempt is given up; None for one and a half step budgets.
        give_up_after: A task is left as it is after so many attempts in a row of which none was kept.
        make_env: Makes the environments.
        make_expert: Makes the expert of an environment.
    """

    perturbation: Perturbation | None = None
    actor: Callable[[], Policy] | None = None
    actor_identity: Mapping[str, Any] = field(default_factory=dict)
    sharing: Sharing = field(default_factory=Sharing)
    max_steps: int | None = None
    give_up_after: int = 25
    make_env: EnvFactory = make_collection_env
    make_expert: Callable[[Env], Expert] = expert_for


class Collector:
    """Makes attempts in one process; owns the environments of the task at hand, and the acting policy."""

    def __init__(self, suite: Suite, config: CollectConfig) -> None:
        self._suite, self._config = suite, config
        self._actor = config.actor() if config.actor else None
        self._envs: dict[bool, RecordableEnv] = {}
        self._task: Task | None = None

    def __call__(self, item: tuple[str, int], /) -> tuple[Attempt, Fields | None]:
        """The attempt at a task and seed, and its episode if kept: the expert's successes, all that a policy ends."""
        task_name, seed = item
        task = self._begin(task_name)
        env = self._env(task, render=self._actor is not None)
        generator = np.random.default_rng([seed, 1])
        rollout = roll_out(
            env,
            self._config.make_expert(env),
            Perturber(perturbation_of(self._suite, task, self._config), generator),
            seed=seed,
            settle_steps=task.settle_steps,
            max_steps=max_steps_of(task, self._config),
            choose=self._choice(task, generator),
        )
        if self._config.sharing.takeover:
            rollout = rollout.since_intervention()
        ends_by_policy = self._actor is not None and not self._config.sharing.takeover
        kept = len(rollout.states) > 0 and (rollout.success or ends_by_policy)
        num_idle = count_idle(rollout, period_s=env.contract.control_period_s) if rollout.states else 0
        attempt = Attempt(task.name, seed, rollout.success, kept, len(rollout.states), num_idle)
        return attempt, _fields(self._draw(task, rollout, seed=seed)) if kept else None

    def close(self) -> None:
        """Release the environments and the policy."""
        self._close_envs()
        if self._actor is not None:
            self._actor.close()

    def _choice(self, task: Task, generator: np.random.Generator) -> Chooser | None:
        """Who acts, where that is not the expert alone."""
        if self._actor is None:
            return None
        return SharedActing(self._actor, self._config.sharing, generator, step_budget=task.step_budget)

    def _draw(self, task: Task, rollout: Rollout, *, seed: int) -> Episode:
        env = self._env(task, render=True)
        return to_episode(rollout, [env.set_state(state) for state in rollout.states], seed=seed)

    def _begin(self, task_name: str) -> Task:
        if self._task is None or self._task.name != task_name:
            self._close_envs()
            self._task = self._suite.task(task_name)
        return self._task

    def _env(self, task: Task, *, render: bool) -> RecordableEnv:
        if render not in self._envs:
            self._envs[render] = self._config.make_env(self._suite, task, render=render)
        return self._envs[render]

    def _close_envs(self) -> None:
        while self._envs:
            self._envs.popitem()[1].close()


def collect(
    output_dir: Path,
    *,
    suite: Suite,
    tasks: Sequence[str] = (),
    num_episodes: int,
    first_seed: int = FIRST_DEMO_SEED,
    config: CollectConfig | None = None,
    workers: int = 2,
    on_attempt: Callable[[Attempt, int], None] | None = None,
) -> CollectReport:
    """Write demonstrations until the dataset in `output_dir` has `num_episodes` of each of `tasks`, one by one.

    Goes on where it stopped, killed or not. What is written depends on the suite, the seeds and the configuration
    alone, not on the number of workers; `report.json` beside it says what came of the attempts.

    Args:
        output_dir: The dataset, made when it is not there.
        suite: Where the tasks belong.
        tasks: Their names; all of the suite's when there are none.
        num_episodes: Of each task.
        first_seed: Of each task's first attempt; the others follow.
        config: How.
        workers: Processes; 1 is this one.
        on_attempt: Sees each attempt once it is on the disk, and how many episodes its task has by then.

    Raises:
        EnvError: no such task, nobody to demonstrate it, or a worker died.
        EpisodeError: the dataset was begun with other settings, or cannot be read.
    """
    config = config or CollectConfig()
    goals = [suite.task(name) for name in tasks] or list(suite.tasks)
    source = _source(output_dir, suite, goals, config, first_seed=first_seed)
    started_s = perf_counter()
    with closing(config.make_env(suite, goals[0], render=False)) as env:
        contract = env.contract
    with (
        EpisodeWriter(output_dir, contract=contract, source=source) as writer,
        closing(InOrder(partial(Collector, suite, config), workers=workers, error=EnvError)) as makers,
    ):
        log = AttemptLog(output_dir, num_episodes=len(writer))
        num_frames = 0
        for goal in goals:
            made = _attempts(makers, log, goal, num_episodes=num_episodes, first_seed=first_seed, config=config)
            for attempt, episode in made:
                log.append(attempt)
                if episode is not None:
                    writer.append(episode)
                    num_frames += len(episode)
                if on_attempt is not None:
                    on_attempt(attempt, log.num_episodes(goal.name))
    report = CollectReport(log.reports(), num_frames, perf_counter() - started_s, workers)
    document = {**report.to_dict(), "commit": source_commit()}
    (output_dir / REPORT_NAME).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return report


def perturbation_of(suite: Suite, task: Task, config: CollectConfig) -> Perturbation:
    """The configured perturbation, or the one that the simulator has for `task`.

    Raises:
        EnvError: there is none.
    """
    if config.perturbation is not None:
        return config.perturbation
    if suite.simulator == "libero":
        from magma_ros.sim.libero.perturbation import PERTURBATION  # noqa: PLC0415 - of one simulator

        return PERTURBATION
    from magma_ros.sim.bridge.perturbation import PERTURBATIONS  # noqa: PLC0415 - same; its package names a GL backend

    if task.name not in PERTURBATIONS:
        raise EnvError(f"{suite.name}/{task.name}: no perturbation, available for {sorted(PERTURBATIONS)}")
    return PERTURBATIONS[task.name]


def max_steps_of(task: Task, config: CollectConfig) -> int:
    """Control steps after which an attempt at `task` is given up."""
    return task.step_budget * 3 // 2 if config.max_steps is None else config.max_steps


def _attempts(
    makers: InOrder[tuple[str, int], tuple[Attempt, Fields | None]],
    log: AttemptLog,
    task: Task,
    *,
    num_episodes: int,
    first_seed: int,
    config: CollectConfig,
) -> Iterator[tuple[Attempt, Episode | None]]:
    """The attempts that `task` still needs, after those in `log`: as many at a time as there are episodes missing."""
    before = log.of(task.name)
    num_kept, num_failures = log.num_episodes(task.name), num_failures_in_a_row(before)
    seed = before[-1].seed + 1 if before else first_seed
    while num_kept < num_episodes and num_failures < config.give_up_after:
        seeds = range(seed, seed + num_episodes - num_kept)
        seed = seeds.stop
        with closing(makers.map((task.name, number) for number in seeds)) as made:
            for attempt, fields_of_episode in made:
                num_kept += attempt.kept
                num_failures = 0 if attempt.kept else num_failures + 1
                yield attempt, None if fields_of_episode is None else Episode(**fields_of_episode)
                if num_failures >= config.give_up_after:
                    return


def _source(
    folder: Path, suite: Suite, tasks: Sequence[Task], config: CollectConfig, *, first_seed: int
) -> dict[str, Any]:
    """What decides the episodes, as the dataset's description says it; a present dataset must agree."""
    actor = "expert" if config.actor is None else "policy"
    settings = {"suite": suite.name, "actor": actor, "first_seed": first_seed, **asdict(config.sharing)}
    settings |= config.actor_identity
    asked = {
        task.name: {
            "max_steps": max_steps_of(task, config),
            "settle_steps": task.settle_steps,
            "perturbation": asdict(perturbation_of(suite, task, config)),
        }
        for task in tasks
    }
    asked = json.loads(json.dumps(asked))
    if not holds_episodes(folder):
        return {**settings, "tasks": asked}
    present = {**asdict(Sharing()), **EpisodeDataset(folder).source}  # it may be older than some of them
    known = present.get("tasks", {})
    changed = [name for name, value in settings.items() if present.get(name) != value]
    changed += [name for name, value in asked.items() if known.get(name, value) != value]
    if changed:
        raise EpisodeError(f"{folder}: begun with other settings ({', '.join(changed)}); collect into another folder")
    return {**settings, "tasks": {**known, **asked}}


def _fields(episode: Episode) -> Fields:
    """Plain values, which pickle."""
    return {**{f.name: getattr(episode, f.name) for f in fields(episode)}, "images": dict(episode.images)}
