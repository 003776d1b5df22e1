"""The demo as a user runs it, with a checkpoint of random weights in place of the trained one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from magma_ros.sim.processes import shared_file
from tests.model.random_checkpoints import write_random_checkpoint


@pytest.fixture(scope="module")
def random_checkpoint(tmp_path_factory):
    """A checkpoint folder that loads and acts, without sense."""
    return write_random_checkpoint(tmp_path_factory.mktemp("checkpoints") / "random")


def start(tmp_path, *options):
    command = [
        sys.executable,
        "-m",
        "magma_ros.cli",
        "demo",
        "--output",
        str(tmp_path),
        "--real-time-factor",
        "3",
        *options,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def test_the_demo_runs_its_trials_and_leaves_pictures_and_figures(tmp_path, random_checkpoint):
    """One trial of random weights: it fails, says so in its last line and its status, and everything is written."""
    figures = tmp_path / "figures.json"
    demo = start(
        tmp_path, "--checkpoint", str(random_checkpoint), "--trials", "1", "--seed", "7", "--json", str(figures)
    )
    printed, errors = demo.communicate(timeout=90)
    assert printed.strip().endswith("\ndemo: 0/1 trials successful"), errors
    assert 'asked "Is the carrot on the plate?": ' in printed, "an answer, or why there is none"
    assert demo.returncode == 1
    found = json.loads(figures.read_text())
    (trial,) = found["trials"]
    assert (trial["seed"], trial["outcome"], found["step_budget"]) == (7, "failure", 60)
    assert len(trial["inference_s"]) == trial["num_steps"]
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("demo.mp4", "demo.png"))


def test_ctrl_c_ends_the_demo_and_its_nodes(tmp_path, random_checkpoint):
    """SIGINT in the middle of a trial gives status 130 within seconds, and all nodes ended by themselves."""
    demo = start(tmp_path, "--checkpoint", str(random_checkpoint))
    log = tmp_path / "logs" / "policy_node.log"
    deadline = time.monotonic() + 60
    while not (log.is_file() and "loaded random" in log.read_text()):
        assert demo.poll() is None, demo.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.5)
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
    assert len(children) == 3
    demo.send_signal(signal.SIGINT)
    start_s = time.monotonic()
    printed, _ = demo.communicate(timeout=30)
    assert time.monotonic() - start_s < 15
    assert demo.returncode == 130
    assert "the arm holds still" in printed
    assert [] == [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_a_checkpoint_that_is_none_ends_the_demo_with_its_reason(tmp_path):
    """An unknown name is refused before anything starts, in one line."""
    demo = start(tmp_path, "--checkpoint", "magma-huge")
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 2
    assert "magma-huge" in errors
    assert "Traceback" not in errors


def test_the_shipped_files_are_found():
    """The transport profile comes from the checkout."""
    assert shared_file("config/fastdds.xml").is_file()
