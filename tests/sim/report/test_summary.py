"""What a sweep says."""

from __future__ import annotations

import pytest

from magma_ros.sim.report.summary import outcomes, summarize
from magma_ros.sim.statistics import suite_average, wilson_interval
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.plan import Trial
from tests.sim.report.sweeps import make_record, make_spec, make_trial


def test_rates_are_those_of_the_statistics() -> None:
    """Each task has Wilson's interval of its judged trials, the suite their average."""
    summary = summarize(make_record({"a": "sssssssfff", "b": "ssffffffff"}))
    assert [(task.rate.successes, task.rate.judged) for task in summary.tasks] == [(7, 10), (2, 10)]
    assert summary.tasks[0].rate.interval == wilson_interval(7, 10)
    assert summary.average == suite_average([7, 2], [10, 10], seed=0)
    assert summary.is_complete


def test_errors_and_what_was_not_run_are_no_failures() -> None:
    """They are outside of the rate, and each makes a sweep incomplete."""
    summary = summarize(make_record({"a": "ssse f f"}))
    (task,) = summary.tasks
    assert task.seeds == {"success": (0, 1, 2), "failure": (5, 7), "error": (3,), "missing": (4, 6, 8, 9)}
    assert task.rate.share == 0.6
    assert [done.trial.seed for done in summary.errors] == [3]
    assert not summary.is_complete
    assert not summarize(make_record({"a": "sssssssss "})).is_complete


def test_a_task_without_a_judged_trial_leaves_no_average() -> None:
    """Nothing is claimed about a suite of which a part is unknown."""
    summary = summarize(make_record({"a": "ssssssssss", "b": "e"}))
    assert summary.average is None
    assert summary.tasks[1].rate.share is None


def test_success_by_step_is_that_of_the_judged_trials() -> None:
    """Successes of seeds 0 and 1 hold from steps 20 and 21 on."""
    (task,) = summarize(make_record({"a": "ssfe"})).tasks
    assert task.median_success_step == 20.5
    assert [task.by_step.rates[step - 1] for step in (19, 20, 21, 60)] == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    assert len(task.by_step.steps) == 60


def test_flags_count_the_judged_trials_in_which_they_were_seen() -> None:
    """One that was never seen counts 0, and is not left out."""
    assert summarize(make_record({"a": "ssfe"})).tasks[0].flags == {"grasped": 2}
    assert summarize(make_record({"a": "ffff"})).tasks[0].flags == {"grasped": 0}


def test_variants_are_rated_over_all_tasks() -> None:
    """By the axis along which their scenes depart from the usual look; errors are left out here too."""
    looks = [("a", 0, "s", "light"), ("b", 0, "f", "light"), ("a", 1, "f", "table"), ("b", 1, "e", "table")]
    trials = tuple(make_trial(task, seed, letter, variant=variant) for task, seed, letter, variant in looks)
    found = summarize(SweepRecord(make_spec(("a", "b")), trials)).variants
    assert [(v.axis, v.rate.successes, v.rate.judged) for v in found] == [("light", 1, 2), ("table", 0, 1)]
    assert summarize(make_record({"a": "sf"})).variants == ()


def test_a_stopping_rule_ends_a_task_and_gives_its_interval() -> None:
    """Trials beyond the stop do not count, and the task is complete without them."""
    spec = make_spec(("a",), seeds=tuple(range(40)), width=0.4)
    summary = summarize(make_record({"a": "s" * 12}, spec))
    (task,) = summary.tasks
    expected = spec.stopping_rule().result([True] * 12)
    assert task.rate.interval == expected.interval
    assert (task.rate.successes, task.rate.judged, task.num_planned) == (10, 10, 10)
    assert summary.is_complete


def test_a_rule_that_has_not_ended_a_task_leaves_it_incomplete() -> None:
    """An error stands in its way until the trial is repeated."""
    spec = make_spec(("a",), seeds=tuple(range(40)), width=0.4)
    summary = summarize(make_record({"a": "sse" + "s" * 9}, spec))
    assert summary.tasks[0].rate.judged == 11
    assert (summary.count("error"), summary.count("missing")) == (1, 28)


def test_outcomes_are_those_of_judged_trials() -> None:
    """What pairs are made of."""
    assert outcomes(make_record({"a": "sfe"})) == {Trial("a", 0): True, Trial("a", 1): False}
