"""Questions about Bridge scenes: their answers are true, can be read by the robot's readers, and repeat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from magma_ros.mark_text import parse_tom, to_grid
from magma_ros.picture_questions import grounded, predicted_traces
from magma_ros.sim.bridge.questions import NUM_STEPS, Asked, AskedScene, SceneQuestions
from magma_ros.sim.bridge.tasks import TASKS

SIZE = {"width_px": 128, "height_px": 128}
SEEDS = range(1_000_000, 1_000_004)


@pytest.fixture(scope="module", params=TASKS)
def scenes(request: pytest.FixtureRequest) -> Iterator[list[AskedScene]]:
    """Four moments of four demonstrations of each task."""
    questions = SceneQuestions(request.param)
    yield [scene for seed in SEEDS for scene in questions.scenes(seed, count=4)]
    questions.close()


def of_kind(scenes: list[AskedScene], *kinds: str) -> list[Asked]:
    """All questions of some kinds."""
    return [asked for scene in scenes for asked in scene.asked if asked.kind in kinds]


def test_every_answer_can_be_read(scenes: list[AskedScene]) -> None:
    """What is taught is what the robot's own readers understand, and names marks that are drawn."""
    assert len(scenes) == 16
    for asked in of_kind(scenes, "ground", "ground in a grid"):
        assert grounded(asked.answer, asked.marks, **SIZE) in asked.marks
    for asked in of_kind(scenes, "trace", "traces"):
        for trace in predicted_traces(asked.answer, asked.marks, **SIZE):
            assert trace.points_px.shape == (NUM_STEPS + 1, 2)


def test_marks_are_on_what_is_named() -> None:
    """Around the mark that grounds a block are pixels of the colour by which it is called."""
    questions = SceneQuestions("stack_cube")
    seen = {"the green block": 0, "the yellow block": 0}
    for seed in range(1_000_000, 1_000_030):
        (scene,) = questions.scenes(seed, count=1)
        for asked in of_kind([scene], "ground"):
            if asked.text in seen:
                mark = grounded(asked.answer, asked.marks, **SIZE)
                x, y = round(mark.x_px), round(mark.y_px)
                red, green, blue = scene.image[y - 5 : y + 6, x - 5 : x + 6].astype(int).reshape(-1, 3).T
                is_green, is_yellow = (
                    (green > 1.4 * red) & (green > 1.4 * blue),
                    (red > 1.6 * blue) & (green > 1.3 * blue),
                )
                found = is_green if asked.text == "the green block" else is_yellow & (red > 120)
                seen[asked.text] += 1
                assert found.sum() >= 5, (seed, asked)
    questions.close()
    assert min(seen.values()) >= 5


def test_the_nearest_mark_of_the_grid_is_named(scenes: list[AskedScene]) -> None:
    """Among the grid's marks the answer is the nearest to where the same thing's own mark is."""
    compared = 0
    for scene in scenes:
        own = {asked.text: grounded(asked.answer, asked.marks, **SIZE) for asked in of_kind([scene], "ground")}
        for asked in of_kind([scene], "ground in a grid"):
            if asked.text in own:
                near = grounded(asked.answer, asked.marks, **SIZE)
                off = [np.hypot(m.x_px - own[asked.text].x_px, m.y_px - own[asked.text].y_px) for m in asked.marks]
                assert near.number == asked.marks[int(np.argmin(off))].number
                compared += 1
    assert compared >= 2


def test_the_tools_trace_begins_where_the_tool_is(scenes: list[AskedScene]) -> None:
    """A trace starts in the cell of its mark, and the tool moves by less than a twentieth of the picture per step."""
    asked = of_kind(scenes, "trace")
    assert len(asked) >= 12
    for one in asked:
        (mark,), (trace,) = one.marks, parse_tom(one.answer)
        assert trace.start == tuple(to_grid((mark.x_px, mark.y_px), **SIZE))
        steps = np.diff(np.array([trace.start, *trace.future]), axis=0)
        assert np.abs(steps).max() <= 256 / 20 * 1.5
    assert any(one.answer.count("[") > 3 for one in asked)


def test_words_are_true() -> None:
    """`Yes.` is said where the simulator calls the task done, and something is held where fingers hold it."""
    questions = SceneQuestions("carrot_on_plate")
    asked = of_kind([s for seed in range(1_000_000, 1_000_012) for s in questions.scenes(seed, count=5)], "words")
    questions.close()
    said = {(one.text, one.answer) for one in asked}
    assert {("Is the carrot on the plate?", "Yes."), ("Is the carrot on the plate?", "No.")} <= said
    assert any(answer == "The carrot." for _, answer in said)
    assert any(answer == "Nothing." for _, answer in said)
    assert all(answer == "A carrot and a plate." for text, answer in said if "What can" in text or "What is on" in text)


def test_a_seed_gives_the_same_scenes() -> None:
    """Pictures, questions and answers repeat; another seed has others."""
    first, again = SceneQuestions("eggplant_in_basket"), SceneQuestions("eggplant_in_basket")
    list(first.scenes(1_000_001, count=2))
    one, same = (list(q.scenes(1_000_000, count=2)) for q in (first, again))
    for left, right in zip(one, same, strict=True):
        assert_array_equal(left.image, right.image)
        assert left.asked == right.asked
    assert one[0].asked != next(first.scenes(1_000_001, count=2)).asked
    first.close()
    again.close()
