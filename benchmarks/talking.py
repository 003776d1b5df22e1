"""Does a small network learn to answer, to ground and to predict, and does the robot's node say the same over ROS?

`python benchmarks/talking.py --output outputs/talking`: hours on two cores. It goes on where it stopped. Pictures of
four coloured shapes; asked are the colour of a shape, the mark on a thing that is named, and the path of a thing that
is told to move, with the questions of `picture_questions` as the robot asks them. magma-tiny goes on training on these
and, so that it may still act, on a few demonstrations. Then it is asked about scenes of other seeds: here, and through
`ask`, `ground` and `predict_trace` of a policy node in a process of its own. The result is `report.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import rclpy
import yaml
from rclpy.action.client import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from magma_ros import checkpoint
from magma_ros.action import Ask
from magma_ros.errors import MagmaRosError
from magma_ros.finetune.plain_values import to_plain
from magma_ros.finetune.recipe import DataItem, Recipe, Schedule
from magma_ros.mark_text import GRID, TraceText, to_grid, tom_answer
from magma_ros.marks import Mark
from magma_ros.msg import Mark as MarkMessage
from magma_ros.picture_questions import (
    free_question,
    grounded,
    grounding_question,
    predicted_traces,
    trace_question,
)
from magma_ros.pipeline import MANIFEST_NAME
from magma_ros.policy import ModelPolicy
from magma_ros.ros import interface, pictures
from magma_ros.sim.processes import Child
from magma_ros.sim.provenance import provenance
from magma_ros.sim.statistics import wilson_interval
from magma_ros.sources import find
from magma_ros.srv import Ground, PredictTrace
from magma_ros.talking import Question, talk
from magma_ros.types import FloatArray, ImageArray
from magma_ros.whole_files import replacing

SIDE_PX, NUM_STEPS, STEP_CELLS = 128, 4, 10
SIZE = {"width_px": SIDE_PX, "height_px": SIDE_PX}
SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {
    "green": (40, 180, 60),
    "blue": (40, 80, 220),
    "yellow": (240, 220, 40),
    "purple": (150, 50, 170),
    "orange": (250, 140, 20),
    "white": (245, 245, 245),
}
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_TEST_SEED = 1_000_000


@dataclass(frozen=True, slots=True)
class Scene:
    """Four things of different shapes, a mark on each, and what one of them is told to do."""

    image: ImageArray
    names: tuple[str, ...]
    marks: tuple[Mark, ...]
    meant: int
    way: str

    @property
    def phrase(self) -> str:
        """What is grounded."""
        return f"the {self.names[self.meant]}"

    @property
    def task(self) -> str:
        """What moves."""
        return f"move {self.phrase} {self.way}"

    @property
    def colour_question(self) -> str:
        """What is asked in words."""
        return f"What colour is the {self.names[self.meant].split()[1]}?"

    @property
    def colour(self) -> str:
        """The answer."""
        return self.names[self.meant].split()[0]

    @property
    def trace(self) -> TraceText:
        """Where the thing that is meant goes."""
        mark = self.marks[self.meant]
        start = to_grid((mark.x_px, mark.y_px), **SIZE)
        path = start + STEP_CELLS * np.arange(1, NUM_STEPS + 1)[:, None] * WAYS[self.way]
        cells = tuple((int(x), int(y)) for x, y in path)
        return TraceText(mark.number, (int(start[0]), int(start[1])), cells)


def scene_of(seed: int) -> Scene:
    """The scene of a seed; things lie so that none leaves the picture on its way."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE_PX, SIDE_PX, 3), rng.integers(70, 130, 3), np.uint8)
    noise = rng.integers(-12, 13, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    corners = rng.permutation([(40, 40), (88, 40), (40, 88), (88, 88)])
    places = corners + rng.integers(-10, 11, (4, 2))
    colours = rng.permutation(list(COLOURS))[:4]
    names = []
    for shape, colour, place in zip(SHAPES, colours, places, strict=True):
        _draw(image, shape, COLOURS[colour], int(place[0]), int(place[1]), int(rng.integers(9, 13)))
        names.append(f"{colour} {shape}")
    numbers = rng.permutation(4) + 1
    marks = tuple(Mark(int(n), float(x), float(y)) for n, (x, y) in zip(numbers, places, strict=True))
    return Scene(image, tuple(names), marks, int(rng.integers(4)), str(rng.choice(list(WAYS))))


def _draw(image: ImageArray, shape: str, colour: tuple[int, int, int], x: int, y: int, radius: int) -> None:
    if shape == "circle":
        cv2.circle(image, (x, y), radius, colour, -1, cv2.LINE_AA)
    elif shape == "square":
        cv2.rectangle(image, (x - radius, y - radius), (x + radius, y + radius), colour, -1)
    elif shape == "triangle":
        corners = np.array([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)])
        cv2.fillPoly(image, [corners], colour, cv2.LINE_AA)
    else:
        for across, down in ((radius, radius // 3), (radius // 3, radius)):
            cv2.rectangle(image, (x - across, y - down), (x + across, y + down), colour, -1)


def questions(scene: Scene) -> Iterator[tuple[str, Question, str]]:
    """Name, question and right answer of everything that is asked about a scene."""
    yield "ask", free_question(scene.image, scene.colour_question), scene.colour.capitalize() + "."
    right = scene.marks[scene.meant].number
    yield "ground", grounding_question(scene.image, scene.marks, scene.phrase), f"Mark: {right}"
    asked = trace_question(scene.image, scene.marks, scene.task, num_steps=NUM_STEPS)
    yield "predict_trace", asked, tom_answer([scene.trace])


def write_records(folder: Path, num_scenes: int) -> Path:
    """The training scenes as conversation records, their pictures beside them."""
    path = folder / "records.jsonl"
    if path.is_file():
        return path
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial_path, partial_path.open("w", encoding="utf-8") as file:
        for seed in range(num_scenes):
            for name, question, answer in questions(scene_of(seed)):
                picture = f"pictures/{seed:06d}_{name}.png"
                cv2.imwrite(str(folder / picture), question.images[0][..., ::-1])
                turns = [{"from": "human", "value": question.text}, {"from": "gpt", "value": answer}]
                file.write(json.dumps({"id": f"{seed}_{name}", "image": picture, "conversations": turns}) + "\n")
    return path


def begin(folder: Path) -> Path:
    """magma-tiny, whose configuration says that it will have been trained on marks and traces."""
    if (folder / MANIFEST_NAME).is_file() and "golden" in json.loads((folder / MANIFEST_NAME).read_text()):
        return folder
    source = find("magma-tiny")
    checkpoint.copy_architecture(source, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "mm_use_som_tom": True}, indent=2, sort_keys=True) + "\n")
    network = checkpoint.load_model(source).network
    pipeline = checkpoint.load_pipeline(source)
    checkpoint.save_checkpoint(folder, network=network, pipeline=pipeline, training={"step": 0}, dtype="float32")
    return folder


