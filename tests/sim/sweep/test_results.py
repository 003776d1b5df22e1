"""What a sweep says."""

from __future__ import annotations

import dataclasses
import json

from magma_ros.sim.report.summary import summarize
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.results import conclude, describe, tell_passes, to_document
from tests.sim.sweep import toys


def sweep(successes, failures, errors=0, *, tasks=("reach",), **changes):
    """So many trials of each kind, of each task."""
    kinds = ["success"] * successes + ["failure"] * failures + ["error"] * errors
    trials = tuple(toys.record(seed, kind, task=task) for task in tasks for seed, kind in enumerate(kinds))
    return SweepRecord(toys.spec(tasks=tasks, trials=len(kinds), **changes), trials)


def last_line(record):
    """Of what is printed."""
    return conclude(summarize(record)).splitlines()[-1]


def test_one_line_holds_everything_that_belongs_beside_a_rate():
    """Rate, n, interval, errors, budget, settling, seeds and policy."""
    expected = (
        "success_rate 0.64 (32/50), 95% Wilson [0.50, 0.76], errors 0, step_budget 8, settle_steps 1, "
        "seeds 0..49, policy magma-tiny"
    )
    assert expected == conclude(summarize(sweep(32, 18, policy="magma-tiny")))


def test_errors_are_not_failures():
    """The rate is over the trials that were judged; errors are told apart."""
    assert "success_rate 0.75 (3/4), 95% Wilson [0.30, 0.95], errors 6," in last_line(sweep(3, 1, errors=6))


def test_nothing_judged_has_no_rate():
    """When every trial was an error, nothing is claimed."""
    assert last_line(sweep(0, 0, errors=2)).startswith("success_rate n/a (0/0), 95% Wilson [0.00, 1.00], errors 2")


def test_trials_that_were_not_run_are_missing():
    """A sweep that is under way says so."""
    record = sweep(5, 5)
    assert ", errors 0, missing 4, " in last_line(SweepRecord(record.spec, record.trials[:6]))


def test_an_early_end_has_its_own_interval_and_seeds():
    """What ran beyond it is not counted, and the interval is not Wilson's."""
    record = sweep(150, 0, width=0.25)
    line = last_line(record)
    num_planned = summarize(record).tasks[0].num_planned
    assert f"success_rate 1.00 ({num_planned}/{num_planned}), 95% sequential [" in line
    assert f"seeds 0..{num_planned - 1}," in line
    assert num_planned == to_document(record)["num_trials"] == len(to_document(record)["trials"]) < 150


def test_several_tasks_are_a_table_and_their_average():
    """A line per task; the last one is about the suite, with its kinds of interval."""
    lines = conclude(summarize(sweep(8, 2, tasks=("reach", "hurry")))).splitlines()
    assert ["task", "reach", "hurry", "toy:"] == [line.split()[0] for line in lines]
    assert "0.80 (8/10)   [0.49, 0.94]" in lines[1]
    assert "toy: average success_rate 0.80, 95% for these tasks [0.58, 0.92], errors 0, policy reach" == lines[-1]


def test_an_average_needs_every_task():
    """Where one has no judged trial, no average is claimed."""
    record = sweep(3, 1, tasks=("reach", "hurry"))
    assert "average success_rate n/a, errors 0, missing 4," in last_line(SweepRecord(record.spec, record.trials[:4]))


def test_passes_are_told_per_step_of_the_environments():
    """Policies without a network have nothing to tell."""
    record = sweep(2, 2)
    assert tell_passes(summarize(record)) == ""
    trials = tuple(dataclasses.replace(done, num_passes=4.0) for done in record.trials)
    expected = "16 runs of the network for 32 environment steps: 0.50 per step"
    assert expected == tell_passes(summarize(SweepRecord(record.spec, trials)))


def test_document_is_plain_json_with_every_trial():
    """It goes through JSON unchanged and adds up; one task is told flat, several as a list."""
    document = to_document(sweep(2, 1, errors=1))
    assert document == json.loads(json.dumps(document, allow_nan=False))
    counts = [document[f"num_{kind}"] for kind in ("trials", "successes", "failures", "errors")]
    assert [4, 2, 1, 1] == counts
    assert [0, 1, 2, 3] == [trial["seed"] for trial in document["trials"]]
    assert "abc" == document["commit"]
    several = to_document(sweep(2, 2, tasks=("reach", "hurry")))
    assert ["reach", "hurry"] == [task["task"] for task in several["tasks"]]
    assert 0.5 == several["average"]["rate"]


def test_trial_is_described_in_one_line_and_an_error_with_its_traceback():
    """Stops, limits and what was seen are told; an error brings its details."""
    stopped = RolloutResult(3, "failure", 60, 2, 1, {"stale_observation": 2}, {"moved": True, "grasped": False}, "")
    expected = "seed 3: failure after 60 steps (seen: moved), 2 stops (stale_observation x2), 1 limited"
    assert expected == describe(stopped)
    broken = RolloutResult(4, "error", 0, 0, 0, {}, {}, "Traceback: boom")
    assert "seed 4: error after 0 steps (seen: nothing)\nTraceback: boom" == describe(broken)
