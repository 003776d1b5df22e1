"""From a person's hand to the robot's next policy, one command at a time, as docs/recording.md and after say it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from magma_ros.episode_notes import EpisodeNotes
from magma_ros.episodes import EpisodeDataset
from magma_ros.msg import PolicyStatus
from magma_ros.ros import interface
from magma_ros.ros.bag_reader import BagReader
from magma_ros.srv import SwapPolicy

SCRIPT = "steps:\n- {press: [start]}\n- {for_s: 0.4}\n- {for_s: 1.0, keys: %s}\n- {press: [success]}\n"
SHORT = ("steps=4", "batch_size=8", "held_out_share=0.5", "evaluate_every=0", "save_every=4", "trackers=[]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the user works."""
    return tmp_path_factory.mktemp("user")


def magma_ros(folder, *arguments, status=0):
    """What a command printed; it ended with `status`."""
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    command = [sys.executable, "-m", "magma_ros.cli", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=110, env=environment, cwd=folder
    )
    assert status == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_script_with_faults_is_refused_at_once(folder):
    """Nothing is started for a script that cannot be played."""
    (folder / "wrong.yaml").write_text("steps: [{for_s: 1, keys: x}]\n")
    said = magma_ros(folder, "record", "wrong.yaml", "--output", "nothing", status=2)
    assert "step 1: keys" in said
    assert not (folder / "nothing").exists()


def test_demonstrations_are_recorded_imported_and_checked(folder):
    """Two commands make a dataset of what a person did, with who did what and how it ended; a third one doubts it."""
    for seed, keys in (("1000003", "w"), ("1000004", "wa")):  # the same motion twice would be called a duplicate
        (folder / "script.yaml").write_text(SCRIPT % keys)
        said = magma_ros(folder, "record", "script.yaml", "--output", "bags", "--operator", "12", "--seed", seed)
        assert [seed] == re.findall(r"seed (\d+): recorded", said)
    bags = sorted((folder / "bags").iterdir())
    notes = EpisodeNotes.from_dict(BagReader(bags[0]).notes)
    assert ("put carrot on plate", "12", "success") == (notes.instruction, notes.operator, notes.outcome)
    meaning = ("--arm", "sim", "--contract", "bridge_widowx")
    magma_ros(folder, "data", "import", "mcap", *bags, *meaning, "--output", "demos")
    dataset = EpisodeDataset(folder / "demos")
    assert 2 == len(dataset)
    for episode in map(dataset.read, range(2)):
        assert ("put carrot on plate", "12", True) == (episode.instruction, episode.operator, episode.success)
        assert episode.interventions.any()
        assert 0.02 < episode.actions[:, 0].sum() < 0.07
    magma_ros(folder, "data", "check", "demos")


def test_they_train_an_adapter_that_is_judged_and_promoted(folder):
    """A recipe of the project trains on them; sweep and ladder know the result, and `current` leads to it."""
    settings = ("data.0.episodes=demos", *SHORT)
    magma_ros(folder, "finetune", "adapt_my_robot", "--output", "run", "--set", *settings)
    log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    assert 4 == log[-1]["step"]
    task = ("--suite", "bridge", "--task", "carrot_on_plate")
    magma_ros(
        folder, "eval", *task, "--policy", "run/checkpoint", "--trials", "1", "--workers", "1", "--output", "sweep"
    )
    rungs = ("train_serve", "gate")
    said = magma_ros(folder, "ladder", "run/checkpoint", "--data", "demos", "--only", *rungs, status=1)
    assert "missing: overfit, open_loop, simulator" in said
    magma_ros(folder, "promote", "run/checkpoint", "--to", "robot", "--waive", "overfit", "open_loop", "simulator")
    promoted = (folder / "robot" / "current").resolve()
    assert (folder / "run" / "checkpoint" / "model.safetensors").read_bytes() == (
        promoted / "model.safetensors"
    ).read_bytes()


def test_the_running_node_acts_with_the_new_policy(folder, peer):
    """The service answers once `current` acts in the place of the shipped checkpoint, and its actions come."""
    node = ("-m", "magma_ros.ros.policy_node")
    peer.start("policy_node", *node, arm="sim", checkpoint="magma-tiny", instruction="put carrot on plate")
    commands, statuses = peer.listen(interface.POLICY_ACTION), peer.listen(interface.STATUS)
    peer.film(rate_hz=10.0, size_px=128)
    peer.wait(lambda: statuses, timeout_s=60, what="a status")
    peer.make_active()
    peer.wait(lambda: commands, timeout_s=60, what="an action of the shipped policy")
    current: Path = folder / "robot" / "current"
    told = peer.call(SwapPolicy, interface.SWAP_POLICY.name, checkpoint=str(current), timeout_s=100)
    assert told.accepted, told.message
    peer.wait(lambda: statuses[-1].checkpoint == current.resolve().name, what="the new name")
    before = len(commands)
    peer.wait(lambda: len(commands) >= before + 3, timeout_s=30, what="actions of the new policy")
    assert PolicyStatus.ACTING == statuses[-1].state
