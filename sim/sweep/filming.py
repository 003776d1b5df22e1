"""Films of a sweep's first successes and failures: these trials are run once more, with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from magma_ros.sim.report.summary import SweepSummary, summarize
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.plan import Trial, film_path
from magma_ros.sim.sweep.pool import Pool


def trials_to_film(record: SweepRecord, folder: Path, *, count: int) -> list[Trial]:
    """The first `count` successes and failures of each task, by their seeds, that have no film in `folder` yet."""
    wanted = _first(summarize(record), count)
    return [trial for trial in wanted if not film_path(folder, trial).exists()]


def film(record: SweepRecord, trials: Sequence[Trial], pool: Pool, folder: Path) -> list[Trial]:
    """Run `trials` again in `pool`, whose setup films into `folder`.

    Returns:
        Those that did not end as they are recorded, which policies that draw lots or answer in batches may do. Their
        films would show something else than what was counted and are deleted.
    """
    counted = {done.trial: done.result.outcome for done in record.trials}
    changed = [done.trial for done in pool.run(trials) if done.result.outcome != counted[done.trial]]
    for trial in changed:
        film_path(folder, trial).unlink(missing_ok=True)
    return changed


def _first(summary: SweepSummary, count: int) -> list[Trial]:
    return [
        Trial(task.name, seed)
        for task in summary.tasks
        for outcome in ("success", "failure")
        for seed in task.seeds[outcome][:count]
    ]
