"""What the graph costs beside the policy: a 640x480 camera at 30 Hz, a policy that takes 150 ms, an arm at 50 Hz.

Camera, policy node, motion node and driver are processes of their own; this one only listens. Reports the policy node's
own time from picture to action, the way from capture to command, the jitter of the commands, lost pictures, and how
memory and latency grow; beside them how late an empty loop wakes up, and how much of its time a host took away. Measure
on an idle machine; `--minutes 20` is the soak.

The own time ends with the stamp that the middleware gives the action, not with the return of the call that publishes
it: that gives Python's lock away, and gets it back when the executor's thread has done with it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import try_shutdown
from sensor_msgs.msg import CompressedImage, Image

from magma_ros import arms
from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.load_options import LoadOptions
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions, endpoints, interface, pictures
from magma_ros.ros.acting import Acting
from magma_ros.ros.policy_node import PolicyNode
from magma_ros.ros.spin import run
from magma_ros.sim.processes import Child, enter_graph
from magma_ros.types import ActionChunk, Observation

ARM = "stand_in"
WIDTH_PX, HEIGHT_PX, CAMERA_HZ = 640, 480, 30.0
WARM_UP_S = 5.0
HEAD_START_S = 1.0
MAX_NOTES = 200_000
"""Rows that a process may note: laid out at its start, so that its memory grows by nothing but the node's own."""
TIMES = "times.json"
INFERENCE_S = 0.15
CONTRACT = ActionContract(
    embodiment="stand_in",
    frame="base_link",
    rotation_form="rotation_vector",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=5.0,
    max_translation_m=0.02,
    max_rotation_rad=0.1,
    cameras=(CameraSpec("image", HEIGHT_PX, WIDTH_PX),),
)
STAGES = {
    "policy_node: latency of callback to action, without inference": "the same, as the node itself reports it",
    "policy_node: latency of capture to callback": "capture to callback",
    "policy_node: latency of inference": "inference (the stand-in)",
    "motion_node: latency of capture to command": "capture to command",
}


class Camera(Node):
    """Pictures of noise, from a while after somebody began to look; prints how many there were."""

    def __init__(self) -> None:
        super().__init__("camera_node")
        self._publisher = interface.CAMERA.publisher(self)
        self._generator = np.random.default_rng(0)
        self._picture = self._generator.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
        self._num_shot = self._num_waited = 0
        self.create_timer(1.0 / CAMERA_HZ, self._shoot)

    def close(self) -> None:
        """Print the number of pictures."""
        print(f"shot {self._num_shot}", flush=True)

    def _shoot(self) -> None:
        if self._publisher.get_subscription_count() == 0:
            return
        self._num_waited += 1
        if self._num_waited < HEAD_START_S * CAMERA_HZ:  # until both sides know each other and the arm is measured
            return
        self._num_shot += 1
        self._picture[0] = self._generator.integers(0, 256, (WIDTH_PX, 3), dtype=np.uint8)
        stamp = self.get_clock().now().to_msg()
        self._publisher.publish(pictures.image_message(self._picture, stamp=stamp, frame_id="camera"))


class Notes:
    """Rows of numbers, in memory that was touched before anything is measured."""

    def __init__(self, width: int) -> None:
        self._rows, self._num_rows = np.full((MAX_NOTES, width), np.nan), 0

    def add(self, *values: float) -> None:
        """One row more."""
        self._rows[self._num_rows] = values
        self._num_rows += 1

    @property
    def rows(self) -> NDArray[np.float64]:
        """Those that were added."""
        return self._rows[: self._num_rows]


