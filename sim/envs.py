"""Environments by protocol: the one place that knows which simulator a suite runs in."""

from __future__ import annotations

from magma_ros.errors import EnvError
from magma_ros.sim.env import RecordableEnv
from magma_ros.sim.suites import Suite, Task


def check_simulator(suite: Suite, *, render: bool) -> None:
    """Refuse a run whose results could not be compared with others'; LIBERO takes ten seconds with `render`, else one.

    Raises:
        EnvError: other versions, files or, with `render`, pictures than those that results are published for.
    """
    if suite.simulator == "libero":
        from magma_ros.sim.libero import guard  # noqa: PLC0415 - who never runs LIBERO need not read its tables

        guard.check_libero(render=render)


def make_env(suite: Suite, task: Task, *, render: bool = True, fast: bool = False) -> RecordableEnv:
    """A new environment for `task`; without `render` it shows no pictures and is several times faster.

    With `fast`, LIBERO's pictures are drawn for collecting demonstrations, not results; Bridge's are always the same.

    Raises:
        EnvError: the environment does not follow the protocol of the suite, or what it needs is not installed.
    """
    env = _open(suite, task, render=render, fast=fast)
    asked = (task.instruction, suite.control_rate_hz)
    offered = (env.instruction, env.contract.control_rate_hz)
    if asked != offered:
        env.close()
        raise EnvError(f"{suite.name}/{task.name}: the protocol says {asked}, the environment {offered}")
    return env


def _open(suite: Suite, task: Task, *, render: bool, fast: bool) -> RecordableEnv:
    if suite.simulator == "libero":
        from magma_ros.sim.libero.env import LiberoEnv  # noqa: PLC0415 - needs MuJoCo, and LIBERO when it is made

        return LiberoEnv(suite.name, task.name, render=render, fast=fast)
    from magma_ros.sim.bridge.env import BridgeEnv  # noqa: PLC0415 - needs MuJoCo, which np users may lack

    return BridgeEnv(task.name, render=render, look=suite.look)
