"""The fault suite over DDS, as a user runs it, and proof that it can fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from magma_ros.sim.faults.catalogue import BY_NAME, FAULTS

NAIVE = Path(__file__).parent / "naive_motion_node.py"
SUITE_S = 300.0
OF_EACH_KIND = [
    *("nan", "discontinuity", "undecodable", "policy_hang", "camera_frozen", "camera_silent", "state_silent"),
    *("estop_topic", "second_publisher", "sigterm_motion", "kill_policy", "kill_camera", "kill_driver"),
]

RUN_WITH_NAIVE_NODE = """
import os, sys
from pathlib import Path
from magma_ros.sim.faults.catalogue import BY_NAME
from magma_ros.sim.faults.graph import environment
from magma_ros.sim.faults.report import line
from magma_ros.sim.faults.suite import run
os.environ.update(environment())
folder, naive, *names = sys.argv[1:]
for measurement in run([BY_NAME[name] for name in names], folder=Path(folder), motion=[naive]):
    print(line(measurement), flush=True)
"""


def test_every_fault_has_a_name_of_its_own():
    """`--only` can pick each."""
    assert len(FAULTS) == len(BY_NAME)


def test_an_unknown_fault_is_refused():
    """One line names what there is, and the status is 2."""
    done = subprocess.run(
        [sys.executable, "-m", "magma_ros.cli", "faults", "--only", "gremlins"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 2 == done.returncode
    assert "gremlins" in done.stderr
    assert "kill_camera" in done.stderr


@pytest.mark.timeout(2 * SUITE_S)
def test_the_arm_stops_for_a_fault_of_each_kind(tmp_path):
    """A fault in each part has its line and passes; status and file say so. `magma-ros faults` alone has all of them.

    Tests share their machine with others, so that every limit has a second more here; docs/safety.md has the times.
    """
    report = tmp_path / "faults.json"
    options = ["--slack-s", "1.0", "--json", str(report), "--only", *OF_EACH_KIND]
    command = [sys.executable, "-m", "magma_ros.cli", "faults", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SUITE_S)
    assert 0 == done.returncode, done.stdout + done.stderr
    *lines, verdict = done.stdout.splitlines()
    assert OF_EACH_KIND == [line.split()[0] for line in lines]
    assert verdict.startswith(f"PASS: {len(OF_EACH_KIND)} faults")
    assert json.loads(report.read_text())["passed"]


@pytest.mark.timeout(240)
def test_a_motion_node_that_checks_nothing_fails(tmp_path):
    """With a naive republisher in its place the arm is told to move on through each of these faults."""
    names = ["nan", "kill_policy", "state_silent"]
    command = [sys.executable, "-c", RUN_WITH_NAIVE_NODE, str(tmp_path), str(NAIVE), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200, env={**os.environ})
    verdicts = [line.split()[1] for line in done.stdout.splitlines() if line.split()[0] in names]
    assert ["FAIL"] * len(names) == verdicts, done.stdout
    assert len(names) == done.stdout.count("the arm was told to move for"), done.stdout
