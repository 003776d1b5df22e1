"""Every attempt at a demonstration, kept or not, beside the episodes: what success rates and resuming are made from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magma_ros.errors import EpisodeError
from magma_ros.sim.statistics import Interval, wilson_interval
from magma_ros.whole_files import replacing

LOG_NAME = "attempts.jsonl"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One seed of one task, rolled out.

    Attributes:
        task: Its name in the suite.
        seed: Of the initial state.
        success: The task was done at the end.
        kept: It became an episode of the dataset.
        num_frames: Steps that were rolled out; where the expert took over from a policy, those of the expert.
        num_idle_frames: Of these, steps whose label neither moves the arm nor asks the gripper for something new.
    """

    task: str
    seed: int
    success: bool
    kept: bool
    num_frames: int
    num_idle_frames: int


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What a dataset holds of one task; frames are those of its episodes."""

    task: str
    num_episodes: int
    num_attempts: int
    num_successes: int
    num_frames: int
    num_idle_frames: int

    @property
    def success_interval(self) -> Interval:
        """95 % Wilson interval of the share of attempts that succeeded."""
        return wilson_interval(self.num_successes, self.num_attempts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        rate = self.num_successes / self.num_attempts if self.num_attempts else None
        return {**asdict(self), "success_rate": rate, "wilson_95": list(self.success_interval)}


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What a dataset holds, and how quickly this call made its part of it.

    Attributes:
        tasks: What there is of each task, of all calls together.
        num_new_frames: Frames that this call wrote.
        wall_s: How long it took, starting the workers included [s].
        workers: Processes that it used.
    """

    tasks: tuple[TaskReport, ...]
    num_new_frames: int
    wall_s: float
    workers: int

    @property
    def frames_per_s(self) -> float:
        """Of this call."""
        return self.num_new_frames / self.wall_s

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        run = {"num_frames": self.num_new_frames, "wall_s": round(self.wall_s, 3), "workers": self.workers}
        run["frames_per_s"] = round(self.frames_per_s, 3)
        return {"tasks": [task.to_dict() for task in self.tasks], "last_call": run}


class AttemptLog:
    """The attempts of a dataset, one line of JSON each; a line is on the disk before its episode is."""

    def __init__(self, folder: Path, *, num_episodes: int) -> None:
        """Open the log in `folder`, whose dataset has `num_episodes` episodes.

        A kept attempt whose episode was never written, and whatever follows it, is forgotten and will be made again.

        Raises:
            EpisodeError: a line cannot be read, or the episodes are not those of the log.
        """
        self._path = folder / LOG_NAME
        read = _read(self._path)
        self._attempts = _with_episodes(read, num_episodes)
        num_kept = sum(attempt.kept for attempt in self._attempts)
        if num_kept != num_episodes:
            raise EpisodeError(f"{self._path}: expected the attempts of {num_episodes} episodes, found {num_kept}")
        with replacing(self._path) as partial:
            partial.write_text("".join(map(_line, self._attempts)), encoding="utf-8")

    def append(self, attempt: Attempt) -> None:
        """Add `attempt`; it has reached the disk when this returns."""
        self._attempts.append(attempt)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(_line(attempt))
            stream.flush()
            os.fsync(stream.fileno())

    def of(self, task: str) -> tuple[Attempt, ...]:
        """The attempts at `task`, in the order of their seeds."""
        return tuple(attempt for attempt in self._attempts if attempt.task == task)

    def num_episodes(self, task: str) -> int:
        """Attempts at `task` that were kept."""
        return sum(attempt.kept for attempt in self.of(task))

    def reports(self) -> tuple[TaskReport, ...]:
        """Of each task that was attempted, in the order in which they were begun."""
        return tuple(_report(task, self.of(task)) for task in dict.fromkeys(a.task for a in self._attempts))


def num_failures_in_a_row(attempts: Sequence[Attempt]) -> int:
    """At the end of `attempts`: how many were not kept since the last that was."""
    kept = [index for index, attempt in enumerate(attempts, start=1) if attempt.kept]
    return len(attempts) - (kept[-1] if kept else 0)


def _report(task: str, attempts: Sequence[Attempt]) -> TaskReport:
    kept = [attempt for attempt in attempts if attempt.kept]
    return TaskReport(
        task=task,
        num_episodes=len(kept),
        num_attempts=len(attempts),
        num_successes=sum(attempt.success for attempt in attempts),
        num_frames=sum(attempt.num_frames for attempt in kept),
        num_idle_frames=sum(attempt.num_idle_frames for attempt in kept),
    )


def _line(attempt: Attempt) -> str:
    return json.dumps(asdict(attempt)) + "\n"


def _read(path: Path) -> list[Attempt]:
    """Every whole line; the last one may be torn."""
    if not path.exists():
        return []
    *lines, _torn = path.read_text(encoding="utf-8").split("\n")
    try:
        return [Attempt(**json.loads(line)) for line in lines]
    except (TypeError, ValueError) as error:
        raise EpisodeError(f"{path}: cannot read an attempt: {error}") from error


def _with_episodes(attempts: Iterable[Attempt], num_episodes: int) -> list[Attempt]:
    """The attempts up to the first that was kept without an episode of its own."""
    known: list[Attempt] = []
    num_kept = 0
    for attempt in attempts:
        num_kept += attempt.kept
        if num_kept > num_episodes:
            break
        known.append(attempt)
    return known
