"""The options of `magma-ros eval`, and which of them do not go together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magma_ros.errors import SweepError
from magma_ros.sim.suites import FIRST_DEMO_SEED, Suite, find_suite
from magma_ros.sim.sweep.journal import require_usable


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is measured.

    Attributes:
        suite: Set of tasks.
        task: One or several goals within the suite; left out, all of them.
        policy: expert, random, noop, a checkpoint (its name, folder or hub id), or the address of a policy server
            (ws://host:port).
        trials: Seeded trials of each task, at least 1.
        seed: First seed (trial i runs seed + i); all below 1000000, where the seeds of demonstrations begin.
        execution_horizon: Actions of each chunk that are executed before the policy is asked again, at least 1.
        latency: How long the policy thinks while the world goes on: 0.15 or 0.1..0.3 [s], or a JSON file with a
            histogram that was measured on a robot; left out, the world waits.
        width: End a task once its 95 % interval is at most so wide (0.1: ± 5 %), or after all `trials`.
    """

    suite: str = "bridge"
    task: tuple[str, ...] = ()
    policy: str = "magma-tiny"
    trials: int = 50
    seed: int = 0
    execution_horizon: int = 1
    latency: str | None = None
    width: float | None = None

    def choose_tasks(self) -> tuple[Suite, tuple[str, ...]]:
        """The suite, and the names of the tasks that are meant.

        Raises:
            EnvError: there is no such suite or task.
        """
        suite = find_suite(self.suite)
        names = self.task or [task.name for task in suite.tasks]
        return suite, tuple(suite.task(name).name for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where trials run; their outcomes do not depend on it, but for the rounding of a network that is asked in batches.

    Attributes:
        workers: Trials at once, each in a process of its own; 1 runs them in this one.
        batch: Let the network answer all workers that wait at once; otherwise one by one.
        ray_address: Run on Ray: local, auto, host:port or ray://host:port.
        gpus_per_policy: On Ray, the share of a GPU for each copy of the network.
    """

    workers: int = 1
    batch: bool = True
    ray_address: str | None = None
    gpus_per_policy: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is kept of the trials.

    Attributes:
        output: Folder for each trial as it ends, and for the report: HTML, JSON and Parquet.
        resume: Go on with the sweep in `output`; what is finished there is not run again.
        retry_errors: With `resume`, run again what ended in an error.
        films: Film so many successes and failures of each task into `output`; these trials are run a second time.
        json: File for the statistics, every trial, commit, versions and device.
    """

    output: Path | None = None
    resume: bool = False
    retry_errors: bool = False
    films: int = 0
    json: Path | None = None


def check(question: Question, workplace: Workplace, keeping: Keeping) -> None:
    """Refuse what can be refused before anything slow is begun.

    Raises:
        SweepError: a number out of its range, an option that needs another one, or a folder that cannot be used.
    """
    if question.trials < 1 or question.seed < 0:
        asked = f"{question.trials} and {question.seed}"
        raise SweepError(f"expected at least 1 trial and a seed of at least 0, got {asked}")
    if question.seed + question.trials > FIRST_DEMO_SEED:
        raise SweepError(f"expected seeds below {FIRST_DEMO_SEED}, the others are for demonstrations")
    for name, value, least in (
        ("execution_horizon", question.execution_horizon, 1),
        ("workers", workplace.workers, 1),
        ("gpus_per_policy", workplace.gpus_per_policy, 0),
        ("films", keeping.films, 0),
    ):
        if value < least:
            raise SweepError(f"{name}: expected at least {least}, got {value}")
    if keeping.output is None and (keeping.resume or keeping.films):
        raise SweepError("resume, films: expected the folder of the sweep too (--output)")
    if keeping.retry_errors and not keeping.resume:
        raise SweepError("retry_errors: expected to go on with a sweep (--resume)")
    if keeping.output is not None:
        require_usable(keeping.output, resume=keeping.resume)
