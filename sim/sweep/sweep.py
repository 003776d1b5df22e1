"""Run a sweep: hand out the trials that are still due, keep each that ends, end a task when its interval is narrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from magma_ros.sim.rollout import Outcome
from magma_ros.sim.sweep.journal import SweepRecord, open_journal
from magma_ros.sim.sweep.plan import SweepSpec, Trial, TrialRecord, early_end
from magma_ros.sim.sweep.pool import Pool

TrialWatcher = Callable[[TrialRecord, int], None]
"""Gets each finished trial, and how many are left at most."""


class DueTrials:
    """The trials that are still to be run; a task ends early where the sweep's stopping rule says so.

    The rule looks at the outcomes in the order of the seeds, as far as they are without a gap: workers that ran ahead
    change nothing, and what they finished beyond the end does not count.
    """

    def __init__(self, record: SweepRecord) -> None:
        """Go on after `record`."""
        self._spec, self._rule = record.spec, record.spec.stopping_rule()
        self._outcomes: dict[Trial, Outcome] = {}
        self._ended_tasks: set[str] = set()
        for done in record.trials:
            self.finished(done)

    def __iter__(self) -> Iterator[Trial]:
        for trial in self._wanted():
            if trial not in self._outcomes:
                yield trial

    @property
    def num_left(self) -> int:
        """Trials that are not finished and, as far as is known, needed."""
        return sum(trial not in self._outcomes for trial in self._wanted())

    def finished(self, done: TrialRecord) -> None:
        """Count a trial that ended."""
        task = done.trial.task
        self._outcomes[done.trial] = done.result.outcome
        in_order = (self._outcomes.get(Trial(task, seed)) for seed in self._spec.seeds)
        if early_end(self._rule, in_order) is not None:
            self._ended_tasks.add(task)

    def _wanted(self) -> Iterator[Trial]:
        for task in self._spec.tasks:
            for seed in self._spec.seeds:
                if task in self._ended_tasks:
                    break
                yield Trial(task, seed)


def run_sweep(
    spec: SweepSpec,
    pool: Pool,
    *,
    folder: Path | None = None,
    resume: bool = False,
    retry_errors: bool = False,
    on_trial: TrialWatcher | None = None,
) -> SweepRecord:
    """Run the trials of `spec` in `pool`, which is not closed.

    Args:
        spec: What is asked.
        pool: Where the trials run.
        folder: Where the sweep is kept while it grows; None keeps it in memory alone.
        resume: Go on with the sweep in `folder`: what is finished there is not run again.
        retry_errors: With `resume`, run again what ended in an error.
        on_trial: Sees each trial that ended.

    Raises:
        SweepError: `folder` cannot be used, see `open_journal`.
        MagmaRosError: an environment or the policy cannot be brought up; what is finished stays in `folder`.
    """
    spec.stopping_rule()  # an impossible one is refused before anything is written
    with open_journal(folder, spec, resume=resume, retry_errors=retry_errors) as journal:
        due = DueTrials(journal.record)
        for done in pool.run(due):
            journal.append(done)
            due.finished(done)
            if on_trial is not None:
                on_trial(done, due.num_left)
        return journal.record
