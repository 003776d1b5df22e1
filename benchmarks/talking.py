"""Does a small network learn to answer, to ground and to predict, and does the robot's node say the same over ROS?

`python benchmarks/talking.py scenes --output outputs/talking/scenes` writes conversation records about Bridge's scenes,
with the questions of `sim.bridge.questions`: words, the mark on a thing that is named, the paths of tool and things.
The recipe magma_tiny_bridge_talking trains them and, so that the network still acts, demonstrations. Then
`python benchmarks/talking.py ask CHECKPOINT --output FILE.json` asks about scenes of other seeds: here, and through
`ask`, `ground` and `predict_trace` of a policy node in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.action.client import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from magma_ros import checkpoint
from magma_ros.action import Ask
from magma_ros.errors import EnvError, MagmaRosError
from magma_ros.in_order import InOrder
from magma_ros.msg import Mark as MarkMessage
from magma_ros.picture_questions import Trace, grounded, predicted_traces
from magma_ros.policy import ModelPolicy
from magma_ros.ros import interface, pictures
from magma_ros.sim.bridge.questions import NUM_STEPS, Asked, AskedScene, SceneQuestions
from magma_ros.sim.processes import Child, enter_graph, parameter_arguments
from magma_ros.sim.provenance import provenance
from magma_ros.sim.statistics import wilson_interval
from magma_ros.sim.suites import BRIDGE
from magma_ros.srv import Ground, PredictTrace
from magma_ros.talking import talk
from magma_ros.whole_files import replacing

TRAINING_SEED, TEST_SEED = 6_000_000, 7_000_000
_ONE_OF = {"trace": 2, "traces": 4}
"""Scenes of which one is asked about traces in training: those answers are long, and the loss is a mean over tokens."""
_PICTURES_FIRST = 10
"""Pictures of a scene that are shown before anything is asked about it; a second of them."""
Item = tuple[str, int]
"""A task, and the seed of a demonstration of it."""


class Scenes:
    """Makes the scenes of one item after the other; owns the environments of the task at hand."""

    def __init__(self, *, count: int) -> None:
        self._count = count
        self._task = ""
        self._questions: SceneQuestions | None = None

    def __call__(self, item: Item, /) -> tuple[AskedScene, ...]:
        """The scenes of one demonstration."""
        task, seed = item
        if self._questions is None or task != self._task:
            self.close()
            self._task, self._questions = task, SceneQuestions(task)
        return tuple(self._questions.scenes(seed, count=self._count))

    def close(self) -> None:
        """Release the environments."""
        if self._questions is not None:
            self._questions.close()
            self._questions = None


def scenes(first_seed: int, num_seeds: int, *, count: int, workers: int) -> Iterator[tuple[Item, int, AskedScene]]:
    """`count` scenes of each of so many demonstrations of every task, with where they are from."""
    items = [(task.name, first_seed + n) for task in BRIDGE.tasks for n in range(num_seeds)]
    with closing(InOrder(partial(Scenes, count=count), workers=workers, error=EnvError)) as makers:
        for item, made in zip(items, makers.map(items), strict=True):
            for moment, scene in enumerate(made):
                yield item, moment, scene


def write_records(options: argparse.Namespace) -> None:
    """The training scenes as conversation records, their pictures beside them."""
    folder: Path = options.output
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    with replacing(folder / "records.jsonl") as partial_path, partial_path.open("w", encoding="utf-8") as file:
        made = scenes(TRAINING_SEED, options.seeds, count=options.moments, workers=options.workers)
        for (task, seed), moment, scene in made:
            for asked in scene.asked:
                if (seed + moment) % _ONE_OF.get(asked.kind, 1):
                    continue
                name = f"{task}_{seed}_{moment}_{asked.kind.replace(' ', '_')}"
                question = asked.question(scene.image)
                (folder / f"pictures/{name}.png").write_bytes(_as_png(question.images[0]))
                turns = [{"from": "human", "value": question.text}, {"from": "gpt", "value": asked.answer}]
                record = {"id": name, "image": f"pictures/{name}.png", "conversations": turns}
                file.write(json.dumps(record) + "\n")


def answers_here(policy: ModelPolicy, scene: AskedScene) -> list[str]:
    """What the policy says to each question about a scene; of a refusal, why."""
    return [_said(policy, asked, scene) for asked in scene.asked]


def _said(policy: ModelPolicy, asked: Asked, scene: AskedScene) -> str:
    try:
        return "".join(talk(policy, asked.question(scene.image)))
    except MagmaRosError as error:
        return f"({error})"


def judge(scene: AskedScene, asked: Asked, said: str) -> dict[str, float | None]:
    """Whether an answer is right (0 or 1) and, of traces, how far they are off [px]; None for an unreadable one."""
    if asked.kind == "words":
        return {"right": float(said == asked.answer)}
    height, width, _ = scene.image.shape
    size = {"width_px": width, "height_px": height}
    try:
        if asked.kind in ("ground", "ground in a grid"):
            right, got = (grounded(text, asked.marks, **size) for text in (asked.answer, said))
            return {"right": float(right.number == got.number)}
        traces = {trace.number: trace for trace in predicted_traces(said, asked.marks, **size)}
    except MagmaRosError:
        return {"right": None}
    true = predicted_traces(asked.answer, asked.marks, **size)
    errors = [_off_px(traces[one.number], one) for one in true if one.number in traces]
    still = [float(np.linalg.norm(one.points_px - one.points_px[0], axis=1)[1:].mean()) for one in true]
    off = {"off [px]": float(np.mean(errors))} if errors else {}
    right_marks = float(set(traces) == {one.number for one in true})
    return {"right": right_marks, **off, "if nothing moved [px]": float(np.mean(still))}


def _off_px(said: Trace, true: Trace) -> float:
    """Mean distance of a predicted trace from the true one, its end standing for what was not said."""
    points = np.vstack([said.points_px[1:], np.repeat(said.points_px[-1:], NUM_STEPS, axis=0)])[:NUM_STEPS]
    return float(np.linalg.norm(points - true.points_px[1:], axis=1).mean())


def over_ros(folder: Path, asked_scenes: list[AskedScene], said: list[list[str]]) -> dict[str, int]:
    """How many answers of a policy node are those that the policy gave here, of as many as were asked."""
    enter_graph()
    rclpy.init()
    asker = Asker(asked_scenes[0])
    parameters = {"checkpoint": folder, "arm": "sim", "autostart": True, "answer_timeout_s": 100.0}
    command = [sys.executable, "-m", "magma_ros.ros.policy_node", "--ros-args", *parameter_arguments(parameters)]
    child = Child.start("policy_node", command, log=Path("outputs/logs/talking_policy_node.log"))
    counts: Counter[str] = Counter()
    try:
        asker.wait_for_node()
        for scene, expected in zip(asked_scenes, said, strict=True):
            asker.show(scene)
            for asked, text in zip(scene.asked, expected, strict=True):
                counts["asked"] += 1
                counts["same"] += asker.ask(asked) == text
    finally:
        child.stop()
        asker.close()
        rclpy.shutdown()
    return dict(counts)


class Asker:
    """A node that shows pictures and asks about them as a person would."""

    def __init__(self, scene: AskedScene) -> None:
        self._node, self._scene, self._num_shown = Node("asks"), scene, 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._camera = interface.CAMERA.publisher(self._node)
        self._node.create_timer(0.1, self._publish)
        self._ground = self._node.create_client(Ground, interface.GROUND.name)
        self._predict = self._node.create_client(PredictTrace, interface.PREDICT_TRACE.name)
        self._asks = ActionClient(self._node, Ask, interface.ASK.name)

    def wait_for_node(self) -> None:
        """Until the policy node is there."""
        assert self._ground.wait_for_service(120.0)
        assert self._predict.wait_for_service(10.0)
        assert self._asks.wait_for_server(10.0)

    def show(self, scene: AskedScene) -> None:
        """Show a scene often enough that the node's newest picture is of it."""
        self._scene, self._num_shown = scene, 0
        while self._num_shown < _PICTURES_FIRST:
            self._executor.spin_once(timeout_sec=0.1)

    def ask(self, asked: Asked) -> str:
        """The node's answer, or in brackets why there is none."""
        marks = [MarkMessage(number=mark.number, x_px=mark.x_px, y_px=mark.y_px) for mark in asked.marks]
        if asked.kind == "words":
            goal = self._result(self._asks.send_goal_async(Ask.Goal(question=asked.text)))
            answer = self._result(goal.get_result_async()).result
        elif asked.kind in ("ground", "ground in a grid"):
            answer = self._result(self._ground.call_async(Ground.Request(phrase=asked.text, candidates=marks)))
        else:
            request = PredictTrace.Request(task=asked.text, marks=marks, num_steps=NUM_STEPS)
            answer = self._result(self._predict.call_async(request))
        return str(answer.text or f"({answer.message})")

    def close(self) -> None:
        """End the node."""
        self._asks.destroy()
        self._node.destroy_node()

    def _result(self, future: Any) -> Any:
        self._executor.spin_until_future_complete(future, timeout_sec=120.0)
        return future.result()

    def _publish(self) -> None:
        stamp = self._node.get_clock().now().to_msg()
        self._camera.publish(pictures.image_message(self._scene.image, stamp=stamp, frame_id="camera"))
        self._num_shown += 1


