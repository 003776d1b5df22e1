"""A disk that is full while the recorder writes to it: a small file system that only the recorder's process sees."""

from __future__ import annotations

import sys
import time

from magma_ros.sim.faults.graph import Graph
from magma_ros.sim.processes import Child, parameter_arguments

SIZE_MIB = 37
_MOUNT = 'mount -t tmpfs -o size={size}m none "$0" && exec "$@"'


def fill(graph: Graph) -> float:
    """Start the recorder on the small disk, and wait until it says that this is full; that instant [s]."""
    disk = graph.files.folder / "disk"
    disk.mkdir(exist_ok=True)
    parameters = {"arm": graph.files.arm, "output": disk / "recording", "min_free_gib": 0.0}
    record = [sys.executable, "-m", "magma_ros.ros.recorder_node", "--ros-args", *parameter_arguments(parameters)]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT.format(size=SIZE_MIB), str(disk)]
    log = graph.files.log("recorder", 0)
    graph.helpers["recorder"] = Child.start("recorder", [*command, *record], log=log)
    graph.wait(lambda: _noticed(graph), timeout_s=20.0, what="the recorder notices the full disk", required=False)
    return time.monotonic()


def clear(graph: Graph) -> None:
    """End the recorder."""
    graph.helpers.pop("recorder").stop(grace_s=3.0)


def problems(graph: Graph, _onset_s: float) -> list[str]:
    """The recorder said nothing of it, or died of it."""
    recorder = graph.helpers["recorder"]
    if not _noticed(graph):
        return [f"the recorder did not notice: {recorder.last_lines(3)}"]
    status = recorder.process.poll()
    return [] if status is None else [f"the recorder died with status {status}: {recorder.last_lines(3)}"]


def _noticed(graph: Graph) -> bool:
    recorder = graph.helpers["recorder"]
    return "disk is full" in recorder.last_lines()
