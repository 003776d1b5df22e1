"""Questions about Bridge scenes whose right answers the simulator knows: words, marks, and where things will go.

They are asked as the robot's services ask them (`picture_questions`), so that a network that learned them answers
there. Scenes are those of perturbed demonstrations; what will move is what the expert moves from there on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from magma_ros.camera_model import CameraModel
from magma_ros.mark_text import TraceText, to_grid, tom_answer
from magma_ros.marks import Mark
from magma_ros.picture_questions import free_question, grid_of_marks, grounding_question, trace_question
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv, BridgeState
from magma_ros.sim.bridge.experts import expert_for
from magma_ros.sim.bridge.perturbation import PERTURBATIONS
from magma_ros.sim.bridge.scene import CAMERA_NAME, camera_matrix
from magma_ros.sim.demonstration import roll_out
from magma_ros.sim.perturbation import Perturber
from magma_ros.talking import Question
from magma_ros.types import FloatArray, ImageArray

Kind = Literal["words", "ground", "ground in a grid", "trace", "traces"]
"""`ground`: among marks on things and beside them; `trace`: of the tool alone; `traces`: of whatever moves."""

GRIPPER = "gripper"
NUM_STEPS = 8
"""Of a trace; the policy node's `trace_steps`."""
GRID = {"columns": 6, "rows": 4}
"""Of the marks that the robot draws where nobody names candidates."""

_NAMES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "carrot_on_plate": ("carrot", "on", "plate"),
        "spoon_on_towel": ("spoon", "on", "towel"),
        "stack_cube": ("green block", "on", "yellow block"),
        "eggplant_in_basket": ("eggplant", "in", "yellow basket"),
    }
)
"""Task → what its things are called, and how they lie when it is done."""
_SIZE = {"width_px": BRIDGE_CONTRACT.cameras[0].width_px, "height_px": BRIDGE_CONTRACT.cameras[0].height_px}
_CAMERA = CameraModel(camera_matrix(**_SIZE), np.zeros(5), **_SIZE)
_LOOK_QUESTIONS = ("What is on the table?", "What do you see in the image?", "What can you see?")
_HOLD_QUESTIONS = ("What is the gripper holding?", "What is the robot holding?")
_MOVES_PX = 2.0
_APART_PX, _COVERED_PX = 16.0, 9.0
_BESIDE_PX = 6.0
_MAX_STEPS = 90


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a picture, and the right answer.

    Attributes:
        kind: What sort it is.
        text: The question, the phrase that is grounded, or the instruction whose traces are predicted.
        marks: That are drawn; none for words.
        answer: As a network should give it.
    """

    kind: Kind
    text: str
    marks: tuple[Mark, ...]
    answer: str

    def question(self, image: ImageArray) -> Question:
        """As the robot asks it about `image`."""
        if self.kind == "words":
            return free_question(image, self.text)
        if self.kind in ("ground", "ground in a grid"):
            return grounding_question(image, self.marks, self.text)
        return trace_question(image, self.marks, self.text, num_steps=NUM_STEPS)


@dataclass(frozen=True, slots=True)
class AskedScene:
    """A picture, shape (128, 128, 3), and what is asked about it."""

    image: ImageArray
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the simulator knows of a scene.

    Attributes:
        image: What is seen.
        instruction: What is to be done.
        names: Of source and target, and how the one lies on the other when it is done.
        paths_px: Thing → where it is and where it will be after each step, shape (NUM_STEPS + 1, 2) [px].
        held, done: Whether the source is in the fingers; whether the task is done.
    """

    image: ImageArray
    instruction: str
    names: tuple[str, str, str]
    paths_px: Mapping[str, FloatArray]
    held: bool
    done: bool

    @property
    def places_px(self) -> dict[str, FloatArray]:
        """Thing → where it is, of those in the picture."""
        return {name: path[0] for name, path in self.paths_px.items() if _is_seen(path[0])}


class SceneQuestions:
    """Asks about the scenes of one task; owns its environments until `close`."""

    def __init__(self, task: str) -> None:
        self._number, self._names = list(_NAMES).index(task), _NAMES[task]
        self._perturbation = PERTURBATIONS[task]
        self._seen, self._played = BridgeEnv(task), BridgeEnv(task, render=False)
        self._expert = expert_for(self._played)

    def scenes(self, seed: int, *, count: int) -> Iterator[AskedScene]:
        """`count` moments of the demonstration of `seed`, from its first state to its last; the same every time."""
        generator = np.random.default_rng([seed, 2, self._number])
        perturber = Perturber(self._perturbation, np.random.default_rng([seed, 1]))
        rollout = roll_out(self._played, self._expert, perturber, seed=seed, settle_steps=0, max_steps=_MAX_STEPS)
        edges = np.linspace(0, len(rollout.states), count + 1).astype(int)
        for first, end in zip(edges, np.maximum(edges[1:], edges[:-1] + 1), strict=False):
            state = rollout.states[min(int(generator.integers(first, end)), len(rollout.states) - 1)]
            facts = self._facts(state)
            yield AskedScene(facts.image, tuple(_asked(facts, generator)))

    def close(self) -> None:
        """Release the environments."""
        self._seen.close()
        self._played.close()

    def _facts(self, state: BridgeState) -> _Facts:
        observation = self._seen.set_state(state)
        _, info = self._seen.look()
        self._played.set_state(state)
        points = [self._points()]
        for _ in range(NUM_STEPS):
            self._played.step(self._expert.act())
            points.append(self._points())
        pixels = _CAMERA.project(np.concatenate(points), pose_camera_in_base=self._seen.camera_pose())
        paths = np.moveaxis(pixels.reshape(NUM_STEPS + 1, 3, 2), 1, 0)
        source, _, target = self._names
        return _Facts(
            image=observation.images[CAMERA_NAME],
            instruction=self._seen.instruction,
            names=self._names,
            paths_px={
                name: path
                for name, path in zip((GRIPPER, source, target), paths, strict=True)
                if np.isfinite(path).all()  # it is in front of the camera
            },
            held=bool(info["grasped"]),
            done=bool(info["success"]),
        )

    def _points(self) -> FloatArray:
        """Middles of tool, source and target, base frame, shape (3, 3) [m]."""
        poses = self._played.poses()
        return np.stack([poses.ee_position_m, poses.source_position_m, poses.target_position_m])


