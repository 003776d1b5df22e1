"""Sweeps: what is due, when a task ends, and that nothing is lost or repeated."""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from magma_ros.errors import SweepError
from magma_ros.sim.report.summary import summarize
from magma_ros.sim.sweep.journal import read
from magma_ros.sim.sweep.plan import Trial
from magma_ros.sim.sweep.pool import InProcessPool
from magma_ros.sim.sweep.sweep import DueTrials, run_sweep
from tests.sim.sweep import toys

NUM_TRIALS = 120


class ManyHands:
    """A pool of several workers who finish in any order: a seeded one of them is next, quick or slow."""

    fingerprint = ""

    def __init__(self, answer, *, workers, seed=0):
        self._answer, self._workers, self._draw = answer, workers, random.Random(seed)  # noqa: S311 - an order
        self.ran = []

    def run(self, trials):
        due, busy = iter(trials), []
        while True:
            while len(busy) < self._workers and (trial := next(due, None)) is not None:
                busy.append(trial)
            if not busy:
                return
            trial = busy.pop(self._draw.randrange(len(busy)))
            self.ran.append(trial)
            yield self._answer(trial)

    def close(self):
        pass


def one_of_eight_fails(trial):
    """A fixed outcome of each trial."""
    outcome = "failure" if trial.seed % 8 == 3 else "success"
    return toys.record(trial.seed, outcome, task=trial.task)


def test_every_seed_of_every_task_is_run_once_and_watched():
    """Task after task, seed after seed; the watcher hears how many are left."""
    left = []
    with closing(InProcessPool(toys.setup())) as pool:
        record = run_sweep(toys.spec(trials=3), pool, on_trial=lambda done, number: left.append((done.trial, number)))
    expected = [Trial(task, seed) for task in ("reach", "hurry") for seed in range(3)]
    assert expected == [done.trial for done in record.trials] == [trial for trial, _ in left]
    assert [5, 4, 3, 2, 1, 0] == [number for _, number in left]


def test_an_error_in_one_trial_ends_no_other():
    """Every seed gets its trial."""
    record = run_sweep(
        toys.spec(trials=3), ManyHands(lambda trial: toys.record(trial.seed, "error", task=trial.task), workers=1)
    )
    assert 6 == len(record.trials)
    assert not summarize(record).is_complete


def test_a_sweep_goes_on_with_what_is_left(tmp_path):
    """After an interruption only the others are run."""
    asked, hands = toys.spec(trials=10), ManyHands(one_of_eight_fails, workers=3)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(asked, hands, folder=tmp_path, on_trial=_interrupt_at(7))
    finished = {done.trial for done in read(tmp_path).trials}
    assert 7 == len(finished)
    others = ManyHands(one_of_eight_fails, workers=2)
    record = run_sweep(asked, others, folder=tmp_path, resume=True)
    assert finished.isdisjoint(others.ran)
    assert toys.outcomes(record.trials) == toys.outcomes(
        run_sweep(asked, ManyHands(one_of_eight_fails, workers=1)).trials
    )


def _interrupt_at(count):
    seen = []

    def watch(done, _left):
        seen.append(done)
        if len(seen) == count:
            raise KeyboardInterrupt

    return watch


@pytest.mark.parametrize("workers", [2, 5, 17])
def test_tasks_end_at_the_same_trial_for_any_number_of_workers(workers):
    """Who runs ahead changes neither the stop nor what is said; it only costs trials that do not count."""
    asked = toys.spec(trials=150, width=0.25)
    alone, many = ManyHands(one_of_eight_fails, workers=1), ManyHands(one_of_eight_fails, workers=workers, seed=workers)
    expected = summarize(run_sweep(asked, alone))
    summary = summarize(run_sweep(asked, many))
    assert expected.tasks[0].num_planned < 150
    assert summary.is_complete
    assert [(task.rate, task.seeds) for task in expected.tasks] == [(task.rate, task.seeds) for task in summary.tasks]
    assert len(alone.ran) == sum(task.num_planned for task in expected.tasks)
    assert len(alone.ran) <= len(many.ran)


