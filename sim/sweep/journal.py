"""The folder of a sweep: what was asked, and a line for each finished trial that outlives the process and the power.

`sweep.json` is there whole before the first trial. `trials.jsonl` grows by one line per trial, on the disk before the
trial counts; only its last line can be torn, and then that trial is run again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from magma_ros.errors import SweepError
from magma_ros.folder_lock import LOCK_NAME, alone_in
from magma_ros.json_files import read_object
from magma_ros.sim.provenance import DECIDE_OUTCOMES
from magma_ros.sim.rollout import RolloutResult
from magma_ros.sim.sweep.plan import SweepSpec, Trial, TrialRecord
from magma_ros.whole_files import PARTIAL, replacing

FORMAT = 1
SPEC_NAME, TRIALS_NAME = "sweep.json", "trials.jsonl"
_BEFORE_THE_FIRST_BYTE = {f"{SPEC_NAME}{PARTIAL}", LOCK_NAME}
_BESIDE_THE_RESULT = ("wall_s", "worker", "started_at", "num_passes")


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """A sweep as far as it has come; the trials in the order of their tasks and seeds."""

    spec: SweepSpec
    trials: tuple[TrialRecord, ...]


class Journal:
    """The trials that are finished, in memory and, with a file, on the disk."""

    def __init__(self, spec: SweepSpec, trials: Mapping[Trial, TrialRecord] | None = None, *, file: int | None) -> None:
        """Go on with `trials`; new ones are appended to `file`, a descriptor, unless that is None."""
        self._spec, self._trials, self._file = spec, dict(trials or {}), file

    @property
    def record(self) -> SweepRecord:
        """The sweep so far."""
        return _in_order(self._spec, self._trials)

    def append(self, record: TrialRecord) -> None:
        """Keep a finished trial; on return it is on the disk.

        Raises:
            SweepError: this trial is finished already, or is not one of the sweep.
        """
        _add(self._trials, record, self._spec)
        if self._file is not None:
            line = memoryview(_to_line(record))
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)


@contextmanager
def open_journal(
    folder: Path | None, spec: SweepSpec, *, resume: bool = False, retry_errors: bool = False
) -> Iterator[Journal]:
    """The journal of `spec` in `folder`, which no other process writes meanwhile; without a folder, in memory alone.

    Args:
        folder: Made when it is not there.
        spec: What is asked.
        resume: Go on with what is there, or begin if nothing is; without it, a folder with a sweep is refused.
        retry_errors: Forget the trials that ended in an error, so that they are run again.

    Raises:
        SweepError: the folder holds something else, another sweep, one of other versions of what decides outcomes, or
            damaged lines, or another process writes to it.
    """
    if folder is None:
        yield Journal(spec, file=None)
        return
    require_usable(folder, resume=resume)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder, error=SweepError):
        require_usable(folder, resume=resume)  # again, now that nobody else can begin one
        spec = _begin(folder, spec)
        lines = _whole_lines(folder)
        trials = _parse(lines, spec, folder)
        if retry_errors:
            trials = {trial: record for trial, record in trials.items() if record.result.outcome != "error"}
            lines = b"".join(_to_line(record) for record in trials.values())
        _write(folder / TRIALS_NAME, lines)
        file = os.open(folder / TRIALS_NAME, os.O_WRONLY | os.O_APPEND)
        try:
            yield Journal(spec, trials, file=file)
        finally:
            os.close(file)


def require_usable(folder: Path, *, resume: bool) -> None:
    """Refuse a folder in which a sweep may not be begun or gone on with.

    Raises:
        SweepError: there is a sweep in it, and it is not to go on; or something else.
    """
    if folder.exists() and not folder.is_dir():
        raise SweepError(f"{folder}: expected a folder, got a file")
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if SPEC_NAME in present and not resume:
        raise SweepError(f"{folder}: expected no sweep there; go on with it (--resume) or choose another folder")
    if SPEC_NAME not in present and present - _BEFORE_THE_FIRST_BYTE:
        raise SweepError(f"{folder}: expected an empty folder or a sweep, got {sorted(present)[:5]}")


def read(folder: Path) -> SweepRecord:
    """The sweep in `folder`, also while it is running or after it was killed.

    Raises:
        SweepError: there is none, or it is damaged.
    """
    spec = read_spec(folder)
    return _in_order(spec, _parse(_whole_lines(folder), spec, folder))


def read_spec(folder: Path) -> SweepSpec:
    """What was asked of the sweep in `folder`.

    Raises:
        SweepError: there is none, or of another format.
    """
    path = folder / SPEC_NAME
    document = read_object(path, error=SweepError)
    if document.pop("format", None) != FORMAT:
        raise SweepError(f"{path}: expected a sweep of format {FORMAT}")
    known = {field.name for field in fields(SweepSpec)}
    if document.keys() != known:
        missing, unknown = sorted(known - document.keys()), sorted(document.keys() - known)
        raise SweepError(f"{path}: expected a sweep of this version, got one without {missing} and with {unknown}")
    document |= {name: tuple(document[name]) for name in ("tasks", "seeds")}
    return SweepSpec(**document)


def _begin(folder: Path, spec: SweepSpec) -> SweepSpec:
    """Write `sweep.json`, or make sure that the one that is there asks for the same; what it says now."""
    if (folder / SPEC_NAME).exists():
        there = read_spec(folder)
        _require_same(there, spec, folder)
        _require_same_versions(there, spec, folder)
        spec = replace(there, provenance=_went_on(there.provenance, spec.provenance))
        if spec == there:
            return there
    document = {"format": FORMAT, **asdict(spec)}
    _write(folder / SPEC_NAME, f"{json.dumps(document, indent=2)}\n".encode())
    return spec


def _went_on(begun: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a sweep was begun, and under `resumed` where else it went on, each place once."""
    resumed = list(begun.get("resumed", ()))
    first = {name: value for name, value in begun.items() if name != "resumed"}
    return begun if now in (first, *resumed) else {**begun, "resumed": [*resumed, now]}


