"""What is said about a window, as records that the trainer reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from magma_ros.finetune.annotation.records import Said, apart, record_of
from magma_ros.finetune.conversation_files import Turn
from magma_ros.finetune.conversation_files import record_of as read_record
from magma_ros.mark_text import MarkText, TraceText
from magma_ros.marks import Mark
from magma_ros.picture_questions import trace_question
from magma_ros.prompts import SYSTEM_TEXT, Message, picture_lines, render_chat, spoken_prompt, with_picture_tokens

MARK = MarkText(2, (10, 20))
SAID = Said(text="stack", wording="video", num_pictures=2, marks=[MARK], speed=3)
TRACE = TraceText(2, (10, 20), ((12, 20), (14, 20)))


def rendered(turn: Turn) -> str:
    """The prompt that the trainer makes of a record's first turn."""
    content = picture_lines(turn.num_images, use_image_start_end=True) + turn.text
    return render_chat([Message("system", SYSTEM_TEXT), Message("user", content)], add_generation_prompt=True)


def test_each_turn_alone_keeps_its_pictures() -> None:
    """The first with the earlier pictures, the second with the marked one; both are whole records."""
    whole = record_of(SAID, name="x", images=["a.jpg", "b.jpg", "marked.jpg"], origin={"video": "a.mp4"})
    pieces = apart(whole)
    assert [["a.jpg", "b.jpg"], ["marked.jpg"]] == [piece["image"] for piece in pieces]
    assert ["x_turn_0", "x_turn_1"] == [piece["id"] for piece in pieces]
    assert [2, 2, 4] == [len(read_record(one, line=1).turns) for one in (*pieces, whole)]


def test_a_question_alone_is_the_one_that_a_robot_is_asked() -> None:
    """To the character, when no speed is said: trained and asked alike."""
    said = replace(SAID, wording="robot", num_pictures=1, traces=[TRACE], num_steps=2, speed=None)
    piece = apart(record_of(said, name="x", images=["a.jpg", "marked.jpg"], origin={}))[1]
    picture = np.zeros((64, 64, 3), np.uint8)
    asked = trace_question(picture, [Mark(2, 2.5, 5.0)], "stack", num_steps=2)
    prompt = spoken_prompt(with_picture_tokens(asked.text, use_image_start_end=True))
    assert prompt == rendered(read_record(piece, line=1).turns[0])


def test_the_speed_is_said_where_it_is_known() -> None:
    """In the question about traces, and only there."""
    asked = replace(SAID, traces=[TRACE], num_steps=2).turns()
    assert asked[1][0].endswith("numerical marks in the image with speed 3 for the next 2 steps?\n")
    assert "speed" not in asked[0][0] + SAID.turns()[1][0]


def test_without_marks_nothing_is_asked_about_them() -> None:
    """Of a window that was drawn to be left without, what happens is all that is said."""
    assert 1 == len(replace(SAID, marks=[]).turns())
