"""`magma-ros eval`, as a user calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.load_options import LoadOptions
from magma_ros.pipeline import MANIFEST_NAME
from magma_ros.sim.sweep import command
from magma_ros.sim.sweep.journal import read
from magma_ros.sim.sweep.options import Question, Workplace
from tests.model.random_checkpoints import write_random_checkpoint
from tests.sim.sweep import toys

EVAL = ("eval", "--task", "carrot_on_plate")


def test_eval_ends_in_the_summary_and_writes_its_figures(tmp_path, capsys):
    """The last line of output is the result; the file adds trials, versions and commit."""
    figures = tmp_path / "made" / "figures.json"
    assert 0 == main([*EVAL, "--policy", "expert", "--trials", "2", "--seed", "30", "--json", str(figures)])
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("success_rate 1.00 (2/2), 95% Wilson [0.34, 1.00], errors 0, step_budget 60")
    assert last.endswith("seeds 30..31, policy expert")
    document = json.loads(figures.read_text())
    assert [30, 31] == [trial["seed"] for trial in document["trials"]]
    assert {"commit", "versions", "device", "machine", "fingerprint", "wall_s"} <= set(document)


def test_random_policy_repeats_with_its_seed(capsys):
    """Two runs of the same command print the same trials."""
    printed = []
    for _ in range(2):
        assert 0 == main([*EVAL, "--policy", "random", "--trials", "1", "--seed", "5"])
        printed.append(capsys.readouterr())
    assert printed[0].out == printed[1].out


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a sweep of two trials, filmed."""
    folder = tmp_path_factory.mktemp("sweeps") / "noop"
    arguments = ["--policy", "noop", "--trials", "2", "--films", "1", "--output", str(folder)]
    assert 0 == main([*EVAL, *arguments])
    return folder


def test_a_sweep_leaves_its_journal_a_report_and_films(finished):
    """Everything that is said about it lies in one folder."""
    assert [0, 1] == [done.trial.seed for done in read(finished).trials]
    assert {"sweep.json", "trials.jsonl", "report.html", "report.json", "trials.parquet"} <= {
        path.name for path in finished.iterdir()
    }
    assert ["carrot_on_plate-0.webp"] == [path.name for path in (finished / "films").iterdir()]
    assert read(finished).spec.provenance["device"] == "cpu"


def test_a_sweep_is_gone_on_with_only_when_asked_and_only_the_same(finished, tmp_path, capsys):
    """Without --resume, or with another policy, the folder is refused; with it, what is finished is not run again."""
    folder = tmp_path / "noop"
    shutil.copytree(finished, folder)
    before = (folder / "trials.jsonl").read_bytes()
    same = [*EVAL, "--policy", "noop", "--trials", "2", "--output", str(folder)]
    assert 2 == main(same)
    assert "--resume" in capsys.readouterr().err
    assert 2 == main([*same, "--resume", "--execution-horizon", "3"])
    assert "execution_horizon 1, asked 3" in capsys.readouterr().err
    assert 0 == main([*same, "--resume"])
    assert "success_rate 0.00 (0/2)" in capsys.readouterr().out
    assert before == (folder / "trials.jsonl").read_bytes()


def test_an_error_makes_the_result_incomplete(monkeypatch, capsys):
    """The exit status says so, the line counts it, and the rate is of the others."""
    monkeypatch.setattr(command, "make_env", _fails_at_seed_1)
    assert 1 == main([*EVAL, "--policy", "noop", "--trials", "3"])
    printed = capsys.readouterr()
    assert "success_rate 0.00 (0/2), 95% Wilson [0.00, 0.66], errors 1," in printed.out
    assert "RuntimeError: the physics exploded" in printed.err


def _fails_at_seed_1(suite, task, *, render):
    class Failing(toys.ToyEnv):
        def reset(self, *, seed):
            self._fails_at_step = 2 if seed == 1 else None
            return super().reset(seed=seed)

    return Failing()


