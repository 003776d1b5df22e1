"""Conversation records of one marked picture, in upstream's layout: what happens, then where the marks are or go.

The first turn is about the clean picture, the second about the same picture with its marks. A record of episodes asks
for no action: actions are trained from the episodes themselves, through the pipeline that serves, in the same batches.
Since a network reads from left to right, an action in front of the marks would be trained as one that stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from magma_ros.mark_text import MarkText, TraceText, som_answer, tom_answer
from magma_ros.prompts import (
    IMAGE_PLACEHOLDER,
    SemanticWording,
    TraceWording,
    semantic_user_text,
    som_user_text,
    tom_user_text,
)

Record = dict[str, Any]

SEMANTIC: Mapping[TraceWording, SemanticWording] = MappingProxyType(
    {"video": "person", "narration": "narration", "robot": "robot", "demo": "robot"}
)
"""How a description is asked for beside each way to ask for traces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said about one window of film.

    Attributes:
        text: What is done in it.
        wording: Who does it, see `prompts.TraceWording`.
        num_pictures: Clean ones; several begin with earlier pictures.
        marks: Those that are drawn, all of which a question about traces names; empty where none is asked about.
        traces: Where some of them go; empty where the question is where they are.
        num_steps: That are asked for: the most that a trace has.
        speed: Cells per step, said in the question when given.
    """

    text: str
    wording: TraceWording
    num_pictures: int = 1
    marks: Sequence[MarkText] = ()
    traces: Sequence[TraceText] = ()
    num_steps: int = 0
    speed: int | None = None

    def turns(self) -> list[tuple[str, str]]:
        """Question and answer of each turn; the second one is about the marked picture.

        Raises:
            InvalidInputError: the text cannot be used, see `prompts.clean_instruction`.
        """
        asked = semantic_user_text(
            wording=SEMANTIC[self.wording], use_image_start_end=False, num_images=self.num_pictures
        )
        turns = [(asked, f"{self.text}\n")]
        if self.traces:
            question = tom_user_text(
                self.text,
                sorted(mark.number for mark in self.marks),
                wording=self.wording,
                num_steps=self.num_steps,
                use_image_start_end=False,
                speed=self.speed,
            )
            turns.append((question, tom_answer(self.traces)))
        elif self.marks:
            turns.append((som_user_text(use_image_start_end=False), som_answer(self.marks)))
        return turns


def record_of(said: Said, *, name: str, images: Sequence[str], origin: Mapping[str, Any]) -> Record:
    """The record, as `conversation_files` reads it.

    Args:
        said: What is said.
        name: Its id.
        images: Files of the clean pictures and, with marks, of the marked one.
        origin: Where the picture is from; readers leave it alone.
    """
    conversations = [
        {"from": side, "value": value}
        for question, answer in said.turns()
        for side, value in (("human", question), ("gpt", answer))
    ]
    return {"id": name, "image": [*images], "conversations": conversations, "origin": dict(origin)}


def apart(record: Record) -> list[Record]:
    """A record for each turn of `record` alone, with the pictures of that turn: each is asked without the others."""
    pieces, num_shown, turns = [], 0, record["conversations"]
    for index in range(0, len(turns), 2):
        end = num_shown + turns[index]["value"].count(IMAGE_PLACEHOLDER)
        piece = {"id": f"{record['id']}_turn_{index // 2}", "image": record["image"][num_shown:end]}
        pieces.append({**record, **piece, "conversations": turns[index : index + 2]})
        num_shown = end
    return pieces
