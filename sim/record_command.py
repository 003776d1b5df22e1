"""What `magma-ros record` does: the simulated arm, teleoperated by a script through the whole graph, into bags."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro

from magma_ros import exit_codes, teleop_script
from magma_ros.errors import EnvError
from magma_ros.sim.processes import Child, enter_graph, parameter_arguments
from magma_ros.sim.suites import BRIDGE, FIRST_DEMO_SEED
from magma_ros.wording import counted

_POLL_S = 0.1


def record_episodes(
    script: Annotated[Path, tyro.conf.Positional],
    *,
    output: Path,
    task: str = "carrot_on_plate",
    seed: int = FIRST_DEMO_SEED,
    episodes: int = 1,
    instruction: str = "",
    operator: str = "script",
    timeout_s: float = 300.0,
) -> int:
    """Teleoperate the simulated arm by a script and record episodes, each in a bag of its own.

    The same nodes as with a person and a real arm: arm, motion node, recorder, teleoperation.

    Args:
        script: YAML file of keys, twists and orders (docs/recording.md).
        output: Folder of the bags; episodes in it are kept, and numbered on.
        task: What lies on the table.
        seed: Initial state of the first episode, at least 1000000 (those below are for evaluation); the others follow.
        episodes: How many, at least 1.
        instruction: What the episodes show; by default the task's.
        operator: Who moves the arm.
        timeout_s: Longest duration of one episode, with the start of its processes [s].

    Returns:
        0, or 1 when an episode was not recorded; the last lines of the processes say why.
    """
    if episodes < 1 or seed < FIRST_DEMO_SEED:
        raise EnvError(
            f"expected at least 1 episode and a seed of at least {FIRST_DEMO_SEED}, got {episodes} and {seed}"
        )
    told = {"script": script, "instruction": instruction or BRIDGE.task(task).instruction, "operator": operator}
    teleop_script.load(script)
    enter_graph()
    with tempfile.TemporaryDirectory(prefix="magma_ros_record_") as logs:
        for current in range(seed, seed + episodes):
            nodes: dict[str, dict[str, object]] = {
                "magma_ros.sim.arm_node": {"task": task, "seed": current},
                "magma_ros.ros.motion_node": {"arm": "sim", "autostart": True},
                "magma_ros.ros.recorder_node": {"arm": "sim", "output": output.absolute(), "episodes": True},
                "magma_ros.ros.teleop_node": {"arm": "sim", "device": "script", **told},
            }
            with _running(nodes, Path(logs) / str(current)) as children:
                *others, teleop = children
                status = _wait(teleop, others, timeout_s=timeout_s)
            if status != 0:
                print(f"seed {current}: not recorded\n{teleop.last_lines()}", file=sys.stderr)
                return exit_codes.FAILED
            print(f"seed {current}: recorded", flush=True)
    print(f"{counted(episodes, 'episode')}: {output}")
    return exit_codes.OK


@contextlib.contextmanager
def _running(nodes: dict[str, dict[str, object]], logs: Path) -> Iterator[list[Child]]:
    """A process for each node; they end in the reverse order: the recorder closes its bag before the arm goes."""
    children: list[Child] = []
    try:
        for module, parameters in nodes.items():
            name = module.rpartition(".")[2]
            command = [sys.executable, "-m", module, "--ros-args", *parameter_arguments(parameters)]
            children.append(Child.start(name, command, log=logs / f"{name}.log"))
        yield children
    finally:
        for child in reversed(children):
            child.stop()


def _wait(teleop: Child, others: list[Child], *, timeout_s: float) -> int:
    """How the script's process ended.

    Raises:
        EnvError: another process ended first, or the time is over.
    """
    end_s = time.monotonic() + timeout_s
    while (status := teleop.process.poll()) is None:
        for child in others:
            child.require_alive()
        if time.monotonic() > end_s:
            raise EnvError(f"expected the script to end within {timeout_s} s:\n{teleop.last_lines()}")
        time.sleep(_POLL_S)
    return status
