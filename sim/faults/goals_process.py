"""Sends goals as fast as it can: `goals_process.py COUNT SWITCH`; status 0 when a goal after the storm is answered.

A service keeps ten requests, so that most goals of a storm are lost before they reach anybody; that is DDS's affair.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import rclpy
from rclpy.action.client import ActionClient
from rclpy.node import Node

from magma_ros.action import ExecuteInstruction
from magma_ros.ros import interface
from magma_ros.sim.faults.switch import Switch

_LONGEST_S = 25.0
_CALM_S = 1.0


def main() -> int:
    """Storm, and count the answers."""
    count, switch = int(sys.argv[1]), Switch(Path(sys.argv[2]))
    rclpy.init()
    node = Node("goal_storm")
    client = ActionClient(node, ExecuteInstruction, interface.EXECUTE.name)
    if not client.wait_for_server(timeout_sec=10.0):
        print("no action server")
        return 1
    end_s = time.monotonic() + _LONGEST_S
    while not switch.ordered:
        rclpy.spin_once(node, timeout_sec=0.01)
    switch.begin(switch.ordered)
    answers = []
    for number in range(count):
        answers.append(_send(client, f"goal {number}"))
        rclpy.spin_once(node, timeout_sec=0.0)
    _spin(node, _CALM_S)
    last = _send(client, "the goal after the storm")
    while not last.done() and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    print(f"{sum(answer.done() for answer in answers)} of {count} goals were answered, the last one: {last.done()}")
    return 0 if last.done() else 1


def _spin(node: Node, duration_s: float) -> None:
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)


def _send(client: ActionClient, instruction: str) -> Any:
    return client.send_goal_async(ExecuteInstruction.Goal(instruction=instruction, step_budget=5))


if __name__ == "__main__":
    sys.exit(main())
