"""Writing a report, and the command that does."""

from __future__ import annotations

import json

import pytest
from pyarrow import parquet

from magma_ros.cli import main
from magma_ros.sim import report
from tests.sim.report.sweeps import make_record, make_spec, write_folder


def test_three_files_are_written_beside_the_journal(tmp_path) -> None:
    """The page, JSON and Parquet; again gives the very same page."""
    folder = write_folder(tmp_path / "a", make_record({"a": "ssf"}))
    page = report.write(folder)
    first = page.read_bytes()
    assert page == folder / "report.html"
    assert first.startswith(b"<!doctype html>")
    assert json.loads((folder / "report.json").read_text())["num_successes"] == 2
    assert parquet.read_table(folder / "trials.parquet").num_rows == 3
    assert report.write(folder).read_bytes() == first


def test_the_command_compares_the_first_folder_with_the_others(tmp_path, capsys) -> None:
    """It says where the page is; the other folders are left as they were."""
    one = write_folder(tmp_path / "one", make_record({"a": "ssf"}))
    two = write_folder(tmp_path / "two", make_record({"a": "fff"}, make_spec(("a",), policy="noop")))
    assert main(["report", str(one), str(two)]) == 0
    assert f"wrote {one / 'report.html'}" in capsys.readouterr().out
    assert "magma-tiny against noop" in (one / "report.html").read_text()
    assert not (two / "report.html").exists()


@pytest.mark.parametrize("arguments", [[], ["nowhere"]])
def test_what_is_no_sweep_is_refused(arguments, capsys) -> None:
    """With the reason, in a line."""
    assert main(["report", *arguments]) == 2
    assert "magma-ros report: " in capsys.readouterr().err
