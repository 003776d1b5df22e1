"""Described stretches of videos, one a line, and what their texts and lengths have to be like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from magma_ros.errors import CurationError, InvalidInputError
from magma_ros.prompts import clean_instruction
from magma_ros.wording import counted

_KEYS = {"video", "start", "end", "text"}
_MOST_FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video in which one thing is done.

    Attributes:
        video: File, relative to the folder of the videos.
        start_s: Where it begins, from the first picture [s].
        end_s: Where it ends [s].
        text: What is done.
    """

    video: str
    start_s: float
    end_s: float
    text: str

    @property
    def duration_s(self) -> float:
        """How long it is [s]."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is kept.

    Attributes:
        forbidden: A segment whose text has one of these, also within a word, is dropped. They are upstream's for Ego4D:
            of people who talk or walk, hands learn nothing.
        min_duration_s: Shorter segments, and shorter clips of them, are dropped [s].
        min_clip_score: Least likeness of text and pictures that a clip needs (CLIP's cosine), -1 to 1.
    """

    forbidden: tuple[str, ...] = ("converse", "walk", "laugh", "stand", "move around", "looks around")
    min_duration_s: float = 1.0
    min_clip_score: float = 0.25

    def __post_init__(self) -> None:
        if not (self.min_duration_s >= 0 and -1 <= self.min_clip_score <= 1) or "" in self.forbidden:
            raise CurationError(
                "rules: expected a duration of 0 or more, a score of -1 to 1 and no empty word, got "
                f"{self.min_duration_s}, {self.min_clip_score} and {list(self.forbidden)}"
            )

    def fault_of(self, segment: Segment) -> tuple[str, str] | None:
        """Reason and detail why `segment` is dropped; None for one to go on with."""
        try:
            clean_instruction(segment.text)
        except InvalidInputError as error:
            return "text", str(error)
        found = [word for word in self.forbidden if word in segment.text.lower()]
        if found:
            return "text", f"has {', '.join(map(repr, found))}"
        if segment.duration_s < self.min_duration_s:
            return "short_segment", f"{segment.duration_s:g} s, wanted {self.min_duration_s:g} s"
        return None


def read_segments(path: Path) -> tuple[Segment, ...]:
    """The segments in a file of JSON lines, `{"video": …, "start": s, "end": s, "text": …}` each, in its order.

    Raises:
        CurationError: it cannot be read, a line is malformed, or one stretch is there twice; names the first twenty.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CurationError(f"{path}: expected a readable UTF-8 file: {error}") from error
    segments: dict[tuple[str, float, float], Segment] = {}
    faults = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            segment = _segment(json.loads(line))
        except (CurationError, ValueError, RecursionError) as error:
            faults.append(f"line {number}: {error}")
            continue
        stretch = (segment.video, segment.start_s, segment.end_s)
        if stretch in segments:
            faults.append(f"line {number}: expected each stretch once, {segment.video} has this one already")
        segments[stretch] = segment
    if faults:
        shown = "\n  ".join(faults[:_MOST_FAULTS_SHOWN])
        raise CurationError(f"{path}: {counted(len(faults), 'line')} cannot be used:\n  {shown}")
    if not segments:
        raise CurationError(f"{path}: expected at least one segment, got none")
    return tuple(segments.values())


def _segment(document: object) -> Segment:
    if not isinstance(document, dict) or set(document) != _KEYS:
        raise CurationError(f"expected an object with {sorted(_KEYS)}, got {document!r:.80}")
    video, start, end = document["video"], document["start"], document["end"]
    inside = isinstance(video, str) and video and not PurePosixPath(video).is_absolute()
    if not inside or ".." in PurePosixPath(video).parts:
        raise CurationError(f"video: expected a file inside the folder of the videos, got {video!r}")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (start, end)):
        raise CurationError(f"expected start and end in seconds, got {start!r} and {end!r}")
    if not 0 <= start < end < float("inf"):
        raise CurationError(f"expected 0 <= start < end, got {start} and {end}")
    if not isinstance(document["text"], str):
        raise CurationError(f"text: expected words, got {document['text']!r:.80}")
    return Segment(video, float(start), float(end), document["text"].strip())