class SlowPolicy:
    """Moves to and fro, and takes 150 ms for it: without Python's lock, as a GPU would, or with it.

    Attributes:
        asked: Capture time of each picture, and when inference on it began and ended, by the system's clock [s].
    """

    contract = CONTRACT

    def __init__(self, *, holds_lock: bool) -> None:
        self._holds_lock = holds_lock
        self._num_asked = 0
        self.asked = Notes(3)

    def infer(self, observation: Observation) -> ActionChunk:
        """One step of 4 mm."""
        began_s = time.time()
        if self._holds_lock:
            end_s = time.perf_counter() + INFERENCE_S
            while time.perf_counter() < end_s:
                sum(range(1000))
        else:
            time.sleep(INFERENCE_S)
        self.asked.add(observation.stamp_s, began_s, time.time())
        self._num_asked += 1
        row = np.array([[0.004 if self._num_asked // 10 % 2 else -0.004, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
        return ActionChunk(row, "base_link", observation.stamp_s, np.empty((0, 7), np.int64))

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""


def sleep_in_a_loop() -> None:
    """Wake up 50 times a second until SIGTERM, and print how late that was [ms]: what the machine itself does."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    signal.signal(signal.SIGINT, lambda number, _frame: ended.append(number))
    late_ms = Notes(1)
    while not ended:
        due_s = time.monotonic() + 0.02
        time.sleep(0.02)
        late_ms.add(1000 * (time.monotonic() - due_s))
    print("late " + json.dumps(percentiles(late_ms.rows)), flush=True)


def percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    """The usual four."""
    return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 95, 99, 100)}


def stolen() -> tuple[int, int]:
    """Processor time since the start that a host gave to others, and all of it [ticks]."""
    counts = [int(word) for word in Path("/proc/stat").read_text(encoding="utf-8").split()[1:9]]
    return counts[7], sum(counts)


def act_and_note(ros_arguments: list[str], times_file: Path) -> int:
    """Run the policy node; write when each picture that it acted on came, and when inference on it began and ended."""
    seen = Notes(2)
    policies: list[SlowPolicy] = []
    see = Acting.see

    def see_and_note(self: Acting, camera: str, message: Image | CompressedImage) -> None:
        seen.add(conversions.seconds(message.header.stamp), time.time())
        see(self, camera, message)

    def load(name: str, _options: LoadOptions, _deadline_s: float) -> SlowPolicy:
        policies.append(SlowPolicy(holds_lock=name == "holds_lock"))
        return policies[-1]

    Acting.see = see_and_note  # type: ignore[method-assign]
    status = run(lambda: PolicyNode(load=load), args=ros_arguments)
    seen_s = dict(seen.rows.tolist())
    asked = policies[0].asked.rows.tolist()
    rows = [(stamp_s, seen_s[stamp_s], began_s, ended_s) for stamp_s, began_s, ended_s in asked if stamp_s in seen_s]
    times_file.write_text(json.dumps(rows), encoding="utf-8")
    return status


def own_times_ms(times_file: Path, sent_s: dict[float, float]) -> NDArray[np.float64]:
    """From a picture's callback to its action at the middleware, without inference, of each action [ms]."""
    rows = json.loads(times_file.read_text(encoding="utf-8"))
    found = [
        sent_s[stamp_s] - seen_s - (ended_s - began_s)
        for stamp_s, seen_s, began_s, ended_s in rows
        if stamp_s in sent_s
    ]
    return 1000 * np.array(found)


@dataclass
class Listener:
    """What was heard: stamps and receipt of commands, capture time -> sending of actions [s], newest diagnostics."""

    stamps_s: list[float] = field(default_factory=list)
    sent_s: dict[float, float] = field(default_factory=dict)
    received_s: list[float] = field(default_factory=list)
    stages: dict[str, dict[str, str]] = field(default_factory=dict)
    is_done: bool = False

    def on_command(self, message: TwistStamped) -> None:
        """Note when it was sent and came, until `is_done`: this process does not listen while it ends the others."""
        if self.is_done:
            return
        self.stamps_s.append(conversions.seconds(message.header.stamp))
        self.received_s.append(time.monotonic())

    def on_action(self, message: EndEffectorDelta, info: dict[str, int]) -> None:
        """Note when it was sent, by the middleware's stamp."""
        self.sent_s[conversions.seconds(message.header.stamp)] = info["source_timestamp"] / 1e9

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """Keep the newest of every part."""
        for status in message.status:
            self.stages[status.name.lstrip("/")] = {pair.key: pair.value for pair in status.values}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--holds-lock", action="store_true", help="the stand-in computes in Python instead of waiting")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--role", choices=["camera", "policy", "bare"], default=None, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=Path, default=None, help=argparse.SUPPRESS)
    options, ros_arguments = parser.parse_known_args()
    if options.role == "bare":
        sleep_in_a_loop()
        return
    if options.role == "camera":
        sys.exit(run(Camera, args=ros_arguments))
    if options.role == "policy":
        sys.exit(act_and_note(ros_arguments, options.times))
    measure(options.minutes, options.json, checkpoint="holds_lock" if options.holds_lock else "waits")


def measure(minutes: float, json_file: Path | None, *, checkpoint: str) -> None:
    """Run the graph for so long, and print what it cost."""
    enter_graph()
    rclpy.init()
    node, listener = Node("listener"), Listener()
    node.create_subscription(
        TwistStamped, arms.load(ARM).output.topic, listener.on_command, endpoints.COMMAND.profile()
    )
    actions, on_action = interface.POLICY_ACTION, cast("Callable[[EndEffectorDelta], None]", listener.on_action)
    node.create_subscription(EndEffectorDelta, actions.name, on_action, actions.requested.profile())
    interface.DIAGNOSTICS.subscribe(node, listener.on_diagnostics)
    with tempfile.TemporaryDirectory() as folder:
        children = start(Path(folder), checkpoint=checkpoint)
        stolen_before, all_before = stolen()
        try:
            memory = listen(node, listener, children, duration_s=60.0 * minutes)
            listener.is_done = True
            stolen_after, all_after = stolen()
        finally:
            for name in ("bare", "camera", "policy", "motion", "driver"):
                children[name].stop()
                end_s = time.monotonic() + (1.5 if name == "camera" else 0.0)
                while time.monotonic() < end_s:  # the last diagnostics count the last pictures
                    rclpy.spin_once(node, timeout_sec=0.1)
        num_shot = int(children["camera"].last_lines().rpartition("shot ")[2].split()[0])
        late_ms = json.loads(children["bare"].last_lines().rpartition("late ")[2].splitlines()[0])
        own_ms = own_times_ms(Path(folder) / TIMES, listener.sent_s)
    results = {"own time of the policy node [ms]": {**percentiles(own_ms), "n": len(own_ms)}} | summarise(
        listener, memory, num_shot=num_shot, minutes=minutes
    )
    results["lateness of an empty loop at 50 Hz [ms]"] = late_ms
    results["taken by the host"] = f"{(stolen_after - stolen_before) / (all_after - all_before):.1%} of the processors"
    node.destroy_node()
    try_shutdown()
    for name, value in results.items():
        print(f"{name}: {value}")
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def start(folder: Path, *, checkpoint: str) -> dict[str, Child]:
    """The four processes; the camera last, so that every picture has somebody to look at it."""
    own = [sys.executable, str(Path(__file__).resolve())]
    arm = ["--ros-args", "-p", f"arm:={ARM}"]
    policy = ["-p", "autostart:=true", "-p", f"checkpoint:={checkpoint}", "-p", "instruction:=to and fro"]
    commands = {
        "driver": [sys.executable, "-m", "magma_ros.sim.driver_node", *arm, "-p", "rate_hz:=50.0"],
        "motion": [sys.executable, "-m", "magma_ros.ros.motion_node", *arm, "-p", "autostart:=true"],
        "policy": [*own, "--role", "policy", "--times", str(folder / TIMES), *arm, *policy],
        "bare": [*own, "--role", "bare"],
        "camera": [*own, "--role", "camera"],
    }
    return {name: Child.start(name, command, log=folder / f"{name}.log") for name, command in commands.items()}


def listen(node: Node, listener: Listener, children: dict[str, Child], *, duration_s: float) -> list[dict[str, float]]:
    """Listen for `duration_s` after the first action and a warm-up; memory of each process in between [MiB]."""
    memory: list[dict[str, float]] = []
    begin_s = end_s = 0.0
    try:
        while not begin_s or time.monotonic() < end_s:
            for child in children.values():
                child.require_alive()
            rclpy.spin_once(node, timeout_sec=0.1)
            if not begin_s and listener.stages.get("motion_node: latency of capture to command"):
                begin_s = time.monotonic() + WARM_UP_S
                end_s = begin_s + duration_s
            if begin_s and time.monotonic() >= begin_s + len(memory) * duration_s / 10:
                memory.append({name: resident_mib(child) for name, child in children.items()})
                if len(memory) == 1:
                    listener.stamps_s.clear()
                    listener.received_s.clear()
    except ExternalShutdownException:
        sys.exit(1)
    return memory


def resident_mib(child: Child) -> float:
    """Resident memory of a process [MiB]."""
    text = Path(f"/proc/{child.process.pid}/status").read_text(encoding="utf-8")
    return round(int(text.partition("VmRSS:")[2].split()[0]) / 1024, 1)


def summarise(listener: Listener, memory: list[dict[str, float]], *, num_shot: int, minutes: float) -> dict[str, Any]:
    """Every number, by what it is."""
    jitter_ms = np.abs(np.diff(listener.stamps_s) * 1000 - 1000 / arms.load(ARM).command_rate_hz)
    arrival_ms = np.abs(np.diff(listener.received_s) * 1000 - 1000 / arms.load(ARM).command_rate_hz)
    results: dict[str, Any] = {"minutes": minutes, "commands": len(listener.stamps_s)}
    for name, title in STAGES.items():
        stage = listener.stages.get(name, {})
        total = {key: float(stage[f"{key} [ms]"]) for key in ("p50", "p95", "p99", "max") if f"{key} [ms]" in stage}
        recent = {"p99 of the last 10 s": float(stage.get("p99 in the last 10 s [ms]", "nan"))}
        results[f"{title} [ms]"] = {**total, **recent, "n": int(stage.get("n", 0))}
    for title, values in (("jitter of the commands as sent", jitter_ms), ("as received", arrival_ms)):
        results[f"{title} [ms]"] = percentiles(values)
    seen = results["capture to callback [ms]"]["n"]
    refused = {reason: int(n) for reason, n in listener.stages.get("policy_node: refused pictures", {}).items()}
    lost = num_shot - seen - sum(refused.values())
    results["pictures"] = {"shot": num_shot, "seen": seen, "refused": refused, "lost": lost}
    results["memory, every tenth of the time [MiB]"] = {n: [row[n] for row in memory] for n in memory[0]}
    return results


if __name__ == "__main__":
    main()