def test_a_stopped_task_stays_stopped_after_resuming(tmp_path):
    """The rule reads the trials that are there; a finished sweep runs nothing more."""
    asked = toys.spec(trials=150, width=0.25)
    run_sweep(asked, ManyHands(one_of_eight_fails, workers=4), folder=tmp_path)
    again = ManyHands(one_of_eight_fails, workers=4)
    run_sweep(asked, again, folder=tmp_path, resume=True)
    assert [] == again.ran
    assert 0 == DueTrials(read(tmp_path)).num_left


def test_an_error_keeps_a_task_from_ending_early():
    """It cannot be left out of a sequence, so all seeds are run, and the sweep is incomplete."""

    def answer(trial):
        return toys.record(trial.seed, "error" if trial.seed == 4 else "success", task=trial.task)

    hands = ManyHands(answer, workers=2)
    record = run_sweep(toys.spec(tasks=("reach",), trials=80, width=0.25), hands)
    assert 80 == len(hands.ran)
    assert not summarize(record).is_complete


def test_another_sweep_in_the_folder_is_refused_before_any_trial(tmp_path):
    """Not one trial of the new sweep is run."""
    run_sweep(toys.spec(trials=1), ManyHands(one_of_eight_fails, workers=1), folder=tmp_path)
    hands = ManyHands(one_of_eight_fails, workers=1)
    with pytest.raises(SweepError, match="execution_horizon 1, asked 2"):
        run_sweep(toys.spec(trials=1, execution_horizon=2), hands, folder=tmp_path, resume=True)
    assert [] == hands.ran


@pytest.fixture(scope="module")
def undisturbed():
    """The sweep that nobody kills."""
    return toys.run_here(toys.spec(trials=NUM_TRIALS)).trials


def start(folder, *, workers=1):
    """That sweep in a process of its own, which goes on with what is there."""
    command = [sys.executable, "-m", toys.__name__, str(folder), str(NUM_TRIALS), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def kill_after(sweep, count):
    """End it with SIGKILL once it has told of so many trials."""
    for _ in range(count):
        if not sweep.stdout.readline():
            break  # it was quicker
    sweep.kill()
    sweep.wait()
    sweep.stdout.close()


def test_killed_at_random_moments_it_loses_and_repeats_nothing(tmp_path, undisturbed):
    """What was finished before each kill stays byte for byte; in the end there is what an undisturbed run gives."""
    draw, before = random.Random(20261122), b""  # noqa: S311 - a moment
    for _ in range(4):
        kill_after(start(tmp_path), draw.randrange(1, NUM_TRIALS // 5))
        lines = (tmp_path / "trials.jsonl").read_bytes()
        whole = lines[: lines.rfind(b"\n") + 1]
        assert whole.startswith(before)
        before = whole
    with closing(InProcessPool(toys.setup())) as pool:
        record = run_sweep(toys.spec(trials=NUM_TRIALS), pool, folder=tmp_path, resume=True)
    assert (tmp_path / "trials.jsonl").read_bytes().startswith(before)
    assert toys.outcomes(undisturbed) == toys.outcomes(record.trials) == toys.outcomes(read(tmp_path).trials)
    assert [done.trial for done in undisturbed] == [done.trial for done in record.trials]


def test_killed_with_its_workers_at_work_it_leaves_no_process_behind(tmp_path, undisturbed):
    """The workers end with the sweep; the rest is run by others."""
    sweep = start(tmp_path, workers=2)
    assert sweep.stdout.readline()
    children = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children").read_text().split()
    watched = [os.pidfd_open(int(pid)) for pid in children]
    kill_after(sweep, 3)
    for child in watched:
        _wait_for_end(child)
    with closing(InProcessPool(toys.setup())) as pool:
        record = run_sweep(toys.spec(trials=NUM_TRIALS), pool, folder=tmp_path, resume=True)
    assert toys.outcomes(undisturbed) == toys.outcomes(record.trials)


def _wait_for_end(process):
    """A process's descriptor can be read once it has ended."""
    assert select.select([process], [], [], 20)[0]
    os.close(process)