def report(options: argparse.Namespace) -> dict[str, object]:
    """What came out, with intervals and what it was measured with."""
    policy = checkpoint.load_policy(options.checkpoint)
    made = list(scenes(TEST_SEED, options.seeds, count=1, workers=options.workers))
    asked_scenes = [scene for _, _, scene in made]
    said = [answers_here(policy, scene) for scene in asked_scenes]
    judged = defaultdict(list)
    for scene, texts in zip(asked_scenes, said, strict=True):
        for asked, text in zip(scene.asked, texts, strict=True):
            judged[asked.kind].append(judge(scene, asked, text))
    every = max(1, len(asked_scenes) // options.over_ros)
    return {
        "scenes": len(asked_scenes),
        **{kind: _summary(all_) for kind, all_ in judged.items()},
        "over ROS": over_ros(options.checkpoint, asked_scenes[::every], said[::every]),
        "examples": [_example(asked_scenes[n], said[n]) for n in (0, -1)],
        "provenance": provenance(device="cpu"),
    }


def _example(scene: AskedScene, said: list[str]) -> list[dict[str, str]]:
    """Questions, right answers and what was said."""
    return [
        {"kind": asked.kind, "asked": asked.text, "right": asked.answer, "said": text}
        for asked, text in zip(scene.asked, said, strict=True)
    ]


def _summary(judged: list[dict[str, float | None]]) -> dict[str, object]:
    right = sum(one["right"] or 0.0 for one in judged)
    interval = wilson_interval(right, len(judged))
    summary: dict[str, object] = {
        "asked": len(judged),
        "right": right / len(judged),
        "95 %": [interval.low, interval.high],
        "unreadable": sum(one["right"] is None for one in judged),
    }
    for name in ("off [px]", "if nothing moved [px]"):
        values = [value for one in judged if (value := one.get(name)) is not None]
        if values:
            summary[name] = {"median": float(np.median(values)), "p90": float(np.quantile(values, 0.9))}
    return summary


def _as_png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())


def main() -> None:
    """Write scenes that train, or ask a checkpoint about others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("scenes", help="write scenes that train")
    write.add_argument("--output", type=Path, required=True, help="folder")
    write.add_argument("--seeds", type=int, default=250, help="demonstrations of each task")
    write.add_argument("--moments", type=int, default=4, help="scenes of each of them")
    ask = commands.add_parser("ask", help="ask a checkpoint about scenes of other seeds")
    ask.add_argument("checkpoint", type=Path)
    ask.add_argument("--output", type=Path, required=True, help="file of the report")
    ask.add_argument("--seeds", type=int, default=100, help="of each task, one scene each")
    ask.add_argument("--over-ros", type=int, default=20, help="scenes that the policy node is asked about, too")
    options = parser.parse_args()
    if options.command == "scenes":
        write_records(options)
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)
    result = json.dumps(report(options), indent=2)
    options.output.write_text(result + "\n", encoding="utf-8")
    print(result)


if __name__ == "__main__":
    main()
