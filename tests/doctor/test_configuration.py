"""Checks of the arm's file and the checkpoint, each provoked to fail."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from magma_ros import arms
from magma_ros.checkpoint import save_checkpoint
from magma_ros.doctor import configuration
from magma_ros.doctor.finding import Verdict
from magma_ros.inspection import facts
from magma_ros.load_options import LoadOptions
from magma_ros.pipeline import Pipeline
from magma_ros.shared_files import shared_folders
from tests.model.random_checkpoints import random_model, write_random_checkpoint

OPTIONS = LoadOptions()
TINY = {"cpu": 1000}
"""A device and its bytes."""


def test_an_arm_with_unverified_numbers_warns_and_names_them():
    """Nothing of the ur5e was tried on the robot, and the line says which groups."""
    arm, found = configuration.arm_file("ur5e")
    assert "ur5e" == arm.name
    assert found.verdict is Verdict.WARN
    assert "frames, workspace, motion" in found.found


def test_a_faulty_arm_file_fails_with_every_fault(tmp_path):
    """A file with two faults gives both, and no arm."""
    data = arms.load("ur5e").to_dict()
    data["command_rate_hz"], data["frames"]["base"] = -1.0, ""
    path = tmp_path / "arm.yaml"
    path.write_text(yaml.safe_dump(data))
    arm, found = configuration.arm_file(str(path))
    assert arm is None
    assert found.verdict is Verdict.FAIL
    assert "2 faults" in found.found


def test_a_verified_arm_passes(tmp_path):
    """When every source says so the line is green."""
    data = arms.load("ur5e").to_dict()
    for source in data["sources"].values():
        source["verified"] = True
    path = tmp_path / "arm.yaml"
    path.write_text(yaml.safe_dump(data))
    assert configuration.arm_file(str(path))[1].verdict is Verdict.OK


def test_what_an_arm_needs_and_lacks_is_named():
    """The ur5e needs tf, Servo's service and the gripper's action; where they are not installed each fails."""

    def refuse(name):
        raise ImportError(f"No module named {name!r}")

    arm = arms.load("ur5e")
    lacking = list(configuration.arm_needs(arm, refuse))
    assert ["tf2_msgs.msg", "moveit_msgs.srv", "control_msgs.action"] == [f.check.split()[-1] for f in lacking]
    assert {Verdict.FAIL} == {found.verdict for found in lacking}
    assert {Verdict.OK} == {found.verdict for found in configuration.arm_needs(arm)}
    assert [] == list(configuration.arm_needs(arms.load("sim"), refuse))


def test_the_shipped_checkpoint_passes_the_gate_and_fits_the_simulated_arm():
    """Magma-tiny may act, and its contract fits the arm that it was made for."""
    contract, findings = configuration.checkpoint("magma-tiny", OPTIONS)
    found = list(findings)
    assert ["checkpoint gate"] == [finding.check for finding in found]
    assert found[0].verdict is not Verdict.FAIL
    assert "checks passed" in found[0].found
    assert Verdict.OK is configuration.contract_fits(arms.load("sim"), contract).verdict
    misfit = configuration.contract_fits(arms.load("sim"), replace(contract, frame="world"))
    assert Verdict.FAIL is misfit.verdict
    assert "'world'" in misfit.found
    blind = configuration.contract_fits(
        arms.load("sim"), replace(contract, cameras=(replace(contract.cameras[0], name="wrist"),))
    )
    assert "expected cameras ['wrist'], available ['image']" == blind.found


def one(source, options=OPTIONS):
    contract, findings = configuration.checkpoint(str(source), options)
    assert contract is None
    (found,) = findings
    assert found.verdict is Verdict.FAIL
    return found


def test_a_checkpoint_that_is_not_there_fails():
    """A name that nobody knows is refused with what there is."""
    assert "magma-tiny" in one("magma-huge").found


def test_a_broken_checkpoint_folder_fails_with_its_faults(tmp_path):
    """A folder without its weights is refused before anything is loaded."""
    folder = write_random_checkpoint(tmp_path)
    (folder / "model.safetensors").unlink()
    assert "safetensors" in one(folder).found


def test_many_faults_are_counted(tmp_path, monkeypatch):
    """Five are listed, and how many there are beside them."""
    folder = write_random_checkpoint(tmp_path)
    faults = [f"fault {number}" for number in range(7)]
    found = replace(facts.inspect(folder), faults=faults)
    monkeypatch.setattr(facts, "inspect", lambda *_, **__: found)
    assert [*faults[:5], "and 2 more"] == one(folder).found.splitlines()


def test_a_checkpoint_that_was_changed_fails(tmp_path):
    """One changed number in the statistics is noticed by the manifest's hash."""
    folder = tmp_path / "changed"
    source = shared_folders("checkpoints")
    shutil.copytree(next(path for path in source if path.is_dir()) / "magma-tiny", folder)
    changed = next(path for path in folder.glob("*.json") if path.name not in ("config.json", "magma_ros.json"))
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "changed": 1}))
    assert changed.name in one(folder).found


def test_a_checkpoint_that_may_not_act_fails_the_gate(tmp_path):
    """An intact folder whose network is blind, hashes and golden output included, is refused by the gate alone."""
    model = random_model(tmp_path)
    for layer in (model.network.projector.proj[0], model.network.projector.proj[2]):
        torch.nn.init.zeros_(layer.weight)
    save_checkpoint(tmp_path, network=model.network, pipeline=Pipeline.load(tmp_path), training={}, dtype="float32")
    found = one(tmp_path)
    assert "checkpoint gate" == found.check
    assert "the picture does not reach the network" in found.found


def test_a_device_that_is_not_there_fails():
    """A GPU that this machine has not is named, with what it has."""
    found = one("magma-tiny", LoadOptions(device="cuda:7"))
    assert "'cuda:7'" in found.found
    assert "'cpu'" in found.cure


@pytest.mark.parametrize(
    "options",
    [
        LoadOptions(),
        LoadOptions(dtype="float16"),
        LoadOptions(quantization="int8"),
        LoadOptions(dtype="float16", quantization="int8"),
    ],
)
def test_a_device_that_is_too_small_is_told_in_every_form(tmp_path, monkeypatch, options):
    """A kilobyte takes no network, whatever the number type and the quantization."""
    plan = facts.plan_memory
    monkeypatch.setattr(facts, "plan_memory", lambda *network, **known: plan(*network, **known | {"devices": TINY}))
    assert "does not fit on cpu" in one(write_random_checkpoint(tmp_path), options).found


def test_a_server_that_nobody_runs_fails():
    """An address without a server is refused at once."""
    assert "policy server" == one("ws://127.0.0.1:9").check


@pytest.mark.parametrize("name", arms.available())
def test_every_arm_of_the_project_is_examined(name):
    """No shipped arm makes a check raise."""
    arm, found = configuration.arm_file(name)
    assert arm is not None
    assert found.verdict in (Verdict.OK, Verdict.WARN)
    assert all(Path(found.check).name for found in configuration.arm_needs(arm))
