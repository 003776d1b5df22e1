"""What `magma-ros collect` does: options in, progress and what came of each task out."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from magma_ros import exit_codes
from magma_ros.errors import EnvError
from magma_ros.load_options import LoadOptions
from magma_ros.policies import open_policy
from magma_ros.sim.attempts import Attempt, TaskReport
from magma_ros.sim.collect import CollectConfig, collect
from magma_ros.sim.provenance import checkpoint_digest
from magma_ros.sim.shared_acting import Sharing
from magma_ros.sim.suites import FIRST_DEMO_SEED, find_suite
from magma_ros.sources import find
from magma_ros.wording import counted


def collect_demos(  # noqa: PLR0913 - each is a flag
    *,
    output: Path,
    suite: str = "bridge",
    task: tuple[str, ...] = (),
    episodes: int = 300,
    seed: int = FIRST_DEMO_SEED,
    workers: int = 2,
    policy: str = "expert",
    sharing: Annotated[Sharing, tyro.conf.arg(name="")] = Sharing(),  # noqa: B008 - frozen
    options: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
) -> int:
    """Record demonstrations, labelled by the expert in every state; goes on where it stopped, killed or not.

    Args:
        output: Dataset folder, created when it is not there.
        suite: Set of tasks.
        task: Goals within the suite, one or more; all of them when none is named.
        episodes: Number of episodes that the dataset has of each task at the end, at least 1.
        seed: Of the first initial state, at least 1000000: the seeds below are for evaluation.
        workers: Processes.
        policy: Who acts: expert, or a checkpoint (its name or folder), whose mistakes the expert then corrects.
        sharing: How a checkpoint and the expert share an attempt.
        options: How a checkpoint is brought up.

    Returns:
        0, or 1 when the expert failed so often at a task that it was left incomplete.
    """
    if policy == "expert" and sharing != Sharing():
        raise EnvError(f"expected a checkpoint as --policy to share attempts with, got expert and {sharing}")
    if episodes < 1 or workers < 1 or seed < FIRST_DEMO_SEED:
        raise EnvError(
            f"expected at least 1 episode and worker and a seed of at least {FIRST_DEMO_SEED}, "
            f"got {episodes}, {workers} and {seed}"
        )
    protocol = find_suite(suite)
    config = CollectConfig(sharing=sharing) if policy == "expert" else _led_by(policy, sharing, options)
    with _progress() as progress:
        bars: dict[str, TaskID] = {}

        def show(attempt: Attempt, num_episodes: int) -> None:
            if attempt.task not in bars:
                bars[attempt.task] = progress.add_task(attempt.task, total=episodes)
            progress.update(bars[attempt.task], completed=num_episodes)

        report = collect(
            output,
            suite=protocol,
            tasks=task,
            num_episodes=episodes,
            first_seed=seed,
            config=config,
            workers=workers,
            on_attempt=show,
        )
    for of_task in report.tasks:
        print(describe(of_task))
    print(
        f"{counted(report.num_new_frames, 'new frame')}, {60 * report.frames_per_s:.0f} a minute "
        f"with {counted(workers, 'worker')}, seed {seed}, dataset {output}",
        flush=True,
    )
    asked = task or tuple(goal.name for goal in protocol.tasks)
    complete = {of_task.task for of_task in report.tasks if of_task.num_episodes >= episodes}
    return exit_codes.OK if complete.issuperset(asked) else exit_codes.FAILED


def describe(report: TaskReport) -> str:
    """What there is of one task, in a line."""
    low, high = report.success_interval
    return (
        f"{report.task}: episodes {report.num_episodes}, frames {report.num_frames}, idle frames "
        f"{report.num_idle_frames}, successes {report.num_successes} of {counted(report.num_attempts, 'attempt')}, "
        f"95% Wilson [{low:.2f}, {high:.2f}]"
    )


def _led_by(policy: str, sharing: Sharing, options: LoadOptions) -> CollectConfig:
    """A checkpoint acts; its manifest, or without one its name, and how it is brought up say which one it is."""
    return CollectConfig(
        actor=partial(open_policy, find(policy), options),
        actor_identity={"checkpoint": checkpoint_digest(policy) or policy, "options": asdict(options)},
        sharing=sharing,
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=sys.stderr), transient=True)
