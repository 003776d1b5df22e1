"""A recording through the policy, offline: every action that it would have sent, the same ones each time.

Time is what the pictures are stamped with: a picture is answered the moment it was taken, at the control rate, and the
measured state is what had been received by then. The live node thinks for a while, so it skips pictures that this
answers, and its safety filter remembers what it did: compare actions of equal stamps with that in mind.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import numpy as np
import tyro
from sensor_msgs.msg import CompressedImage, Image

from magma_ros import arms
from magma_ros.arm import Arm
from magma_ros.errors import RecordingError
from magma_ros.load_options import LoadOptions
from magma_ros.msg import EndEffectorDelta, PolicyStatus
from magma_ros.policies import open_policy
from magma_ros.prompts import clean_instruction
from magma_ros.ros import interface
from magma_ros.ros.bag_reader import BagReader, absolute_name
from magma_ros.ros.camera_topics import recorded_cameras
from magma_ros.ros.conversions import action_from_message, nanoseconds, time_message
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.policy_setup import LoadPolicy, Setup, build
from magma_ros.stops import Stop
from magma_ros.types import Action, Observation, SafeAction
from magma_ros.wording import counted

Line = dict[str, Any]
"""One decision, as plain JSON values."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What is replayed, and how; the last four are the policy node's parameters of these names.

    Attributes:
        namespace: Of the recorded topics.
        instruction: What the arm is to do; empty takes the instructions that were recorded.
        camera_topic: Of the only camera, where it is not the arm's.
        execution_horizon: Actions executed before the policy is asked again.
        control_rate_hz: Pictures acted on in a second; 0 takes the contract's [Hz].
    """

    namespace: str = ""
    instruction: str = ""
    camera_topic: str = ""
    execution_horizon: int = 1
    control_rate_hz: float = 0.0

    def absolute(self, name: str) -> str:
        """The topic `name` as it is called in the bag."""
        return absolute_name(name, self.namespace)

    def parameters(self, checkpoint: str, options: LoadOptions) -> dict[str, Any]:
        """Every parameter of the policy node: ours, and the defaults of the others."""
        defaults = {row.name: row.default for row in interface.POLICY_PARAMETERS}
        given = {**asdict(self), **asdict(options), "embodiment": options.embodiment or "", "checkpoint": checkpoint}
        return {name: given.get(name, default) for name, default in defaults.items()}


def replay_bag(
    bag: Annotated[Path, tyro.conf.Positional],
    *,
    checkpoint: str,
    arm: str = "sim",
    output: Path | None = None,
    settings: Annotated[ReplaySettings, tyro.conf.arg(name="")] = ReplaySettings(),
    options: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
) -> None:
    """Feed a recording to a policy and write what it would have done, a JSON object a line.

    Args:
        bag: Folder or MCAP file that recorder_node (or `ros2 bag record`) made.
        checkpoint: Folder, name or hub id of a checkpoint, or ws:// address of a policy server.
        arm: Name or file of the arm that was recorded.
        output: File for the lines; else they are printed.
        settings: What is replayed, and how.
        options: How the checkpoint is brought up.
    """
    parameters = settings.parameters(checkpoint, options)
    lines = replay(BagReader(bag), arm=arms.load(arm), settings=settings, parameters=parameters)
    with nullcontext(sys.stdout) if output is None else _open(output) as file:
        summary = _write(lines, file)
    print(summary, file=sys.stderr)


def replay(
    bag: BagReader,
    *,
    arm: Arm,
    settings: ReplaySettings,
    parameters: Mapping[str, Any],
    load: LoadPolicy = open_policy,
) -> Iterator[Line]:
    """What the policy decides at each picture of `bag` that is due.

    Args:
        bag: The recording.
        arm: Whose it is.
        settings: What is replayed.
        parameters: Those of the policy node, as `settings.parameters` gives them.
        load: Opens the policy.

    Raises:
        RecordingError: the bag has no pictures, no instruction, or messages of another type.
        MagmaRosError: the policy cannot be opened, or does not fit the arm.
    """
    cameras = recorded_cameras(bag.topics, arm, camera_topic=settings.camera_topic, absolute=settings.absolute)
    actions, status = settings.absolute(interface.POLICY_ACTION.name), settings.absolute(interface.STATUS.name)
    if not settings.instruction and not any(r.message.instruction for r in bag.read({status: PolicyStatus})):
        raise RecordingError(f"instruction: expected one in {status} of the bag or as an option, found none")
    measured = MeasuredState(arm)
    setup = build(parameters, arm=arm, measured=measured, load=load)
    sent = {nanoseconds(r.message.header.stamp): r.message for r in bag.read({actions: EndEffectorDelta})}
    session = _Session(setup, sent, clean_instruction(settings.instruction) if settings.instruction else "")
    measured.compare_with(lambda: session.now_s)
    takes: dict[str, tuple[Any, Callable[[Any], Line | None]]] = {
        **{name: (topic.message, partial(session.see, camera)) for name, (camera, topic) in cameras.items()},
        **{settings.absolute(topic.name): (topic.message, keep) for topic, keep in measured.inputs()},
        status: (PolicyStatus, session.follow),
    }
    try:
        for name, received_ns, message in bag.read({name: kind for name, (kind, _) in takes.items()}):
            session.now_s = received_ns * 1e-9
            line = takes[name][1](message)
            if line is not None:
                yield line
    finally:
        setup.policy.close()


class _Session:
    """The policy node's way from pictures to decisions, without its clock, thread and topics.

    Attributes:
        now_s: When the message at hand was received [s].
    """

    def __init__(self, setup: Setup, sent: dict[int, EndEffectorDelta], instruction: str) -> None:
        self.now_s = 0.0
        self._setup, self._sent = setup, sent
        self._is_told = bool(instruction)
        self._instruction, self._num_steps = instruction, 0
        self._restart()

    def follow(self, status: PolicyStatus) -> None:
        """Take the recorded instruction, unless told another one; a new assignment starts afresh."""
        if self._is_told:
            return
        is_new = status.instruction != self._instruction or status.step < self._num_steps
        self._instruction, self._num_steps = status.instruction, status.step
        if is_new:
            self._restart()

    def see(self, camera: str, message: Image | CompressedImage) -> Line | None:
        """What is decided at a picture; None where nothing is."""
        if not self._instruction:
            return None
        seen = self._setup.observer.observe(camera, message, instruction=self._instruction)
        if isinstance(seen, Stop):
            return self._line(nanoseconds(message.header.stamp), seen)
        if not isinstance(seen, Observation) or not self._setup.pacer.is_due(seen.stamp_s):
            return None
        controller = self._setup.controller
        before = controller.last_chunk
        decision = controller.tick(seen, seen.stamp_s)
        chunk = controller.last_chunk
        tokens = [] if chunk is None or chunk is before else chunk.tokens.tolist()
        return self._line(nanoseconds(time_message(seen.stamp_s)), decision, tokens)

    def _restart(self) -> None:
        self._setup.controller.reset()
        self._setup.pacer.reset()

    def _line(self, stamp_ns: int, decision: SafeAction | Stop, tokens: list[list[int]] | None = None) -> Line:
        line: Line = {"stamp_ns": stamp_ns, "instruction": self._instruction, "tokens": tokens or []}
        if isinstance(decision, Stop):
            line |= {"stop": decision.reason.value, "detail": decision.detail}
        else:
            line |= {**_plain(decision.action), "limited_by": list(decision.limited_by)}
        if stamp_ns in self._sent:
            line["recorded"] = _plain(action_from_message(self._sent[stamp_ns]))
            if isinstance(decision, SafeAction):
                line["difference"] = _difference(line, line["recorded"])
        return line


def _plain(action: Action) -> Line:
    return {
        "frame": action.frame,
        "translation_m": action.translation_m.tolist(),
        "rotation_vector_rad": action.rotation_vector_rad.tolist(),
        "gripper_opening": action.gripper_opening,
    }


def _difference(ours: Line, recorded: Line) -> dict[str, float]:
    """Lengths of the differences, by the action's fields."""
    names = ("translation_m", "rotation_vector_rad", "gripper_opening")
    return {n: float(np.linalg.norm(np.atleast_1d(np.subtract(ours[n], recorded[n])))) for n in names}


def _open(output: Path) -> TextIO:
    try:
        return output.open("w", encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"output: expected a file that can be written: {error}") from error


def _write(lines: Iterator[Line], file: TextIO) -> str:
    """Write `lines`, and sum them up in a sentence."""
    stops: Counter[str] = Counter()
    differences: list[dict[str, float]] = []
    num_actions = 0
    for line in lines:
        print(json.dumps(line), file=file)
        if "stop" in line:
            stops[line["stop"]] += 1
        else:
            num_actions += 1
        differences += [line["difference"]] if "difference" in line else []
    parts = [counted(num_actions, "action"), f"{counted(stops.total(), 'stop')} {dict(stops)}"]
    if differences:
        largest = {name: max(difference[name] for difference in differences) for name in differences[0]}
        parts.append(f"largest difference to {len(differences)} recorded actions {largest}")
    return ", ".join(parts)
