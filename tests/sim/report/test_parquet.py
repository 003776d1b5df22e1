"""The trials as Parquet."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from magma_ros.errors import SweepError
from magma_ros.sim.report.parquet import SWEEP_KEY, schema, write_trials
from tests.sim.report.sweeps import TRACEBACK, make_record

DOCS = Path(__file__).parents[3] / "docs" / "reports.md"


def test_a_trial_comes_back_as_it_was(tmp_path) -> None:
    """Every value of the record, typed; an error is neither success nor failure."""
    path = tmp_path / "trials.parquet"
    write_trials(path, make_record({"a": "fe", "b": "s"}, variant="light"))
    failure, error, success = parquet.read_table(path).to_pylist()
    assert [row["success"] for row in (failure, error, success)] == [False, None, True]
    assert (error["outcome"], error["detail"]) == ("error", TRACEBACK)
    assert failure["stop_reasons"] == [("high_entropy", 3)]
    assert success == {
        "suite": "bridge",
        "policy": "magma-tiny",
        "task": "b",
        "seed": 0,
        "outcome": "success",
        "success": True,
        "success_step": 20,
        "num_steps": 60,
        "num_inferences": 60,
        "num_passes": 30.0,
        "num_stops": 0,
        "num_limited": 0,
        "stop_reasons": [],
        "flags": [("grasped", True)],
        "variant": "light",
        "detail": "",
        "wall_s": 1.5,
        "worker": "worker 0",
        "started_at": datetime(2026, 11, 22, 10, tzinfo=UTC),
    }


def test_the_file_says_what_the_sweep_was(tmp_path) -> None:
    """Protocol and provenance are in its metadata, also without a trial."""
    path = tmp_path / "trials.parquet"
    write_trials(path, make_record({"a": ""}))
    sweep = json.loads(parquet.read_schema(path).metadata[SWEEP_KEY])
    assert sweep["provenance"]["commit"] == "c0ffee"
    assert parquet.read_table(path).num_rows == 0


def test_every_column_is_documented() -> None:
    """docs/reports.md names each of them."""
    documented = set(re.findall(r"`([a-z_0-9]+)`", DOCS.read_text(encoding="utf-8")))
    assert set(schema().names) - documented == set()


def test_without_pyarrow_a_report_says_what_is_missing(tmp_path, monkeypatch) -> None:
    """The refusal names the package; nothing else of the reports needs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SweepError, match="pip install pyarrow"):
        write_trials(tmp_path / "trials.parquet", make_record({"a": "s"}))
