"""What a report is about: one sweep, those it is compared with, and its films."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from magma_ros.load_options import LoadOptions
from magma_ros.sim.report.pairs import Comparison, compare
from magma_ros.sim.report.summary import SweepSummary, TaskSummary, summarize
from magma_ros.sim.sweep.journal import SweepRecord, read
from magma_ros.sim.sweep.plan import SweepSpec, Trial, film_path

FILMS_PER_OUTCOME = 3
FILMS_MAX_BYTES = 8 * 2**20
"""Of all films in a page; what does not fit stays in the folder beside it."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A folder that was read.

    Attributes:
        folder: Where it is.
        record: All its trials.
        summary: What they say.
    """

    folder: Path
    record: SweepRecord
    summary: SweepSummary

    @property
    def delay_s(self) -> float:
        """How long its policy thought on average [s]; 0 for a world that waited."""
        return mean_latency_s(self.record.spec.latency)


@dataclass(frozen=True, slots=True)
class Film:
    """An animated picture of one trial."""

    task: str
    seed: int
    outcome: str
    path: Path


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown.

    Attributes:
        sweep: What the report is about.
        others: What it is compared with.
        comparisons: `sweep` against each of them.
        films: Of `sweep`, as many as fit into a page: for each task failures and successes in turn.
        num_films_left: Further ones in its folder.
    """

    sweep: Sweep
    others: tuple[Sweep, ...]
    comparisons: tuple[Comparison, ...]
    films: tuple[Film, ...]
    num_films_left: int

    @property
    def sweeps(self) -> tuple[Sweep, ...]:
        """All of them."""
        return (self.sweep, *self.others)

    def label(self, sweep: Sweep) -> str:
        """The policy's name, with the folder's where several sweeps have that policy."""
        policy = sweep.record.spec.policy
        same = [other for other in self.sweeps if other.record.spec.policy == policy]
        return policy if len(same) == 1 else f"{policy} ({sweep.folder.resolve().name})"


def gather(folder: Path, others: Sequence[Path] = ()) -> Report:
    """Read the folders.

    Raises:
        SweepError: one is no sweep, is damaged, or is of another suite than the first.
        InvalidInputError: two have no initial state in common that both were judged on.
    """
    sweep, *rest = (_open(path) for path in (folder, *others))
    films = _films(folder, sweep.summary)
    shown = _fitting(films)
    comparisons = tuple(compare(sweep.record, other.record) for other in rest)
    return Report(sweep, tuple(rest), comparisons, shown, len(films) - len(shown))


def mean_latency_s(latency: Mapping[str, Any] | None) -> float:
    """Mean of a latency as `Latency.to_dict` gives it [s]; 0 for None."""
    if latency is None:
        return 0.0
    if "low_s" in latency:
        return float(latency["low_s"] + latency["high_s"]) / 2
    buckets = {float(edge_ms): count for edge_ms, count in latency["buckets, up to [ms]"].items()}
    return float(sum(edge_ms * count for edge_ms, count in buckets.items()) / sum(buckets.values()) / 1e3)


def command_of(spec: SweepSpec) -> str:
    """What to type to run the same trials again; a measured latency is to be put into a file first."""
    words = ["magma-ros", "eval", "--suite", spec.suite, "--task", *spec.tasks, "--policy", spec.policy]
    words += ["--trials", str(len(spec.seeds)), "--seed", str(spec.seeds[0])]
    words += ["--execution-horizon", str(spec.execution_horizon), *_batching_words(spec)]
    if spec.latency is not None:
        words += ["--latency", _latency_word(spec.latency)]
    if spec.width is not None:
        words += ["--width", str(spec.width)]
    usual = asdict(LoadOptions())
    for name, value in spec.options.items():
        if value != usual.get(name):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


def _batching_words(spec: SweepSpec) -> list[str]:
    """Several observations wait at once with two workers or more; a policy without a network has no such option."""
    if spec.batched:
        return ["--workers", "2"]
    return ["--no-batch"] if spec.options else []


def _latency_word(latency: Mapping[str, Any]) -> str:
    if "low_s" not in latency:
        return "latency.json"
    low_s, high_s = latency["low_s"], latency["high_s"]
    return str(low_s) if low_s == high_s else f"{low_s}..{high_s}"


def _open(folder: Path) -> Sweep:
    record = read(folder)
    return Sweep(folder, record, summarize(record))


def _films(folder: Path, summary: SweepSummary) -> list[Film]:
    """All that there are, in the order in which they are worth showing: the first of each task and outcome first."""
    columns = [_of_task(folder, task, outcome) for task in summary.tasks for outcome in ("failure", "success")]
    return [film for row in zip_longest(*columns) for film in row if film is not None]


def _of_task(folder: Path, task: TaskSummary, outcome: str) -> list[Film]:
    named = [(seed, film_path(folder, Trial(task.name, seed))) for seed in task.seeds[outcome]]
    return [Film(task.name, seed, outcome, path) for seed, path in named if path.is_file()]


def _fitting(films: Sequence[Film]) -> tuple[Film, ...]:
    """The first ones, at most `FILMS_PER_OUTCOME` of a task and outcome and `FILMS_MAX_BYTES` in all."""
    shown: list[Film] = []
    left_bytes = FILMS_MAX_BYTES
    for film in films:
        left_bytes -= film.path.stat().st_size
        alike = sum((other.task, other.outcome) == (film.task, film.outcome) for other in shown)
        if left_bytes >= 0 and alike < FILMS_PER_OUTCOME:
            shown.append(film)
    return tuple(shown)
