"""`magma-ros record` as a user calls it."""

import os
import subprocess
import sys

from magma_ros.episode_notes import EpisodeNotes
from magma_ros.episodes import EpisodeDataset
from magma_ros.ros.bag_reader import BagReader

SCRIPT = "steps:\n- {press: [start]}\n- {for_s: 0.4}\n- {for_s: 1.0, keys: w}\n- {press: [success]}\n"


def magma_ros(*arguments):
    command = [sys.executable, "-m", "magma_ros.cli", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_an_episode_is_recorded_without_a_person(tmp_path):
    """One command starts the graph, plays the script, and leaves a bag that a second one makes a dataset of."""
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    done = magma_ros("record", script, "--output", tmp_path / "demos", "--operator", "12", "--seeds", "3")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "seed 3: recorded" in done.stdout
    (bag,) = (tmp_path / "demos").iterdir()
    notes = EpisodeNotes.from_dict(BagReader(bag).notes)
    assert ("put carrot on plate", "12", "success") == (notes.instruction, notes.operator, notes.outcome)
    done = magma_ros("data", "import", "mcap", bag, "--arm", "sim", "--output", tmp_path / "dataset")
    assert 0 == done.returncode, done.stdout + done.stderr
    (episode,) = map(EpisodeDataset(tmp_path / "dataset").read, range(1))
    assert ("put carrot on plate", "12", True) == (episode.instruction, episode.operator, episode.success)
    assert episode.interventions.any()
    assert 0.02 < episode.actions[:, 0].sum() < 0.07


def test_a_script_with_faults_is_refused_at_once(tmp_path):
    """Nothing is started for a script that cannot be played."""
    script = tmp_path / "script.yaml"
    script.write_text("steps: [{for_s: 1, keys: x}]\n")
    done = magma_ros("record", script, "--output", tmp_path / "demos")
    assert 2 == done.returncode
    assert "step 1: keys" in done.stderr
    assert not (tmp_path / "demos").exists()
