"""The trials of a sweep as a Parquet file: a row each, what the sweep was in the file's own metadata."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magma_ros.errors import SweepError
from magma_ros.markup import clean
from magma_ros.sim.sweep.journal import SweepRecord
from magma_ros.sim.sweep.plan import SweepSpec, TrialRecord

if TYPE_CHECKING:
    import pyarrow as pa

SWEEP_KEY = b"magma_ros.sweep"
"""Of the file's metadata: the sweep's protocol and provenance as JSON."""


def write_trials(path: Path, record: SweepRecord) -> None:
    """Write the trials, in the order of tasks and seeds; `docs/reports.md` says what the columns are.

    Raises:
        SweepError: pyarrow is not installed.
    """
    try:
        from pyarrow import Table, parquet  # noqa: PLC0415 - large, and only needed here
    except ImportError as error:
        raise SweepError("trials.parquet: expected pyarrow, `pip install pyarrow` brings it") from error
    place = {task: i for i, task in enumerate(record.spec.tasks)}
    trials = sorted(record.trials, key=lambda done: (place[done.trial.task], done.trial.seed))
    columns = schema().with_metadata({SWEEP_KEY: json.dumps(asdict(record.spec)).encode()})
    table = Table.from_pylist([_row(record.spec, done) for done in trials], schema=columns)
    parquet.write_table(table, path, compression="zstd")


def schema() -> pa.Schema:
    """Names and types of the columns."""
    import pyarrow as pa  # noqa: PLC0415 - large, and only needed here

    counts, facts = pa.map_(pa.string(), pa.int64()), pa.map_(pa.string(), pa.bool_())
    types = {
        "suite": pa.string(),
        "policy": pa.string(),
        "task": pa.string(),
        "seed": pa.int64(),
        "outcome": pa.string(),
        "success": pa.bool_(),
        "success_step": pa.int64(),
        "num_steps": pa.int64(),
        "num_inferences": pa.int64(),
        "num_passes": pa.float64(),
        "num_stops": pa.int64(),
        "num_limited": pa.int64(),
        "stop_reasons": counts,
        "flags": facts,
        "variant": pa.string(),
        "detail": pa.string(),
        "wall_s": pa.float64(),
        "worker": pa.string(),
        "started_at": pa.timestamp("ms", tz="UTC"),
    }
    return pa.schema(list(types.items()))


def _row(spec: SweepSpec, done: TrialRecord) -> dict[str, Any]:
    result = done.result
    return {
        "suite": spec.suite,
        "policy": clean(spec.policy),
        "task": done.trial.task,
        "seed": done.trial.seed,
        "outcome": result.outcome,
        "success": None if result.outcome == "error" else result.outcome == "success",
        "success_step": result.success_step,
        "num_steps": result.num_steps,
        "num_inferences": result.num_inferences,
        "num_passes": done.num_passes,
        "num_stops": result.num_stops,
        "num_limited": result.num_limited,
        "stop_reasons": list(result.stop_reasons.items()),
        "flags": list(result.flags.items()),
        "variant": clean(result.variant),
        "detail": clean(result.detail),
        "wall_s": done.wall_s,
        "worker": clean(done.worker),
        "started_at": datetime.fromisoformat(done.started_at),
    }
