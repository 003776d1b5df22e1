"""Checks of what is configured: the arm's file, what it needs installed, the checkpoint, and whether they fit."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from magma_ros import arms
from magma_ros.arm import (
    Arm,
    GripperCommandAction,
    JointTrajectoryOutput,
    ParallelGripperCommandAction,
    PoseFromTf,
    PoseOutput,
    TwistOutput,
)
from magma_ros.contract import ActionContract
from magma_ros.doctor.finding import Finding, fail, ok, warn
from magma_ros.errors import ArmConfigError, ContractError, MagmaRosError
from magma_ros.inspection.room import form_of
from magma_ros.load_options import LoadOptions
from magma_ros.policies import is_address, open_policy

_MOST_FAULTS = 5


def arm_file(name: str) -> tuple[Arm | None, Finding]:
    """The arm's file says what it must; which of its numbers nobody has verified yet."""
    try:
        arm = arms.load(name)
    except ArmConfigError as error:
        return None, fail("arm file", str(error), "correct these lines; docs/arms.md has every key")
    unverified = arm.unverified()
    if unverified:
        cure = "compare them with your robot and set `verified: true`; `magma-ros wiggle` checks frames and signs"
        return arm, warn("arm file", f"{arm.name} is valid; not verified: {', '.join(unverified)}", cure)
    return arm, ok("arm file", f"{arm.name} is valid and verified")


def arm_needs(arm: Arm, load: Callable[[str], Any] = importlib.import_module) -> Iterator[Finding]:
    """What the arm's way of being measured and commanded needs is installed."""
    for need, module, install in _needs(arm):
        try:
            load(module)
        except ImportError as error:
            yield fail(f"arm needs {module}", f"{need}: {error}", install)
        else:
            yield ok(f"arm needs {module}", f"{need}: installed")


def _needs(arm: Arm) -> Iterator[tuple[str, str, str]]:
    if isinstance(arm.topics.ee_pose, PoseFromTf):
        yield "topics.ee_pose.kind tf", "tf2_msgs.msg", "apt install ros-jazzy-tf2-msgs, or name a pose topic"
    if isinstance(arm.output, JointTrajectoryOutput):
        yield "output.kind joint_trajectory", "pinocchio", "pip install pin"
    if isinstance(arm.output, TwistOutput | PoseOutput) and arm.output.command_type_service:
        yield "output.command_type_service", "moveit_msgs.srv", "apt install ros-jazzy-moveit-msgs"
    if isinstance(arm.gripper.command, GripperCommandAction | ParallelGripperCommandAction):
        yield f"gripper {arm.gripper.command.kind}", "control_msgs.action", "apt install ros-jazzy-control-msgs"


def checkpoint(source: str, options: LoadOptions) -> tuple[ActionContract | None, Iterator[Finding]]:
    """The checkpoint is whole, fits into the device's memory and passes the activation gate; a server answers."""
    if is_address(source):
        return _server(source, options)
    try:
        faults, memory = _inspected(source, options)
    except ImportError as error:
        return None, iter([fail("checkpoint", f"cannot be read: {error}", "install what the packages checks name")])
    except MagmaRosError as error:
        return None, iter([fail("checkpoint", str(error), "name a folder, one of ours, or a hub id")])
    if faults or memory:
        num_more = len(faults) - _MOST_FAULTS
        listed = "\n".join([*faults[:_MOST_FAULTS], *([f"and {num_more} more"] if num_more > 0 else [])])
        cure = f"`magma-ros inspect {source} --verify` lists everything"
        return None, iter([fail("checkpoint", listed, cure) if faults else memory[0]])
    return _gate(source, options)


def contract_fits(arm: Arm, contract: ActionContract) -> Finding:
    """The policy's numbers are in the arm's frame, and the arm has the cameras that the policy looks through."""
    missing = {camera.name for camera in contract.cameras} - {camera.name for camera in arm.topics.cameras}
    if missing:
        there = [camera.name for camera in arm.topics.cameras]
        return fail("contract", f"expected cameras {sorted(missing)}, available {there}", "name them in the arm's file")
    try:
        limits = arms.safety_limits(arm, contract)
    except ContractError as error:
        return fail("contract", str(error), "take the arm, or the embodiment, that this checkpoint was made for")
    step_mm = 1000 * limits.max_translation_step_m
    return ok("contract", f"{contract.embodiment} at {contract.control_rate_hz:g} Hz, steps up to {step_mm:.0f} mm")


def _inspected(source: str, options: LoadOptions) -> tuple[list[str], list[Finding]]:
    """Faults of the checkpoint's files, and the finding that the device is not there or too small, if so."""
    from magma_ros.inspection.facts import inspect  # noqa: PLC0415 - torch takes seconds

    found = inspect(source, embodiment=options.embodiment, verify=True)
    form = form_of(options)
    device = "cuda:0" if options.device == "cuda" else options.device
    if device not in found.devices:
        cure = f"take one of {sorted(found.devices)} with --device"
        return found.faults, [fail("checkpoint", f"device: expected one that is here, got {device!r}", cure)]
    for need in found.memory:
        if need.form == form and need.fits.get(device) is False:
            cure = "take a smaller --dtype or --quantization: `magma-ros inspect` shows what fits"
            sizes = f"{need.total_bytes / 1e9:.1f} GB of {found.devices[device] / 1e9:.1f} GB"
            return found.faults, [fail("checkpoint", f"{form} does not fit on {device}: {sizes}", cure)]
    return found.faults, []


def _gate(source: str, options: LoadOptions) -> tuple[ActionContract | None, Iterator[Finding]]:
    from magma_ros.checkpoint import load_activated  # noqa: PLC0415 - torch takes seconds

    try:
        policy, report = load_activated(source, options)
    except MagmaRosError as error:
        cure = "the lines above say where to look; docs/adr/0007-activation-gate.md"
        return None, iter([fail("checkpoint gate", str(error), cure)])
    policy.close()
    found = f"{source}: {len(report.checks)} checks passed in {report.elapsed_s:.1f} s on {report.runtime['device']}"
    if report.warnings:
        cure = "no reason to refuse; read docs/adr/0007-activation-gate.md"
        return policy.contract, iter([warn("checkpoint gate", "\n".join([found, *report.warnings]), cure)])
    return policy.contract, iter([ok("checkpoint gate", found)])


def _server(address: str, options: LoadOptions) -> tuple[ActionContract | None, Iterator[Finding]]:
    try:
        policy = open_policy(address, options)
    except MagmaRosError as error:
        cure = "start `magma-ros serve` there; check address, MAGMA_ROS_TOKEN and firewall"
        return None, iter([fail("policy server", str(error), cure)])
    policy.close()
    return policy.contract, iter([ok("policy server", f"{address} answers: {policy.contract.embodiment}")])
