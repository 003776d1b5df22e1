"""Does the trace divergence stay quiet while an arm moves as told, and warn when it is held?

`python benchmarks/trace_watch.py CHECKPOINT --output FILE.json` runs the graph (simulated arm, motion and policy node)
twice: with an arm that makes every command, and with one that is held from some step on. Both cameras have noise of one
grey level, since one that repeats its pixels is refused as frozen. Heard is what `/diagnostics` says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from magma_ros.ros import interface
from magma_ros.ros.spin import run
from magma_ros.ros.trial_client import TrialClient
from magma_ros.sim.arm_node import ArmNode, World, bridge_world
from magma_ros.sim.processes import Child, enter_graph, parameter_arguments
from magma_ros.sim.provenance import provenance
from magma_ros.sim.suites import BRIDGE
from magma_ros.sources import find
from magma_ros.types import Action, Observation

_HOLD_AFTER = "TRACE_WATCH_HOLD_AFTER"


class StiffEnv:
    """An environment whose arm does not move after so many steps, seen by a camera with noise."""

    def __init__(self, env: Any, *, hold_after: int) -> None:
        self._env, self._hold_after = env, hold_after
        self._noise = np.random.default_rng(0)
        self._num_steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, *, seed: int) -> tuple[Observation, dict[str, Any]]:
        """As the environment; the arm moves again."""
        self._num_steps = 0
        observation, info = self._env.reset(seed=seed)
        return self._noisy(observation), info

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """As the environment; a held arm leaves out its motion."""
        self._num_steps += 1
        if self._num_steps > self._hold_after:
            action = Action(np.zeros(3), np.zeros(3), action.gripper_opening, action.frame)
        observation, *others = self._env.step(action)
        return (self._noisy(observation), *others)

    def _noisy(self, observation: Observation) -> Observation:
        noisy = {
            name: np.clip(image.astype(np.int16) + self._noise.integers(-1, 2, image.shape), 0, 255).astype(np.uint8)
            for name, image in observation.images.items()
        }
        return replace(observation, images=noisy)


def stiff_world(task: str, image_size_px: int) -> World:
    """The WidowX tabletop with a `StiffEnv`."""
    world = bridge_world(task, image_size_px)
    return replace(world, env=StiffEnv(world.env, hold_after=int(os.environ[_HOLD_AFTER])))


class Listener:
    """What the diagnostics say of the trace divergence: whether it warned and how far it was, of each comparison.

    Attributes:
        compared: (warned, divergence [px]) of each comparison.
        said: Every message, without its numbers.
    """

    def __init__(self) -> None:
        self.compared: list[tuple[bool, float]] = []
        self.said: set[str] = set()
        self._num_compared = 0
        self._node = Node("trace_watch_listener")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        interface.DIAGNOSTICS.subscribe(self._node, self._hear)

    def listen(self) -> None:
        """Hear what has come."""
        self._executor.spin_once(timeout_sec=0.0)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if not status.name.endswith(": trace divergence"):
                continue
            self.said.add("".join(letter for letter in status.message if not letter.isdigit()))
            values = {value.key: value.value for value in status.values}
            number = int(values.get("traces compared", 0))
            if number not in (0, self._num_compared):
                self.compared.append((status.level == DiagnosticStatus.WARN, float(values["trace divergence [px]"])))
            self._num_compared = number


def measured(options: argparse.Namespace, *, hold_after: int) -> dict[str, Any]:
    """Comparisons of all trials with an arm that is held after so many steps."""
    os.environ[_HOLD_AFTER] = str(hold_after)
    parameters: dict[str, dict[str, object]] = {
        "motion_node": {"arm": "sim", "autostart": True},
        "policy_node": {"arm": "sim", "autostart": True, "checkpoint": find(options.checkpoint)},
    }
    modules = {name: ["-m", f"magma_ros.ros.{name}"] for name in parameters}
    parameters["arm"], modules["arm"] = {"task": options.task}, [__file__, "arm"]
    task = BRIDGE.task(options.task)
    with ExitStack() as stack:
        children = []
        for name, module in modules.items():
            command = [sys.executable, *module, "--ros-args", *parameter_arguments(parameters[name])]
            children.append(Child.start(name, command, log=Path(f"outputs/logs/trace_watch_{name}.log")))
            stack.callback(children[-1].stop)
        listener = Listener()
        stack.callback(listener.close)

        def check() -> None:
            listener.listen()
            for child in children:
                child.require_alive()

        client = TrialClient(check=check, with_frames=False)
        stack.callback(client.close)
        client.wait_until_ready(timeout_s=90.0)
        trials = [
            client.run_trial(
                seed, task.instruction, step_budget=task.step_budget, timeout_s=120.0, on_step=lambda _: None
            )
            for seed in range(options.seed, options.seed + options.trials)
        ]
    px = [divergence_px for _, divergence_px in listener.compared]
    return {
        "successes": sum(trial.success for trial in trials),
        "compared": len(px),
        "warned": sum(warned for warned, _ in listener.compared),
        "[px]": px,
        "median [px]": float(np.median(px)) if px else None,
        "p90 [px]": float(np.quantile(px, 0.9)) if px else None,
        "said": sorted(listener.said),
    }


def main() -> None:
    """Measure, or be the arm."""
    if sys.argv[1:2] == ["arm"]:
        sys.exit(run(partial(ArmNode, make_world=stiff_world)))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--task", default="carrot_on_plate")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seed", type=int, default=24)
    parser.add_argument("--hold-after", type=int, default=15, help="steps of a trial that a held arm makes")
    parser.add_argument("--output", type=Path, required=True, help="file of the report")
    options = parser.parse_args()
    enter_graph()
    rclpy.init()
    held = measured(options, hold_after=options.hold_after)
    moving = measured(options, hold_after=10**9)
    rclpy.shutdown()
    report = {"moves as told": moving, f"held after step {options.hold_after}": held, **provenance(device="cpu")}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
