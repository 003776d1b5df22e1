"""The report and the exit status of `magma-ros doctor`."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from magma_ros.cli import main
from magma_ros.doctor import report
from magma_ros.doctor.finding import fail, ok, warn

FINDINGS = (
    ok("Python", "3.12.3"),
    warn("malloc", "not set", "export X=1"),
    fail("camera", "gone: ['a']", "plug it in"),
)


def test_the_table_shows_every_finding_its_cure_and_the_counts():
    """Nothing is lost to Rich's own use of brackets."""
    console = Console(file=io.StringIO(), width=100)
    report.show(FINDINGS, console)
    shown = console.file.getvalue()
    for part in ("3.12.3", "→ export X=1", "gone: ['a']", "→ plug it in", "1 ok, 1 warn, 1 fail"):
        assert part in shown, part


def test_json_is_one_document():
    """Programs get the same findings, and one word on the whole."""
    document = report.to_document(FINDINGS)
    assert not document["healthy"]
    assert {"check": "camera", "verdict": "fail", "found": "gone: ['a']", "cure": "plug it in"} == document["findings"][
        2
    ]


def test_warnings_are_healthy():
    """Only a failure makes the whole ill."""
    assert report.is_healthy(FINDINGS[:2])
    assert not report.is_healthy(FINDINGS)


def test_the_exit_status_is_0_without_failures_and_1_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """This environment passes without a graph; an arm that nobody knows does not, and still everything is shown."""
    findings = tmp_path / "new" / "doctor.json"
    assert 0 == main(["doctor", "--no-graph", "--json", str(findings)])
    healthy = json.loads(findings.read_text())
    assert healthy["healthy"]
    assert {"Python", "MuJoCo GL", "messages", "arm file"} <= {found["check"] for found in healthy["findings"]}
    assert 1 == main(["doctor", "--no-graph", "--arm", "kuka"])
    shown = capsys.readouterr().out
    assert "expected a YAML file or one of" in " ".join(shown.split())
    assert "1 fail" in shown


def test_a_time_that_is_too_long_is_refused(capsys: pytest.CaptureFixture[str]):
    """An option out of its range exits 2, as for every subcommand."""
    assert 2 == main(["doctor", "--listen-s", "600"])
    assert "listen_s: expected more than 0 and at most 60 s" in capsys.readouterr().err
