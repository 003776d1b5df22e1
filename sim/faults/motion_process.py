"""The real motion node, with a timer in it that raises when its switch says so."""

from __future__ import annotations

import sys
from pathlib import Path

from magma_ros.ros.motion_node import MotionNode
from magma_ros.ros.spin import run
from magma_ros.sim.faults.settings import RunFiles
from magma_ros.sim.faults.switch import Switch

_POLL_S = 0.005


def make_node() -> MotionNode:
    """The node; the switch is beside its arm's file."""
    node = MotionNode()
    switch = Switch(RunFiles(Path(node.get_parameter("arm").value).parent).switch("motion"))

    def poll() -> None:
        fault = switch.ordered
        if fault == "exception":
            switch.begin(fault)
            raise RuntimeError("told to crash")

    node.create_timer(_POLL_S, poll)
    return node


def main() -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    return run(make_node)


if __name__ == "__main__":
    sys.exit(main())
