"""Sends goals as fast as it can: `goals_process.py COUNT SWITCH`; status 0 when each was answered and ended."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import rclpy
from rclpy.action.client import ActionClient
from rclpy.node import Node

from magma_ros.action import ExecuteInstruction
from magma_ros.ros import interface
from magma_ros.sim.faults.switch import Switch

_LONGEST_S = 25.0


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
    switch.begin()
    answers = [
        client.send_goal_async(ExecuteInstruction.Goal(instruction=f"goal {number}", step_budget=5))
        for number in range(count)
    ]
    while time.monotonic() < end_s and not all(answer.done() for answer in answers):
        rclpy.spin_once(node, timeout_sec=0.1)
    num_answered = sum(answer.done() for answer in answers)
    num_accepted = sum(answer.done() and answer.result().accepted for answer in answers)
    print(f"{num_answered} of {count} goals were answered, {num_accepted} accepted")
    return 0 if num_answered == count else 1


if __name__ == "__main__":
    sys.exit(main())
