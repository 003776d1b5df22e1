"""The real policy node around the stand-in policy; its checkpoint is a folder with a switch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from magma_ros import arms
from magma_ros.load_options import LoadOptions
from magma_ros.policy import Policy
from magma_ros.ros.policy_node import PolicyNode
from magma_ros.ros.spin import run
from magma_ros.sim.faults.policy import StandInPolicy
from magma_ros.sim.faults.settings import RunFiles
from magma_ros.sim.faults.switch import Switch


def load(name: str, _options: LoadOptions, _deadline_s: float) -> Policy:
    """The stand-in of the run whose checkpoint folder is `name`; it circles around the arm's home."""
    files = RunFiles(Path(name).parent)
    return StandInPolicy(Switch(files.switch("policy")), centre_m=np.array(arms.load(files.arm).home.ee_position_m))


def main() -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    return run(lambda: PolicyNode(load=load))


if __name__ == "__main__":
    sys.exit(main())
