"""One graph of stand-ins and the nodes under test, each in a process of its own, with a witness beside them."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from magma_ros import arms
from magma_ros.errors import EnvError
from magma_ros.msg import MotionStatus, PolicyStatus
from magma_ros.sim.faults import loss
from magma_ros.sim.faults.settings import INSTRUCTION, RunFiles, pose_topic
from magma_ros.sim.faults.state_process import TRUE_PREFIX
from magma_ros.sim.faults.switch import Switch
from magma_ros.sim.faults.witness import Witness
from magma_ros.sim.processes import Child, fresh_id, graph_environment, parameter_arguments

READY_S = 40.0
"""Longest wait for a graph to move the arm [s]; on two busy cores its processes take some seconds to start."""

_MOVING_S = 0.3
_POLL_S = 0.005
_HOST = "127.0.0.1"


def environment() -> dict[str, str]:
    """What this process and its children need before the first graph: UDP on loopback alone, and a domain of its own.

    A domain that the user chose may have a real arm in it, or another run of the suite.
    """
    return graph_environment() | {
        "ROS_DOMAIN_ID": str(fresh_id()),
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(Path(__file__).with_name("udp_on_loopback.xml")),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
    }


class GraphKind(Enum):
    """Ways to set a graph up."""

    PLAIN = "plain"
    SIM_TIME = "sim_time"
    SERVED = "served"
    TF = "tf"
    TELEOP = "teleop"
    """As PLAIN, and a person has the arm."""
    LOSSY = "lossy"


NODES: Mapping[str, str] = MappingProxyType(
    {
        "camera": "magma_ros.sim.faults.camera_process",
        "state": "magma_ros.sim.faults.state_process",
        "driver": "magma_ros.sim.driver_node",
        "motion": "magma_ros.ros.motion_node",
        "policy": "magma_ros.sim.faults.policy_process",
    }
)
"""Module of each process."""

TELEOP_DEVICE = "magma_ros.sim.faults.teleop_process"


class Graph:
    """Everything that a fault can be injected into.

    Attributes:
        kind: How it is set up.
        arm: What the arm's file says.
        witness: Notes what is commanded.
        children: The processes by name; a killed one stays until it is restarted.
        helpers: Processes that one fault needs.
    """

    def __init__(self, kind: GraphKind, folder: Path, *, motion: Sequence[str] = ("-m", NODES["motion"])) -> None:
        """Start every process; `motion` is what Python runs as the motion node.

        Raises:
            EnvError: a process cannot be started.
        """
        self.kind = kind
        self.files = RunFiles(folder)
        self.files.write(pose_from_tf=kind is GraphKind.TF)
        self.arm = arms.load(self.files.arm)
        self._switches = {name: Switch(self.files.switch(name)) for name in (*NODES, "teleop", "goals")}
        self._environment = loss.environment(folder) if kind is GraphKind.LOSSY else {}
        self._port = _free_port()
        self._modules = {name: ["-m", module] for name, module in NODES.items()} | {"motion": list(motion)}
        self._modules["teleop"] = ["-m", TELEOP_DEVICE]
        if kind is GraphKind.SERVED:
            self._modules["policy"] = ["-m", "magma_ros.ros.policy_node"]
        self._num_started = 0
        self.children: dict[str, Child] = {}
        self.helpers: dict[str, Child] = {}
        self.witness = Witness(self.arm, simulate_time=kind is GraphKind.SIM_TIME)
        try:
            if kind is GraphKind.SERVED:
                self.start_server()
            for name in (*NODES, "teleop") if kind is GraphKind.TELEOP else NODES:
                self.start(name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every process, the motion node last but the driver, and leave the graph."""
        everybody = {**self.helpers, **self.children}
        for name in ("policy", "motion", *everybody):
            child = everybody.pop(name, None)
            if child is not None:
                child.process.send_signal(signal.SIGCONT)
                child.stop(grace_s=3.0)
        self.witness.close()

    # Processes

    def start(self, name: str, *, module: str = "") -> None:
        """Start one process of `NODES`, or `module` in its place."""
        arguments = ["-m", module] if module else self._modules[name]
        self.children[name] = self.start_process(name, [*arguments, "--ros-args", *self._ros_arguments(name)])

    def start_process(self, name: str, arguments: Sequence[str]) -> Child:
        """Run Python with `arguments`; the caller keeps the child."""
        self._num_started += 1
        log = self.files.log(name, self._num_started)
        return Child.start(name, [sys.executable, *arguments], log=log, environment=self._environment)

    def start_server(self) -> None:
        """Start the policy server, and wait until it listens."""
        module, checkpoint = "magma_ros.sim.faults.server_process", str(self.files.checkpoint)
        self.children["server"] = self.start_process("server", ["-m", module, checkpoint, str(self._port)])
        self.wait(self._server_listens, timeout_s=READY_S, what="the policy server listens")

    def signal(self, name: str, number: signal.Signals) -> float:
        """Send a signal to a process; the instant just before [s]."""
        onset_s = time.monotonic()
        self.children[name].process.send_signal(number)
        return onset_s

    def ended(self) -> list[str]:
        """A sentence for each process that has ended."""
        return [
            f"{name} ended with {c.process.poll()}" for name, c in self.children.items() if c.process.poll() is not None
        ]

    def exit_status(self, name: str, *, timeout_s: float = 5.0) -> int | None:
        """How a process ended; None when it still runs after `timeout_s`."""
        process = self.children[name].process
        self.wait(lambda: process.poll() is not None, timeout_s=timeout_s, what="", required=False)
        return process.poll()

    def restart(self, name: str) -> None:
        """Start a process anew, whether it has ended or not."""
        self.children[name].stop(grace_s=3.0)
        self._switches[name].order("")
        self.start(name)

    # Faults

    def order(self, name: str, fault: str) -> None:
        """Let the stand-in `name` be broken in this way; an empty one makes it whole."""
        self._switches[name].order(fault)

    def inject(self, name: str, fault: str) -> float:
        """The same, once the fault is there: the instant at which it began [s]."""
        self.order(name, fault)
        return self.wait_until_begun(name)

    def wait_until_begun(self, name: str, *, timeout_s: float = 2.0) -> float:
        """The instant at which the fault that was ordered began [s]."""
        return self._switches[name].wait_until_begun(timeout_s=timeout_s)

    def transition(self, node: str, transition: int) -> float:
        """Ask a node for a lifecycle transition; the instant just before the question [s].

        Raises:
            EnvError: it did not answer or refused.
        """
        onset_s = time.monotonic()
        answer = self.witness.call(ChangeState, f"{node}/change_state", transition=Transition(id=transition))
        if not answer.success:
            raise EnvError(f"{node}: expected the lifecycle transition {transition} to succeed, it was refused")
        return onset_s

    # States

    def make_moving(self, *, timeout_s: float = READY_S) -> None:
        """Lift a halt, give the instruction, and wait until the arm is told to move without a break.

        Raises:
            EnvError: it was not in time; the message carries the ends of the logs.
        """
        end_s = time.monotonic() + timeout_s
        while not self._moves(within_s=1.5):
            if self.ended() or time.monotonic() > end_s:
                raise EnvError(f"the arm was not told to move within {timeout_s:.0f} s: {self._state()}")
            with contextlib.suppress(EnvError):  # whoever got no answer asks again
                self._ask_to_move()

    def _ask_to_move(self) -> None:
        if self.witness.motion is not None and self.witness.motion.state == self.witness.motion.HALTED:
            self.witness.reset_halt()
        policy = self.witness.policy
        if policy is not None and policy.state != PolicyStatus.UNCONFIGURED and not policy.instruction:
            self.witness.instruct(INSTRUCTION)

    def make_rest(self) -> None:
        """Take the instruction away, and wait until the arm is told to rest."""
        self.witness.instruct("")
        self.wait(lambda: self.is_at_rest(for_s=0.2), timeout_s=5.0, what="the arm is told to rest")

    def is_at_rest(self, *, for_s: float) -> bool:
        """Only zero was commanded in the last `for_s`, and something was."""
        since_s = time.monotonic() - for_s
        recent = [sample for sample in self.witness.commands[-100:] if sample.t_s >= since_s]
        return bool(recent) and all(sample.is_zero for sample in recent)

    def wait(self, condition: Callable[[], bool], *, timeout_s: float, what: str, required: bool = True) -> None:
        """Until `condition` is true.

        Raises:
            EnvError: it is not after `timeout_s`, and `required`.
        """
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                if required:
                    raise EnvError(f"expected that {what} within {timeout_s} s: {self._state()}")
                return
            time.sleep(_POLL_S)

    def _moves(self, *, within_s: float) -> bool:
        def moves() -> bool:
            since_s = time.monotonic() - _MOVING_S
            recent = [sample for sample in self.witness.commands[-100:] if sample.t_s >= since_s]
            enough = 0.5 * _MOVING_S * self.arm.command_rate_hz
            return self._right_one_acts() and len(recent) >= enough and not any(sample.is_zero for sample in recent)

        self.wait(moves, timeout_s=within_s, what="", required=False)
        return moves()

    def _right_one_acts(self) -> bool:
        motion = self.witness.motion
        person_acts = motion is not None and motion.actor == MotionStatus.PERSON
        return person_acts == (self.kind is GraphKind.TELEOP)

    def _state(self) -> str:
        said = [f"{status.reason}: {status.detail}" for status in [self.witness.motion] if status is not None]
        said += [f"{status.stop_reason}: {status.detail}" for status in [self.witness.policy] if status is not None]
        ends = [f"--- {name}\n{child.last_lines(6)}" for name, child in self.children.items()]
        return "\n".join([" | ".join(said), *self.ended(), *ends])

    # How each process is started

    def _ros_arguments(self, name: str) -> list[str]:
        parameters: dict[str, Any] = {"arm": self.files.arm}
        remappings: dict[str, str] = {}
        if name in ("camera", "state", "teleop"):
            parameters = {"run_folder": self.files.folder}
        elif name == "driver":
            topics = filter(None, (self.arm.topics.joint_states, pose_topic(self.arm)))
            remappings = {topic: TRUE_PREFIX + topic for topic in topics} | {"/tf": f"/{TRUE_PREFIX}tf"}
            parameters["lag_s"] = 0.01
        elif name == "motion":
            parameters["autostart"] = True
        else:
            parameters |= {"autostart": True, "checkpoint": self._checkpoint(), "instruction": INSTRUCTION}
        parameters["use_sim_time"] = self.kind is GraphKind.SIM_TIME
        renamed = [part for old, new in remappings.items() for part in ("-r", f"{old}:={new}")]
        return parameter_arguments(parameters) + renamed

    def _checkpoint(self) -> str:
        return f"ws://{_HOST}:{self._port}" if self.kind is GraphKind.SERVED else str(self.files.checkpoint)

    def _server_listens(self) -> bool:
        self.children["server"].require_alive()
        with socket.socket() as probe:
            return probe.connect_ex((_HOST, self._port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