def test_tasks_are_those_that_are_named_or_all_of_the_suite():
    """Nothing at all means the four Bridge tasks, which the shipped checkpoint knows."""
    suite, tasks = Question().choose_tasks()
    assert tuple(task.name for task in suite.tasks) == tasks
    assert tasks[:1] == Question(task=tasks[:1]).choose_tasks()[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "nobody", "--trials", "1"], "checkpoint 'nobody': expected a checkpoint folder"),
        (["--suite", "nowhere"], "no suite 'nowhere', available ['bridge'"),
        (["--task", "fly"], "no task 'fly'"),
        (["--policy", "noop", "--trials", "0"], "at least 1 trial"),
        (["--policy", "noop", "--seed", "-1"], "seed of at least 0"),
        (["--policy", "noop", "--seed", "999990"], "seeds below 1000000"),
        (["--policy", "noop", "--execution-horizon", "0"], "execution_horizon: expected at least 1"),
        (["--policy", "noop", "--workers", "0"], "workers: expected at least 1"),
        (["--policy", "noop", "--resume"], "--output"),
        (["--policy", "noop", "--films", "2"], "--output"),
        (["--policy", "noop", "--output", "x", "--retry-errors"], "--resume"),
        (["--policy", "noop", "--latency", "soon"], "latency: expected seconds"),
        (["--policy", "noop", "--width", "2"], "width: expected within (0, 1)"),
        (["--policy", "noop", "--task", "carrot_on_plate", "carrot_on_plate"], "none twice"),
    ],
)
def test_refusals_are_one_line_and_exit_2(arguments, message, tmp_path, monkeypatch, capsys):
    """What cannot be done is said on stderr, without a traceback, and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    assert 2 == main(["eval", *arguments])
    captured = capsys.readouterr()
    assert message in captured.err
    assert 1 == len(captured.err.strip().splitlines())
    assert captured.out == ""
    assert [] == list(tmp_path.iterdir())


def test_the_executable_runs_worker_processes():
    """They import the program's own file, which must not start a second sweep in each of them."""
    program = Path(__file__).parents[3] / "scripts" / "magma-ros"
    command = [sys.executable, str(program), *EVAL, "--policy", "noop", "--trials", "2", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "success_rate 0.00 (0/2), 95% Wilson [0.00, 0.66], errors 0," in done.stdout, done.stderr
    assert 0 == done.returncode


def test_a_network_is_counted_and_known_by_its_weights(tmp_path, capsys):
    """Its runs are told per step; when its checkpoint has changed, the sweep does not go on with it."""
    checkpoint = write_random_checkpoint(tmp_path / "random")
    asked = [*EVAL, "--policy", str(checkpoint), "--trials", "1", "--output", str(tmp_path / "sweep")]
    assert 0 == main(asked)
    assert "60 runs of the network for 60 environment steps: 1.00 per step" in capsys.readouterr().out
    manifest = checkpoint / MANIFEST_NAME
    manifest.write_text(manifest.read_text() + "\n")
    assert 2 == main([*asked, "--resume"])
    assert 'holds another sweep: checkpoint "' in capsys.readouterr().err


def test_whether_answers_were_batched_is_kept_and_decides_whether_to_go_on(tmp_path, capsys):
    """Two workers share the runs of a network unless they are told not to: sweep.json, --json and --resume know it."""
    checkpoint = write_random_checkpoint(tmp_path / "random")
    asked = [*EVAL, "--policy", str(checkpoint), "--trials", "1", "--output", str(tmp_path / "sweep")]
    assert 0 == main([*asked, "--workers", "2", "--json", str(tmp_path / "figures.json")])
    assert read(tmp_path / "sweep").spec.batched
    assert json.loads((tmp_path / "figures.json").read_text())["batched"]
    capsys.readouterr()
    assert 2 == main([*asked, "--workers", "2", "--no-batch", "--resume"])
    assert "holds another sweep: batched true, asked false" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("policy", "workplace", "expected"),
    [
        ("noop", Workplace(workers=2), False),
        ("ws://127.0.0.1:1", Workplace(workers=2), False),
        ("checkpoint", Workplace(workers=2, ray_address="local"), True),
        ("checkpoint", Workplace(workers=2, ray_address="local", batch=False), False),
        ("checkpoint", Workplace(workers=1, ray_address="local"), False),
    ],
)
def test_only_a_network_of_several_workers_answers_in_batches(policy, workplace, expected):
    """One worker is answered alone, and so is everything that lives in the workers or behind an address."""
    assert expected == command._Site(policy, LoadOptions(), workplace).is_batched


def test_figures_and_report_tell_the_same_of_a_sweep_that_went_on_elsewhere(tmp_path, monkeypatch):
    """A sweep that another commit finished names both, in --json as in report.json."""
    folder, figures = tmp_path / "sweep", tmp_path / "figures.json"
    asked = [*EVAL, "--policy", "noop", "--trials", "1", "--output", str(folder)]
    assert 0 == main(asked)
    there = read(folder).spec.provenance
    monkeypatch.setattr(command, "provenance", lambda *, device: {**there, "commit": "later"})
    assert 0 == main([*asked, "--resume", "--json", str(figures)])
    told, shown = json.loads(figures.read_text()), json.loads((folder / "report.json").read_text())
    assert there["commit"] == told["commit"] == shown["spec"]["provenance"]["commit"]
    assert ["later"] == [place["commit"] for place in told["resumed"]]
    assert told["resumed"] == shown["spec"]["provenance"]["resumed"]
