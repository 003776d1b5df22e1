"""Conversations about marks in small pictures, as annotation writes them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from magma_ros.mark_text import MarkText, TraceText, som_answer, tom_answer
from magma_ros.prompts import semantic_user_text, som_user_text, tom_user_text

TEXT = "lift the green block"


def write_conversations(folder: Path, *, count: int = 6) -> Path:
    """`count` records of a clean picture and a marked one, in turns about traces and marks by turns."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    lines = []
    for number in range(count):
        names = [f"{number}_clean.png", f"{number}_marked.png"]
        for name in names:
            assert cv2.imwrite(str(folder / name), generator.integers(0, 255, (64, 64, 3), np.uint8))
        x, y = (int(value) for value in generator.integers(0, 200, 2))
        if number % 2:
            question = tom_user_text(TEXT, [3, 7], wording="robot", num_steps=2, use_image_start_end=False, speed=9)
            answer = tom_answer([TraceText(3, (x, y), ((x + 9, y), (x + 18, y + 1)))])
        else:
            question = som_user_text(use_image_start_end=False)
            answer = som_answer([MarkText(1, (x, y)), MarkText(2, (y, x))])
        said = [semantic_user_text(wording="robot", use_image_start_end=False), f"{TEXT}\n", question, answer]
        turns = [{"from": ("human", "gpt")[index % 2], "value": value} for index, value in enumerate(said)]
        lines.append(json.dumps({"id": str(number), "image": names, "conversations": turns}) + "\n")
    path = folder / "records.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path
