"""`magma-ros doctor`: every check in turn, one report, an exit status that scripts can use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from magma_ros import exit_codes
from magma_ros.arm import Arm
from magma_ros.doctor import configuration, machine, report, ros_setup
from magma_ros.doctor.finding import Finding, Verdict, fail
from magma_ros.doctor.options import Listening
from magma_ros.errors import ArmConfigError
from magma_ros.json_files import write_object
from magma_ros.load_options import LoadOptions

_WIDTH = 118
_NEEDED_TO_LISTEN = ("ROS", "middleware", "messages")


def examine(
    *,
    arm: str = "sim",
    checkpoint: str = "",
    options: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
    listening: Annotated[Listening, tyro.conf.arg(name="")] = Listening(),  # noqa: B008 - frozen
    graph: bool = True,
    json: Path | None = None,
) -> int:
    """Look at machine, ROS, arm, checkpoint and the running graph; say what is wrong and what to do about it.

    Args:
        arm: Name or file of the arm.
        checkpoint: Folder, name or hub id of a checkpoint, or ws:// address of a policy server; empty leaves it out.
        options: How the checkpoint is brought up.
        listening: Where on the graph, and for how long.
        graph: Listen to the graph at all.
        json: Write the findings here, too, for programs.

    Returns:
        0, or 1 when something failed.
    """
    findings = [*_machine_checks(), *_ros_checks()]
    has_ros = all(finding.verdict is not Verdict.FAIL for finding in findings if finding.check in _NEEDED_TO_LISTEN)
    loaded, finding = configuration.arm_file(arm)
    findings.append(finding)
    contract = None
    if checkpoint:
        contract, found = configuration.checkpoint(checkpoint, options)
        findings += found
    if loaded is not None:
        findings += configuration.arm_needs(loaded)
        if contract is not None:
            findings.append(configuration.contract_fits(loaded, contract))
        if graph and has_ros:
            findings += _graph_checks(loaded, listening, contract.control_rate_hz if contract else None)
    if json is not None:
        write_object(json, report.to_document(findings))
    report.show(findings, Console(width=_WIDTH, highlight=False))
    return exit_codes.OK if report.is_healthy(findings) else exit_codes.FAILED


def _machine_checks() -> Iterator[Finding]:
    yield machine.python_version()
    yield from machine.packages()
    yield machine.gpu()
    yield machine.mujoco_gl(os.environ.get("MUJOCO_GL", ""))
    yield machine.disk(Path.cwd())
    yield machine.shared_memory()


def _ros_checks() -> Iterator[Finding]:
    yield ros_setup.distribution()
    yield ros_setup.middleware()
    yield ros_setup.messages()
    yield ros_setup.transport_profile()
    yield ros_setup.malloc_settings()


def _graph_checks(arm: Arm, listening: Listening, control_rate_hz: float | None) -> Iterator[Finding]:
    from magma_ros.doctor.graph import check_graph  # noqa: PLC0415 - needs rclpy, which was just looked for
    from magma_ros.doctor.listening import listen  # noqa: PLC0415 - same

    try:
        heard = listen(arm, listening)
    except ArmConfigError as error:
        yield fail("graph", str(error), "correct the option or the arm's file, or install what is missing")
        return
    yield from check_graph(heard, arm, control_rate_hz=control_rate_hz)
