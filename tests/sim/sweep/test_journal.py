"""The folder of a sweep."""

from __future__ import annotations

import dataclasses
import json

import pytest

from magma_ros.errors import SweepError
from magma_ros.sim.sweep.journal import open_journal, read
from magma_ros.sim.sweep.plan import Trial
from tests.sim.sweep import toys


def write(folder, records, **changes):
    """A sweep of six seeds of two tasks with these trials finished."""
    with open_journal(folder, toys.spec(**changes)) as journal:
        for record in records:
            journal.append(record)


def test_what_was_written_is_read_back(tmp_path):
    """Specification, results and what is beside them come back as they were, ordered by task and seed."""
    spec = toys.spec(latency={"low_s": 0.1, "high_s": 0.2}, options={"dtype": "float32"}, width=0.2)
    error = toys.record(2, "error", detail="Traceback: boom\r\n  line two", stop_reasons={"non_finite": 3})
    records = [toys.record(1, task="hurry"), dataclasses.replace(toys.record(3), num_passes=2.5), error]
    with open_journal(tmp_path / "new" / "sweep", spec) as journal:
        for record in records:
            journal.append(record)
        assert journal.record.trials == (records[2], records[1], records[0])
    found = read(tmp_path / "new" / "sweep")
    assert found.spec == spec
    assert found.trials == (records[2], records[1], records[0])


def test_a_line_is_in_the_file_before_append_returns(tmp_path):
    """Whoever reads the folder while the sweep runs sees every finished trial."""
    with open_journal(tmp_path, toys.spec()) as journal:
        journal.append(toys.record(4))
        assert {Trial("reach", 4)} == {done.trial for done in read(tmp_path).trials}


def test_an_existing_sweep_is_refused_unless_it_is_to_go_on(tmp_path):
    """The same command twice does not mix two sweeps."""
    write(tmp_path, [toys.record(0)])
    with pytest.raises(SweepError, match="--resume"), open_journal(tmp_path, toys.spec()):
        pass
    with open_journal(tmp_path, toys.spec(), resume=True) as journal:
        assert journal.record.trials == (toys.record(0),)


def test_a_folder_with_something_else_is_refused(tmp_path):
    """A sweep is not written among other files, and not over a file."""
    (tmp_path / "thesis.tex").write_text("...")
    for folder, reason in ((tmp_path, "thesis.tex"), (tmp_path / "thesis.tex", "expected a folder")):
        with pytest.raises(SweepError, match=reason), open_journal(folder, toys.spec(), resume=True):
            pass


def test_a_sweep_that_died_before_its_first_byte_can_be_begun_again(tmp_path):
    """A half-written specification is no sweep."""
    (tmp_path / "sweep.json.partial").write_text('{"format"')
    (tmp_path / ".lock").touch()
    with open_journal(tmp_path, toys.spec(), resume=True) as journal:
        assert journal.record.trials == ()


@pytest.mark.parametrize("torn", ["{", '{"task": "reach", "seed": 1', "\x00\x00\x00"])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    """What the power cut short never happened; the next line begins at its place."""
    write(tmp_path, [toys.record(0)])
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write(torn)
    assert read(tmp_path).trials == (toys.record(0),)
    with open_journal(tmp_path, toys.spec(), resume=True) as journal:
        journal.append(toys.record(1))
    assert read(tmp_path).trials == (toys.record(0), toys.record(1))


def test_a_damaged_line_is_an_error_with_its_number(tmp_path):
    """What is broken in the middle is not skipped."""
    write(tmp_path, [toys.record(0), toys.record(1)])
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    (tmp_path / "trials.jsonl").write_text("\n".join([lines[0], lines[1][:40], ""]))
    with pytest.raises(SweepError, match="line 2: expected a finished trial"):
        read(tmp_path)


def test_a_trial_twice_is_an_error(tmp_path):
    """Neither written nor read."""
    with open_journal(tmp_path, toys.spec()) as journal:
        journal.append(toys.record(0))
        with pytest.raises(SweepError, match="reach, seed 0: expected one record"):
            journal.append(toys.record(0, "failure"))
    line = (tmp_path / "trials.jsonl").read_text()
    (tmp_path / "trials.jsonl").write_text(line * 2)
    with pytest.raises(SweepError, match="second one"):
        read(tmp_path)


