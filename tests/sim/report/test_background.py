"""Sections beside the rates: films, errors, protocol, seeds and what it was measured with."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from magma_ros.sim.report.background import errors, films, protocol, provenance, seeds
from magma_ros.sim.report.contents import Film, Report, Sweep
from magma_ros.sim.report.summary import summarize
from magma_ros.sim.sweep.journal import SweepRecord
from tests.sim.report.reading import cells, text
from tests.sim.report.sweeps import TRACEBACK, make_record, make_spec, make_trial, write_film


def summary(letters: dict[str, str], **changes: object):
    return summarize(make_record(letters, make_spec(tuple(letters), **changes)))


def sweep(letters: dict[str, str], **changes: object) -> Sweep:
    record = make_record(letters, make_spec(tuple(letters), **changes))
    return Sweep(Path("folder"), record, summarize(record))


def listed(markup: str) -> dict[str, str]:
    """What a list of definitions says."""
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", markup, flags=re.DOTALL)
    return {text(name): text(found) for name, found in pairs}


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return write_film(tmp_path_factory.mktemp("films") / "a-0.webp", num_steps=2)


def test_without_a_film_there_is_no_section() -> None:
    """However many are left in the folder."""
    assert films(Report(sweep({"a": "s"}), (), (), (), 3)) is None


def test_films_stand_in_the_order_of_tasks_failures_first(film) -> None:
    """A task without one is left out; an outcome without one says so; those that are left are counted."""
    shown = (Film("c", 3, "success", film), Film("a", 1, "success", film), Film("a", 2, "failure", film))
    section = films(Report(sweep({"a": "s", "b": "s", "c": "s"}), (), (), shown, 4))
    assert re.findall(r"<h3>(.*?)</h3>", section) == ["a", "c"]
    assert re.findall(r'alt="(.*?)"', section) == ["a, seed 2: failure", "a, seed 1: success", "c, seed 3: success"]
    said = text(section)
    assert said.startswith("Films The first trials of each outcome, at twice the speed of the world. 4 more are in the")
    assert said.endswith("c Failures none Successes seed 3")
    assert "more are" not in films(Report(sweep({"a": "s"}), (), (), shown[1:], 0))


def test_without_an_error_there_is_no_section() -> None:
    """A failure is none, and neither is a trial that was not run."""
    assert errors(summary({"a": "sf f"})) is None


def test_equal_errors_stand_together_with_their_seeds() -> None:
    """By task, neighbours drawn together; another traceback is another entry, in the order of the first trials."""
    spec = make_spec(("a", "b"))
    other = "Traceback (most recent call last):\nValueError: no\n"
    trials = [
        *(make_trial("a", seed, "e") for seed in (0, 1, 2)),
        make_trial("a", 3, "e", detail=other),
        make_trial("a", 5, "e"),
        make_trial("b", 4, "e"),
    ]
    section = errors(summarize(SweepRecord(spec, tuple(trials))))
    titles = [text(title) for title in re.findall(r"<summary>(.*?)</summary>", section)]
    assert titles == [
        "a, seeds 0..2, 5; b, seed 4 : RuntimeError: the physics exploded",
        "a, seed 3 : ValueError: no",
    ]
    assert section.count("<pre>") == 2
    assert TRACEBACK in section


@pytest.mark.parametrize("detail", ["", " \n "])
def test_an_error_without_a_traceback_says_so(detail) -> None:
    """An empty one has no last line."""
    section = errors(summarize(SweepRecord(make_spec(("a",)), (make_trial("a", 0, "e", detail=detail),))))
    assert "a, seed 0 : no traceback" in text(section)


def test_the_protocol_says_what_was_asked_of_each_task() -> None:
    """In the sweep's order; what holds for all of them above, mappings and lists written out, nothing as none."""
    found = summary({"b": "s", "a": "s"}, execution_horizon=8)
    more = {**found.spec.protocol, "image_size_px": [240, 320], "camera": None, "rate": 0.125}
    section = protocol(replace(found, spec=replace(found.spec, protocol=more)))
    assert cells(section) == [
        ["task", "instruction", "step budget", "settle steps", "counts as a success when"],
        ["b", "do b", "60", "0", "it is done"],
        ["a", "do a", "60", "0", "it is done"],
    ]
    assert listed(section) == {
        "suite": "bridge",
        "control rate hz": "5",
        "limits": "max_translation_step_m 0.05 · workspace_min_m 0.1, -0.3, 0",
        "image size px": "240, 320",
        "camera": "none",
        "rate": "0.125",
        "execution horizon": "8",
        "latency": "none, the world waits for the policy",
    }


def test_a_latency_is_written_out() -> None:
    """Instead of the words for none."""
    section = protocol(summary({"a": "s"}, latency={"low_s": 0.1, "high_s": 0.3}))
    assert listed(section)["latency"] == "low_s 0.1 · high_s 0.3"


def test_every_seed_is_listed_by_its_outcome() -> None:
    """Task by task; those that were not run as well."""
    section = seeds(summary({"a": "sssfe", "b": "  f"}))
    assert cells(section) == [
        ["task", "success", "failure", "error", "not run"],
        ["a", "0..2", "3", "4", "5..9"],
        ["b", "", "2", "", "0, 1, 3..9"],
    ]
    assert "Seeds 0..9, by outcome" in text(section)


def test_what_it_was_measured_with() -> None:
    """Policy, checkpoint, fingerprint, source, versions, machine, when, and the command that repeats it."""
    section = provenance(sweep({"a": "sf"}))
    assert listed(section) == {
        "policy": "magma-tiny",
        "checkpoint": "feedbeef",
        "fingerprint": "0123abcd",
        "commit": "c0ffee",
        "versions": "numpy 2.3",
        "device": "cpu",
        "machine": "a machine",
        "trials begun": "2026-11-22T10:00:00.000+00:00 to 2026-11-22T10:00:01.000+00:00",
    }
    assert "<pre><code>magma-ros eval --suite bridge --task a --policy magma-tiny" in section


@pytest.mark.parametrize(("batched", "expected"), [(True, "batched"), (False, "one by one")])
def test_a_network_says_how_it_answered(batched: bool, expected: str) -> None:  # noqa: FBT001
    """Batches round in another way; a policy without a network says nothing of it."""
    section = provenance(sweep({"a": "s"}, batched=batched, options={"device": "cpu"}))
    assert expected == listed(section)["answers"]


def test_what_is_not_known_of_the_measurement_is_none() -> None:
    """No checkpoint, no fingerprint; options only where there are some; one trial began at one instant, none never."""
    one = listed(provenance(sweep({"a": "s"}, checkpoint="", fingerprint="", options={"quantization": "4bit"})))
    assert (one["checkpoint"], one["fingerprint"], one["options"]) == ("none", "none", "quantization 4bit")
    assert one["trials begun"] == "2026-11-22T10:00:00.000+00:00"
    assert "trials begun" not in listed(provenance(sweep({"a": ""})))
