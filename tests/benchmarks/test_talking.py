"""How answers about scenes are judged, which is what the figures of magma-tiny-talking are made of."""

from __future__ import annotations

import os

import numpy as np
import pytest

from magma_ros.mark_text import TraceText, tom_answer
from magma_ros.marks import Mark
from magma_ros.sim.bridge.questions import NUM_STEPS, Asked, AskedScene

SIZE_PX = 256
MARKS = (Mark(1, 100.0, 100.0), Mark(4, 192.0, 128.0))


@pytest.fixture
def talking(benchmark_module):
    return benchmark_module("talking")


def scene_of(asked: Asked) -> AskedScene:
    """One question about a black picture."""
    return AskedScene(np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8), (asked,))


def line(number: int, *, step_px: int, num_steps: int = NUM_STEPS) -> TraceText:
    """A trace to the right; in this picture a pixel is one cell of the text's grid."""
    return TraceText(number, (100, 100), tuple((100 + step_px * n, 100) for n in range(1, num_steps + 1)))


def test_words_are_right_to_the_letter_or_wrong(talking) -> None:
    """No partial credit."""
    asked = Asked("words", "Is the carrot on the plate?", (), "Yes.")
    assert {"right": 1.0} == talking.judge(scene_of(asked), asked, "Yes.")
    assert {"right": 0.0} == talking.judge(scene_of(asked), asked, "Yes")


def test_a_phrase_is_grounded_by_the_marks_number(talking) -> None:
    """The other mark is wrong; an answer without one is unreadable, which is neither."""
    asked = Asked("ground", "the carrot", MARKS, "Mark: 4")
    judged = [talking.judge(scene_of(asked), asked, said)["right"] for said in ("Mark: 4", "Mark: 1", "the carrot")]
    assert [1.0, 0.0, None] == judged


def test_a_trace_is_as_far_off_as_its_points_are_on_average(talking) -> None:
    """Half as fast is off by half of what no motion would be; of a short trace the end stands for the rest."""
    right = tom_answer([line(1, step_px=8)])
    asked = Asked("trace", "put carrot on plate", MARKS[:1], right)

    def judged(said: TraceText) -> dict[str, float | None]:
        return talking.judge(scene_of(asked), asked, tom_answer([said]))

    assert 0.0 == judged(line(1, step_px=8))["off [px]"]
    slow = judged(line(1, step_px=4))
    assert 1.0 == slow["right"]
    assert slow["if nothing moved [px]"] == pytest.approx(8 * (NUM_STEPS + 1) / 2, abs=1.0)  # a cell
    assert slow["off [px]"] == pytest.approx(slow["if nothing moved [px]"] / 2, abs=1.0)  # a cell
    short = judged(line(1, step_px=8, num_steps=1))
    assert short["off [px]"] == pytest.approx(8 * (NUM_STEPS - 1) / 2, abs=1.0)  # a cell


def test_traces_of_other_marks_are_wrong_and_not_measured(talking) -> None:
    """Which marks are told of has to be right."""
    asked = Asked("traces", "put carrot on plate", MARKS, tom_answer([line(1, step_px=8)]))
    judged = talking.judge(scene_of(asked), asked, tom_answer([line(4, step_px=8)]))
    assert (0.0, False) == (judged["right"], "off [px]" in judged)


def test_unreadable_answers_count_as_asked_and_not_right(talking) -> None:
    """A rate is of all that was asked."""
    summary = talking._summary([{"right": 1.0, "off [px]": 2.0}, {"right": None}, {"right": 0.0, "off [px]": 4.0}])
    assert (3, pytest.approx(1 / 3), 1) == (summary["asked"], summary["right"], summary["unreadable"])
    assert summary["off [px]"]["median"] == 3.0


def test_the_policy_node_is_started_on_this_machine_in_a_domain_of_its_own(
    talking, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """A graph with a real arm in it is not joined: the environment is set before ROS begins."""
    monkeypatch.setattr(os, "environ", {key: value for key, value in os.environ.items() if not key.startswith("ROS_")})

    def begin() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(talking.rclpy, "init", begin)
    with pytest.raises(KeyboardInterrupt):
        talking.over_ros(tmp_path, [], [])
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert 1 <= int(os.environ["ROS_DOMAIN_ID"]) <= 100
