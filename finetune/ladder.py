"""What was found out about a checkpoint before it may act on a robot: rungs, each passed, failed or not tried.

The result is `ladder.json` in the checkpoint's folder. It belongs to one manifest, and with it to one set of weights:
once anything in the folder changes it says nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from magma_ros.checkpoint import load_pipeline
from magma_ros.checkpoint_files import LADDER_NAME, manifest_digest
from magma_ros.errors import PromotionError
from magma_ros.json_files import read_object
from magma_ros.whole_files import replacing

FORMAT = 1
"""Version of the file; a reader refuses any other."""

RungName = Literal["overfit", "open_loop", "train_serve", "simulator", "gate"]
RUNGS: tuple[RungName, ...] = get_args(RungName)
"""In the order in which a fault is cheapest to find; after the last one comes the robot, slowly."""

Outcome = Literal["passed", "failed", "not_tried"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One thing that a checkpoint has to show.

    Attributes:
        name: Which.
        outcome: `not_tried` where something that it needs was not given, or an earlier rung left nothing to try.
        detail: What was measured and what was expected, for people.
        figures: What was measured, plain JSON values.
    """

    name: RungName
    outcome: Outcome
    detail: str
    figures: Mapping[str, Any]

    @classmethod
    def judged(cls, name: RungName, *, holds: bool, detail: str, figures: Mapping[str, Any]) -> Rung:
        """A rung that was tried."""
        return cls(name, "passed" if holds else "failed", detail, figures)


@dataclass(frozen=True, slots=True)
class Ladder:
    """All rungs of one checkpoint.

    Attributes:
        fingerprint: Of its pipeline.
        checkpoint: SHA-256 of its manifest, see `checkpoint.manifest_digest`.
        made_at: When a rung was last tried, ISO 8601 in UTC.
        runtime: What it was tried with: device, number type, versions.
        rungs: In the order of `RUNGS`, all of them.
    """

    fingerprint: str
    checkpoint: str
    made_at: str
    runtime: Mapping[str, str]
    rungs: tuple[Rung, ...]

    @property
    def missing(self) -> tuple[Rung, ...]:
        """Rungs that were not passed."""
        return tuple(rung for rung in self.rungs if rung.outcome != "passed")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"format": FORMAT, **asdict(self)}


def begin(folder: Path, *, runtime: Mapping[str, str]) -> Ladder:
    """The ladder of the checkpoint as it is now: what was found out before, or every rung not tried yet.

    Raises:
        CheckpointError: the folder is no whole checkpoint.
        PromotionError: its ladder.json is of another format or damaged.
    """
    pipeline = load_pipeline(folder)  # compares every file with the manifest
    digest = manifest_digest(folder)
    if (folder / LADDER_NAME).is_file():
        known = read(folder)
        if known.checkpoint == digest:
            return replace(known, runtime=dict(runtime))
    rungs = tuple(Rung(name, "not_tried", "not tried", {}) for name in RUNGS)
    return Ladder(pipeline.fingerprint(), digest, _now(), dict(runtime), rungs)


def with_rungs(ladder: Ladder, rungs: Sequence[Rung]) -> Ladder:
    """`ladder` with these in the place of what it had."""
    new = {rung.name: rung for rung in rungs}
    return replace(ladder, made_at=_now(), rungs=tuple(new.get(rung.name, rung) for rung in ladder.rungs))


def write(folder: Path, ladder: Ladder) -> Path:
    """Put `ladder` into the checkpoint's folder, whole or not at all."""
    path = folder / LADDER_NAME
    with replacing(path) as partial:
        partial.write_text(json.dumps(ladder.to_dict(), indent=2) + "\n", encoding="utf-8")
    return path


def read(folder: Path) -> Ladder:
    """What was found out about the checkpoint in `folder`, whether or not it has changed since.

    Raises:
        PromotionError: nothing was, or the file is of another format or damaged.
    """
    path = folder / LADDER_NAME
    if not path.is_file():
        raise PromotionError(f"{folder}: no {LADDER_NAME}; expected the result of `magma-ros ladder` there")
    document = read_object(path, error=PromotionError)
    if document.pop("format", None) != FORMAT:
        raise PromotionError(f"{path}: expected format {FORMAT}")
    try:
        rungs = tuple(Rung(**rung) for rung in document.pop("rungs"))
        ladder = Ladder(rungs=rungs, **document)
    except (TypeError, AttributeError) as error:
        raise PromotionError(f"{path}: expected a ladder: {error}") from error
    if tuple(rung.name for rung in rungs) != RUNGS or any(rung.outcome not in get_args(Outcome) for rung in rungs):
        raise PromotionError(f"{path}: expected the rungs {RUNGS}, each with one of {get_args(Outcome)}")
    return ladder


def require_current(ladder: Ladder, folder: Path) -> None:
    """Refuse a ladder of other weights than those in `folder`.

    Raises:
        CheckpointError: the folder has no manifest.
        PromotionError: it is of another checkpoint, or the checkpoint has changed since.
    """
    if ladder.checkpoint != manifest_digest(folder):
        raise PromotionError(
            f"{folder}: {LADDER_NAME} was made for another checkpoint, with the manifest {ladder.checkpoint[:12]}…; "
            f"this one has {manifest_digest(folder)[:12]}…: run `magma-ros ladder` again"
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
