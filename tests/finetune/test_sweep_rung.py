import json
from pathlib import Path

import pytest

from magma_ros.errors import SweepError
from magma_ros.finetune.sweep_rung import judge
from tests.sim.report.sweeps import make_record, make_spec, write_folder

CHECKPOINT, FINGERPRINT = "feedbeef", "0123abcd"


def sweep(folder: Path, outcomes: dict[str, str], **changes: object) -> Path:
    """The folder that `magma-ros eval --output` leaves: ten seeds of each task."""
    return write_folder(folder, make_record(outcomes, make_spec(tuple(outcomes), **changes)))


def tried(*folders: Path, min_success: float = 0.5):
    return judge(folders, checkpoint=CHECKPOINT, fingerprint=FINGERPRINT, min_success=min_success)


def test_the_lower_end_of_each_task_s_interval_decides(tmp_path) -> None:
    """Ten of ten are at least 0.72, nine of ten at least 0.60 (Wilson, 95 %): a bound between them parts them."""
    folder = sweep(tmp_path / "s", {"carrot_on_plate": "ssssssssss", "stack_cube": "sssssssssf"})
    passed = tried(folder, min_success=0.59)
    assert "passed" == passed.outcome
    lows = {name: task["low"] for name, task in passed.figures["tasks"].items()}
    assert {"bridge/carrot_on_plate": 0.7225, "bridge/stack_cube": 0.5958} == pytest.approx(lows, abs=1e-4)
    failed = tried(folder, min_success=0.6)
    assert "failed" == failed.outcome
    assert "bridge/stack_cube: 9/10" in failed.detail
    assert "carrot" not in failed.detail


@pytest.mark.parametrize(("letters", "said"), [("sssssssss ", "1 unfinished"), ("ssssssssse", "1 errors")])
def test_trials_that_say_nothing_keep_it_from_passing(tmp_path, letters, said) -> None:
    """An error is neither a failure nor a success, and what was not finished is not left out."""
    rung = tried(sweep(tmp_path / "s", {"carrot_on_plate": letters}), min_success=0.1)
    assert "failed" == rung.outcome
    assert said in rung.detail


def test_a_torn_last_line_is_a_trial_that_was_not_finished(tmp_path) -> None:
    """What a power cut leaves is read up to its last whole line."""
    folder = sweep(tmp_path / "s", {"carrot_on_plate": "ssssssssss"})
    path = folder / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert "1 unfinished" in tried(folder).detail


@pytest.mark.parametrize("changes", [{"checkpoint": "other"}, {"fingerprint": "other"}])
def test_a_sweep_of_other_weights_is_refused(tmp_path, changes) -> None:
    """Both the manifest's hash and the fingerprint have to be this checkpoint's."""
    folder = sweep(tmp_path / "s", {"carrot_on_plate": "ssssssssss"}, **changes)
    with pytest.raises(SweepError, match="expected a sweep of the checkpoint"):
        tried(folder)


def test_a_sweep_that_stopped_by_its_results_is_refused(tmp_path) -> None:
    """Wilson's interval is for a number of trials that was fixed beforehand."""
    folder = sweep(tmp_path / "s", {"carrot_on_plate": "ssssssssss"}, width=0.4)
    with pytest.raises(SweepError, match="--width"):
        tried(folder)


def test_two_sweeps_are_one_rung_and_may_not_overlap(tmp_path) -> None:
    """The tasks of several suites count together; one task twice would count what suits."""
    bridge = sweep(tmp_path / "b", {"carrot_on_plate": "ssssssssss"})
    libero = sweep(tmp_path / "l", {"pick_bowl": "ffffffffff"}, suite="libero_spatial")
    both = tried(bridge, libero)
    assert {"bridge/carrot_on_plate", "libero_spatial/pick_bowl"} == set(both.figures["tasks"])
    assert "failed" == both.outcome
    with pytest.raises(SweepError, match="twice"):
        tried(bridge, sweep(tmp_path / "again", {"carrot_on_plate": "ssssssssss"}))


def test_what_is_no_sweep_is_refused(tmp_path) -> None:
    """No file, another format, a line that is no trial and a seed that was not asked for are named."""
    with pytest.raises(SweepError, match=r"sweep\.json"):
        tried(tmp_path)
    folder = sweep(tmp_path / "s", {"carrot_on_plate": "ssssssssss"})
    trials, spec = folder / "trials.jsonl", folder / "sweep.json"
    whole = trials.read_text()
    for line in (
        "{}\n",
        json.dumps({**json.loads(whole.splitlines()[0]), "seed": 99}) + "\n",
        whole.splitlines()[0] + "\n",
    ):
        trials.write_text(whole + line)
        with pytest.raises(SweepError, match="line 11"):
            tried(folder)
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "format": 2}))
    with pytest.raises(SweepError, match="format 1"):
        tried(folder)
