"""What a recording says about itself beside its messages: the `custom_data` of a bag's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from magma_ros.errors import RecordingError

EpisodeOutcome = Literal["success", "failure", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeNotes:
    """Notes on one recorded episode; each becomes a text of its own name.

    Attributes:
        instruction: What the episode shows; empty where nobody said so.
        operator: Who moved the arm or watched it; may be empty.
        arm: Name in the arm's file.
        started, ended: ISO 8601, UTC; `ended` is empty while it goes on, and where the disk was full.
        outcome: "unknown" until a person said it.
    """

    instruction: str
    operator: str
    arm: str
    started: str
    ended: str = ""
    outcome: EpisodeOutcome = "unknown"

    @classmethod
    def begin(cls, *, instruction: str, operator: str, arm: str) -> EpisodeNotes:
        """Notes on an episode that starts now."""
        return cls(instruction=instruction, operator=operator, arm=arm, started=_now())

    def end(self, outcome: EpisodeOutcome) -> EpisodeNotes:
        """The notes on the same episode, which ended now."""
        return replace(self, outcome=outcome, ended=_now())

    def to_dict(self) -> dict[str, str]:
        """Texts by name, as `from_dict` reads them."""
        return {name: text for name, text in asdict(self).items() if text or name != "ended"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EpisodeNotes:
        """The notes in `data`, which may hold more.

        Raises:
            RecordingError: one is missing, is no text, or no known outcome.
        """
        names = [field.name for field in fields(cls)]
        faulty = [name for name in names if not isinstance(data.get(name, "" if name == "ended" else None), str)]
        if faulty:
            raise RecordingError(f"notes of the episode: expected a text for each of {names}, got none for {faulty}")
        if data["outcome"] not in get_args(EpisodeOutcome):
            raise RecordingError(f"outcome: expected one of {get_args(EpisodeOutcome)}, got {data['outcome']!r}")
        return cls(**{name: data[name] for name in names if name in data})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