def _asked(facts: _Facts, generator: np.random.Generator) -> Iterator[Asked]:
    """One question of each kind, as far as there is one."""
    words = list(_words(facts))
    yield words[generator.integers(len(words))]
    if facts.places_px:
        yield _ground(facts, generator)
        yield _ground_in_grid(facts, generator)
    if GRIPPER in facts.places_px:
        yield _traces(facts, {GRIPPER: 1}, kind="trace")
        things = _uncovered(facts.places_px, generator)
        marked = dict(zip(things, (generator.permutation(len(things)) + 1).tolist(), strict=True))
        if any(_moves(facts.paths_px[name]) for name in marked):
            yield _traces(facts, marked, kind="traces")


def _words(facts: _Facts) -> Iterator[Asked]:
    source, relation, target = facts.names
    for question in _LOOK_QUESTIONS:
        yield Asked("words", question, (), f"{_a(source).capitalize()} and {_a(target)}.")
    for question in _HOLD_QUESTIONS:
        yield Asked("words", question, (), f"The {source}." if facts.held else "Nothing.")
    for _ in range(6 if facts.done else 2):  # few moments are after the end
        yield Asked("words", f"Is the {source} {relation} the {target}?", (), "Yes." if facts.done else "No.")
    places_px = facts.places_px
    if {source, target} <= places_px.keys() and abs(places_px[source][0] - places_px[target][0]) >= _BESIDE_PX:
        side = "Left." if places_px[source][0] < places_px[target][0] else "Right."
        yield Asked("words", f"Is the {source} left or right of the {target}?", (), side)


def _ground(facts: _Facts, generator: np.random.Generator) -> Asked:
    """Which of the marks on the things, and of one to three marks on nothing, is meant."""
    things = _uncovered(facts.places_px, generator)
    places = list(things.values())
    for _ in range(int(generator.integers(1, 4))):
        places.append(_free_place(places, generator))
    numbers = generator.permutation(len(places)) + 1
    meant = int(generator.integers(len(things)))
    phrase = f"the {list(things)[meant]}"
    return Asked("ground", phrase, _marks(numbers, places), f"Mark: {numbers[meant]}")


def _ground_in_grid(facts: _Facts, generator: np.random.Generator) -> Asked:
    name = list(facts.places_px)[generator.integers(len(facts.places_px))]
    marks = grid_of_marks(**_SIZE, **GRID)
    x_px, y_px = facts.places_px[name]
    nearest = min(marks, key=lambda mark: np.hypot(mark.x_px - x_px, mark.y_px - y_px))
    return Asked("ground in a grid", f"the {name}", marks, f"Mark: {nearest.number}")


def _traces(facts: _Facts, marked: Mapping[str, int], *, kind: Kind) -> Asked:
    """Where the marked things go that move; a thing that is asked about alone has a trace if it rests, too."""
    moving = [name for name in marked if len(marked) == 1 or _moves(facts.paths_px[name])]
    traces = [_trace(marked[name], facts.paths_px[name]) for name in moving]
    marks = _marks(list(marked.values()), [facts.places_px[name] for name in marked])
    return Asked(kind, facts.instruction, tuple(sorted(marks, key=lambda mark: mark.number)), tom_answer(traces))


def _trace(number: int, path_px: FloatArray) -> TraceText:
    start, *future = (tuple(cell) for cell in to_grid(path_px, **_SIZE).tolist())
    return TraceText(number, start, tuple(future))


def _marks(numbers: Sequence[int] | NDArray[np.int64], places_px: Sequence[FloatArray]) -> tuple[Mark, ...]:
    return tuple(Mark(int(n), float(x), float(y)) for n, (x, y) in zip(numbers, places_px, strict=True))


def _uncovered(places_px: Mapping[str, FloatArray], generator: np.random.Generator) -> dict[str, FloatArray]:
    """The things whose marks do not cover each other; of two that are too near, either."""
    kept: dict[str, FloatArray] = {}
    for name in generator.permutation(list(places_px)).tolist():
        if all(np.linalg.norm(places_px[name] - other) >= _COVERED_PX for other in kept.values()):
            kept[name] = places_px[name]
    return kept


def _free_place(taken_px: Sequence[FloatArray], generator: np.random.Generator) -> FloatArray:
    """A place that no mark covers; nearer to others where the picture is full."""
    for _ in range(100):
        place = generator.uniform(_APART_PX / 2, _SIZE["width_px"] - _APART_PX / 2, 2)
        if min(np.linalg.norm(place - other) for other in taken_px) >= _APART_PX:
            break
    return np.asarray(place)


def _moves(path_px: FloatArray) -> bool:
    return bool(np.linalg.norm(path_px - path_px[0], axis=1).max() >= _MOVES_PX)


def _is_seen(place_px: FloatArray) -> bool:
    return bool((place_px >= 0).all() and (place_px <= np.array(list(_SIZE.values())) - 1).all())


def _a(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