def train(options: argparse.Namespace) -> Path:
    """The trained checkpoint."""
    folder: Path = options.output
    records = write_records(folder / "scenes", options.scenes)
    demos = folder / "demos"
    _run("collect", "--output", demos, "--suite", "bridge", "--episodes", options.demos, "--seed", 5_000_000)
    recipe = Recipe(
        data=(
            DataItem(conversations=records, weight=0.9),
            DataItem(episodes=demos, weight=0.1),
        ),
        start_from=str(begin(folder / "begin")),
        output=folder / "run",
        norm_stats="keep",
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        schedule=Schedule(warmup_steps=min(100, options.steps // 4)),
        weight_decay=0.02,
        ema_decay=0.998,
        precision=options.precision,
        save_every=200,
        num_judged_episodes=0,
    )
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(to_plain(recipe)), encoding="utf-8")
    _run("finetune", path)
    return folder / "run" / "checkpoint"


def answers_here(policy: ModelPolicy, scene: Scene) -> dict[str, str]:
    """What the policy says about a scene, by the question's name; of a refusal, why."""
    said = {}
    for name, question, _ in questions(scene):
        try:
            said[name] = "".join(talk(policy, question))
        except MagmaRosError as error:
            said[name] = f"({error})"
    return said


def judge(scene: Scene, said: dict[str, str]) -> dict[str, float | None]:
    """Whether words and mark are right (0 or 1), and how far the trace is off [px]; None for an unreadable answer."""
    right = scene.marks[scene.meant]
    path = _pixels(scene.trace.future)
    judged: dict[str, float | None] = {"ask": float(said["ask"] == f"{scene.colour.capitalize()}.")}
    try:
        judged["ground"] = float(grounded(said["ground"], scene.marks, **SIZE).number == right.number)
    except MagmaRosError:
        judged["ground"] = None
    still = np.repeat([[right.x_px, right.y_px]], NUM_STEPS, axis=0)
    judged["if nothing moved [px]"] = _distance(still, path)
    try:
        traces = {t.number: t for t in predicted_traces(said["predict_trace"], scene.marks, **SIZE)}
        points = traces[right.number].points_px[1:] if right.number in traces else still
        padded = np.vstack([points, np.repeat(points[-1:], NUM_STEPS, axis=0)])[:NUM_STEPS]
        judged |= {"trace [px]": _distance(padded, path), "right mark moves": float(set(traces) == {right.number})}
    except MagmaRosError:
        judged |= {"trace [px]": None, "right mark moves": None}
    return judged


def _pixels(cells: tuple[tuple[int, int], ...]) -> FloatArray:
    return (np.array(cells) + 0.5) * SIDE_PX / GRID


def _distance(points: FloatArray, others: FloatArray) -> float:
    return float(np.linalg.norm(points - others, axis=1).mean())


def over_ros(folder: Path, scenes: list[Scene], said: list[dict[str, str]]) -> dict[str, int]:
    """How many answers of a policy node are those that the policy gave here, of as many as were asked."""
    rclpy.init()
    node = Node("asks")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    wait = partial(executor.spin_until_future_complete, timeout_sec=120.0)
    arguments = [f"checkpoint:={folder}", "arm:=sim", "autostart:=true", "answer_timeout_s:=100.0"]
    command = [sys.executable, "-m", "magma_ros.ros.policy_node", "--ros-args"]
    child = Child.start(
        "policy_node",
        [*command, *(part for one in arguments for part in ("-p", one))],
        log=folder.parent / "policy_node.log",
    )
    camera = interface.CAMERA.publisher(node)
    shown = [scenes[0]]
    node.create_timer(0.1, lambda: camera.publish(_message(node, shown[0])))
    ground = node.create_client(Ground, interface.GROUND.name)
    predict = node.create_client(PredictTrace, interface.PREDICT_TRACE.name)
    asks = ActionClient(node, Ask, interface.ASK.name)
    same = {"asked": 0, "same": 0}
    try:
        assert ground.wait_for_service(120.0)
        assert predict.wait_for_service(10.0)
        assert asks.wait_for_server(10.0)
        for scene, expected in zip(scenes, said, strict=True):
            shown[0] = scene
            for _ in range(10):
                executor.spin_once(timeout_sec=0.1)
            marks = [MarkMessage(number=m.number, x_px=m.x_px, y_px=m.y_px) for m in scene.marks]
            goal = asks.send_goal_async(Ask.Goal(question=scene.colour_question))
            wait(goal)
            result = goal.result().get_result_async()
            wait(result)
            place = ground.call_async(Ground.Request(phrase=scene.phrase, candidates=marks))
            wait(place)
            paths = predict.call_async(PredictTrace.Request(task=scene.task, marks=marks, num_steps=NUM_STEPS))
            wait(paths)
            told = {"ask": result.result().result, "ground": place.result(), "predict_trace": paths.result()}
            got = {name: one.text or f"({one.message})" for name, one in told.items()}
            same["asked"] += len(got)
            same["same"] += sum(expected[name] == text for name, text in got.items())
    finally:
        child.stop()
        asks.destroy()
        node.destroy_node()
        rclpy.shutdown()
    return same


def _message(node: Node, scene: Scene) -> object:
    return pictures.image_message(scene.image, stamp=node.get_clock().now().to_msg(), frame_id="camera")


def report(folder: Path, num_scenes: int, num_over_ros: int) -> dict[str, object]:
    """What came out, with intervals and what it was measured with."""
    policy = checkpoint.load_policy(folder)
    scenes = [scene_of(_TEST_SEED + n) for n in range(num_scenes)]
    said = [answers_here(policy, scene) for scene in scenes]
    judged = [judge(scene, one) for scene, one in zip(scenes, said, strict=True)]
    found: dict[str, object] = {"scenes": num_scenes}
    for name in ("ask", "ground", "right mark moves"):
        right = sum(one[name] or 0.0 for one in judged)
        interval = wilson_interval(right, num_scenes)
        found[name] = {
            "right": right / num_scenes,
            "95 %": [interval.low, interval.high],
            "unreadable": sum(one[name] is None for one in judged),
        }
    for name in ("trace [px]", "if nothing moved [px]"):
        errors = [error for one in judged if (error := one[name]) is not None]
        found[name] = {"median": float(np.median(errors)), "p90": float(np.quantile(errors, 0.9))} if errors else None
    found["over ROS"] = over_ros(folder, scenes[:num_over_ros], said[:num_over_ros])
    return {**found, "examples": said[:5], "provenance": provenance(device="cpu")}


def _run(*words: object) -> None:
    command = [sys.executable, "-m", "magma_ros.cli", *map(str, words)]
    print("$ magma-ros", *command[3:], flush=True)
    subprocess.run(command, check=True)


def main() -> None:
    """Train, ask, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of everything; the same one goes on")
    parser.add_argument("--scenes", type=int, default=6000, help="that train, three questions each")
    parser.add_argument("--demos", type=int, default=10, help="demonstrations of each Bridge task")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--precision", default="bf16", help="bf16 on a CPU with AMX, fp32 on one without")
    parser.add_argument("--test-scenes", type=int, default=500)
    parser.add_argument("--over-ros", type=int, default=20, help="scenes that the policy node is asked about, too")
    options = parser.parse_args()
    result = report(train(options), options.test_scenes, options.over_ros)
    (options.output / "report.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
