"""Promoted checkpoints: a folder with a copy of each, and two links, `current` and `previous`, that a robot follows.

A copy is named by its fingerprint and its manifest's hash, is complete before its name appears, and is never changed or
deleted here. A link changes in one step, so that who follows it gets one checkpoint or the other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from magma_ros import adapter_files
from magma_ros.checkpoint import load_pipeline
from magma_ros.checkpoint_files import LADDER_NAME, manifest_digest, verify_files
from magma_ros.errors import PromotionError
from magma_ros.finetune import ladder as ladder_file
from magma_ros.finetune import model_card
from magma_ros.finetune.ladder import RungName
from magma_ros.folder_lock import alone_in
from magma_ros.sources import find
from magma_ros.whole_files import names_to_disk, to_disk

CURRENT, PREVIOUS, LOG_NAME = "current", "previous", "promotions.jsonl"
NEVER_WAIVED: tuple[RungName, ...] = ("gate", "train_serve")
"""Rungs that every checkpoint can be tried on, and that no robot may go without."""

_CARD_NAME = model_card.CARD_NAME
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Promotion:
    """One change of `current`.

    Attributes:
        at: ISO 8601 in UTC.
        current, previous: Names of the folders that the links lead to; `previous` is empty after the first one.
        source: Where the checkpoint was; empty for a step back.
        waived: Rungs that were not passed and not asked for.
    """

    at: str
    current: str
    previous: str
    source: str
    waived: tuple[str, ...] = ()


def promote(source: str | Path, to: Path, *, waived: Collection[RungName] = ()) -> Promotion:
    """Copy a checkpoint that passed its ladder into `to`, and make it the current one.

    Args:
        source: Folder, name or hub id.
        to: Folder of promoted checkpoints, made when it is not there.
        waived: Rungs that it may lack, such as `simulator` for an arm that is not simulated.

    Raises:
        CheckpointError: it is not whole, or it is an adapter whose base is not there or has other weights.
        PromotionError: a rung is missing, its ladder is another checkpoint's, or `to` holds something else.
        ContractError: its actions mean another motion than the current one's.
    """
    folder = find(source)
    pipeline = load_pipeline(folder)
    _require_base(folder)
    _require_rungs(folder, waived)
    name = f"{pipeline.fingerprint()[:_DIGITS]}-{manifest_digest(folder)[:_DIGITS]}"
    with _alone_in(to):
        before = _target(to, CURRENT)
        if before == name:
            raise PromotionError(f"{to}: {name} is the current one already")
        if before:
            load_pipeline(to / before).contract.require_same_motion(pipeline.contract, who=str(folder))
        _copy(folder, to / name)
        if before:
            _link(to, PREVIOUS, before)
        _link(to, CURRENT, name)
        return _log(to, Promotion(_now(), name, before, str(folder.resolve()), tuple(sorted(waived))))


def roll_back(to: Path) -> Promotion:
    """Make the previous checkpoint the current one and the other way round.

    Raises:
        PromotionError: there is no previous one in `to`.
        CheckpointError: it is not whole any more, nor its base if it is an adapter.
    """
    if not to.is_dir():
        raise PromotionError(f"{to}: expected a folder of promoted checkpoints, got none")
    with _alone_in(to):
        now, before = _target(to, CURRENT), _target(to, PREVIOUS)
        if not before or before == now:
            raise PromotionError(f"{to}: expected a previous checkpoint to go back to, got none")
        verify_files(to / before)
        _require_base(to / before)
        _link(to, CURRENT, before)
        _link(to, PREVIOUS, now)
        return _log(to, Promotion(_now(), before, now, ""))


def _require_base(folder: Path) -> None:
    """Refuse an adapter without the weights that it was trained on: only they and it are a network."""
    if adapter_files.is_adapter(folder):
        adapter_files.open_base(folder)


def _require_rungs(folder: Path, waived: Collection[RungName]) -> None:
    """Refuse a checkpoint that lacks a rung which is not waived."""
    if forbidden := sorted(set(waived) & set(NEVER_WAIVED)):
        raise PromotionError(f"waive: expected none of {sorted(NEVER_WAIVED)}, got {forbidden}")
    climbed = ladder_file.read(folder)
    ladder_file.require_current(climbed, folder)
    missing = [rung for rung in climbed.missing if rung.name not in waived]
    if missing:
        faults = "".join(f"\n- {rung.name} {rung.outcome.replace('_', ' ')}: {rung.detail}" for rung in missing)
        raise PromotionError(f"{folder}: {len(missing)} of {len(climbed.rungs)} rungs are missing:{faults}")


def _copy(source: Path, target: Path) -> None:
    """The manifest, the files that it lists, ladder and card; on the disk and compared before `target` appears."""
    if target.exists():
        verify_files(target)
        return
    unfinished = target.with_name(f".{target.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    beside = (LADDER_NAME, _CARD_NAME)
    for path in sorted(source.iterdir()):
        if path.is_file() and (path.suffix in {".json", ".safetensors"} or path.name in beside):
            shutil.copyfile(path, unfinished / path.name)
    model_card.write(unfinished)
    verify_files(unfinished)
    to_disk(unfinished)
    unfinished.rename(target)
    names_to_disk(target.parent)


def _target(to: Path, link: str) -> str:
    """Name of the folder in `to` that a link leads to; empty without the link."""
    path = to / link
    if not path.is_symlink():
        if path.exists():
            raise PromotionError(f"{path}: expected a link to a promoted checkpoint, got something else")
        return ""
    name = str(path.readlink())
    if Path(name).name != name or not (to / name).is_dir():
        raise PromotionError(f"{path}: expected a link to a folder beside it, got one to {name!r}")
    return name


def _link(to: Path, link: str, name: str) -> None:
    """Lead `link` to `name` in one step."""
    unfinished = to / f".{link}.partial"
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(name)
    unfinished.replace(to / link)
    names_to_disk(to)


def _log(to: Path, promotion: Promotion) -> Promotion:
    with (to / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(promotion)) + "\n")
    to_disk(to / LOG_NAME)
    return promotion


@contextmanager
def _alone_in(to: Path) -> Iterator[None]:
    """Hold the lock of a folder of promoted checkpoints."""
    if to.exists() and not to.is_dir():
        raise PromotionError(f"{to}: expected a folder, got a file")
    if to.is_dir() and (to / "config.json").exists():
        raise PromotionError(f"{to}: expected a folder of promoted checkpoints, got a checkpoint")
    with alone_in(to, error=PromotionError):
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