def test_a_trial_of_another_sweep_is_an_error(tmp_path):
    """A seed or a task that nobody asked for does not slip in."""
    with open_journal(tmp_path, toys.spec()) as journal:
        for stray in (toys.record(99), toys.record(0, task="fly")):
            with pytest.raises(SweepError, match="expected a trial of the sweep"):
                journal.append(stray)


def test_another_sweep_is_refused_with_every_difference(tmp_path):
    """Policy, limits and seeds are named with both values; what was the same is not."""
    write(tmp_path, [])
    protocol = json.loads(json.dumps(toys.spec().protocol))
    protocol["tasks"]["reach"]["step_budget"] = 80
    other = toys.spec(policy="noop", protocol=protocol, trials=9)
    with pytest.raises(SweepError) as caught, open_journal(tmp_path, other, resume=True):
        pass
    message = str(caught.value)
    assert 'policy "reach", asked "noop"' in message
    assert "protocol.tasks.reach.step_budget 8, asked 80" in message
    assert "seeds" in message
    assert "suite" not in message


def place(commit="abc", **versions):
    """Where a part of a sweep is measured."""
    return {"commit": commit, "versions": {"mujoco": "3.3.2", "rich": "14", **versions}}


def go_on(folder, **where):
    """The sweep as it is told by whoever resumes it elsewhere."""
    with open_journal(folder, toys.spec(provenance=place(**where)), resume=True) as journal:
        return journal.record


def test_another_commit_may_go_on_and_is_told_beside_the_first(tmp_path):
    """Whoever resumes and whoever reads the folder are told the same: where it was begun, and each other place once."""
    write(tmp_path, [toys.record(0)], provenance=place())
    expected = {**place(), "resumed": [place("def"), place("def", rich="15")]}
    for where in ({"commit": "def"}, {}, {"commit": "def"}, {"commit": "def", "rich": "15"}):
        told = go_on(tmp_path, **where)
    assert expected == told.spec.provenance == read(tmp_path).spec.provenance
    assert (toys.record(0),) == told.trials


def test_a_sweep_that_goes_on_where_it_was_begun_is_left_as_it_is(tmp_path):
    """The same place is nothing to tell."""
    write(tmp_path, [toys.record(0)], provenance=place())
    before = (tmp_path / "sweep.json").read_bytes()
    go_on(tmp_path)
    assert before == (tmp_path / "sweep.json").read_bytes()


def test_other_versions_of_what_decides_outcomes_do_not_go_on(tmp_path):
    """Both versions are named, the folder stays as it is."""
    write(tmp_path, [toys.record(0)], provenance=place())
    before = (tmp_path / "sweep.json").read_bytes()
    with pytest.raises(SweepError, match=r"other versions: mujoco 3\.3\.2, here 3\.4\.0;"):
        go_on(tmp_path, mujoco="3.4.0")
    assert before == (tmp_path / "sweep.json").read_bytes()


def test_errors_are_run_again_when_asked(tmp_path):
    """They leave the file; what was judged stays."""
    write(tmp_path, [toys.record(0), toys.record(1, "error"), toys.record(2, "failure")])
    with open_journal(tmp_path, toys.spec(), resume=True, retry_errors=True) as journal:
        assert journal.record.trials == (toys.record(0), toys.record(2, "failure"))
        journal.append(toys.record(1))
    assert read(tmp_path).trials == (toys.record(0), toys.record(1), toys.record(2, "failure"))


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    """While one is running, a second one is refused; afterwards it may go on."""
    with (
        open_journal(tmp_path, toys.spec()),
        pytest.raises(SweepError, match="expected to be alone"),
        open_journal(tmp_path, toys.spec(), resume=True),
    ):
        pass
    with open_journal(tmp_path, toys.spec(), resume=True):
        pass


def test_a_folder_without_a_sweep_cannot_be_read(tmp_path):
    """Nor one of another format."""
    with pytest.raises(SweepError, match=r"sweep\.json"):
        read(tmp_path)
    (tmp_path / "sweep.json").write_text('{"format": 99}')
    with pytest.raises(SweepError, match="format 1"):
        read(tmp_path)


def test_a_sweep_of_an_older_version_is_refused_by_what_it_lacks(tmp_path):
    """What nobody wrote down is not guessed."""
    write(tmp_path, [toys.record(0)])
    document = json.loads((tmp_path / "sweep.json").read_text())
    del document["batched"]
    (tmp_path / "sweep.json").write_text(json.dumps(document))
    with pytest.raises(SweepError, match=r"without \['batched'\] and with \[\]"):
        read(tmp_path)