def _require_same(there: SweepSpec, asked: SweepSpec, folder: Path) -> None:
    """Refuse another sweep, naming every difference; where it was measured (`provenance`) may differ."""
    plain = (json.loads(json.dumps({**asdict(spec), "provenance": None})) for spec in (there, asked))
    old, new = (_leaves(document) for document in plain)
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if differing:
        shown = "; ".join(f"{name} {_short(old.get(name))}, asked {_short(new.get(name))}" for name in differing)
        raise SweepError(f"{folder} holds another sweep: {shown}")


def _require_same_versions(there: SweepSpec, asked: SweepSpec, folder: Path) -> None:
    """Refuse to mix trials that other versions would have ended otherwise."""
    old, new = (spec.provenance.get("versions", {}) for spec in (there, asked))
    differing = [name for name in DECIDE_OUTCOMES if old.get(name) != new.get(name)]
    if differing:
        shown = "; ".join(f"{name} {old.get(name)}, here {new.get(name)}" for name in differing)
        raise SweepError(f"{folder} was measured with other versions: {shown}; go on with those, or in another folder")


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Every value below nested objects, by its dotted name."""
    if not (isinstance(value, dict) and value):
        return {name: value}
    below = [_leaves(inner, f"{name}.{key}" if name else key) for key, inner in value.items()]
    return {key: leaf for leaves in below for key, leaf in leaves.items()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)


def _in_order(spec: SweepSpec, trials: Mapping[Trial, TrialRecord]) -> SweepRecord:
    wanted = (Trial(task, seed) for task in spec.tasks for seed in spec.seeds)
    return SweepRecord(spec, tuple(trials[trial] for trial in wanted if trial in trials))


def _add(trials: dict[Trial, TrialRecord], record: TrialRecord, spec: SweepSpec) -> None:
    trial = record.trial
    if trial in trials:
        raise SweepError(f"{trial.task}, seed {trial.seed}: expected one record of this trial, got a second one")
    if trial.task not in spec.tasks or trial.seed not in spec.seeds:
        raise SweepError(f"{trial.task}, seed {trial.seed}: expected a trial of the sweep")
    trials[trial] = record


def _to_line(record: TrialRecord) -> bytes:
    result = asdict(record.result)
    del result["seed"]
    beside = {name: getattr(record, name) for name in _BESIDE_THE_RESULT}
    return json.dumps({**asdict(record.trial), **result, **beside}).encode() + b"\n"


def _from_line(line: bytes) -> TrialRecord:
    document = json.loads(line)
    trial = Trial(document.pop("task"), document.pop("seed"))
    beside = {name: document.pop(name) for name in _BESIDE_THE_RESULT}
    return TrialRecord(trial, RolloutResult(seed=trial.seed, **document), **beside)


def _whole_lines(folder: Path) -> bytes:
    """The journal without a torn last line."""
    path = folder / TRIALS_NAME
    text = path.read_bytes() if path.is_file() else b""
    return text[: text.rfind(b"\n") + 1]


def _parse(lines: bytes, spec: SweepSpec, folder: Path) -> dict[Trial, TrialRecord]:
    trials: dict[Trial, TrialRecord] = {}
    for number, line in enumerate(lines.splitlines(), start=1):
        try:
            record = _from_line(line)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SweepError(f"{folder / TRIALS_NAME}, line {number}: expected a finished trial: {error!r}") from error
        _add(trials, record, spec)
    return trials
