"""`magma-ros bench`, as a user calls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from magma_ros.cli import main
from magma_ros.sim import bench


@pytest.fixture
def two_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with one benchmark that ends well, one that does not, and a file that is none."""
    body = "if __name__ == '__main__':\n    "
    (tmp_path / "good.py").write_text(f'"""How good it is."""\n{body}print("| 1 ms |")\n')
    (tmp_path / "poor.py").write_text(f'"""How poor it is."""\n{body}raise SystemExit(3)\n')
    (tmp_path / "shared.py").write_text('"""What both use."""\n')

    def here(name: str) -> Iterator[Path]:
        assert name == "benchmarks"
        yield tmp_path

    monkeypatch.setattr(bench, "shared_folders", here)


@pytest.mark.usefixtures("two_scripts")
def test_what_is_named_is_run_and_its_end_is_the_status(capfd: pytest.CaptureFixture[str]) -> None:
    """Output comes under the benchmark's name; one that breaks off ends the command with 1."""
    assert 0 == main(["bench", "good"])
    assert "# good\n| 1 ms |\n" == capfd.readouterr().out
    assert 1 == main(["bench", "poor", "good"])
    assert "# poor\n" == capfd.readouterr().out


@pytest.mark.usefixtures("two_scripts")
def test_an_unknown_name_is_refused_before_anything_runs(capfd: pytest.CaptureFixture[str]) -> None:
    """The refusal names what there is; modules that benchmarks share are not among it."""
    assert 2 == main(["bench", "good", "fast"])
    captured = capfd.readouterr()
    assert "" == captured.out
    assert "expected some of good, poor, got fast" in captured.err


def test_the_list_has_every_benchmark_with_its_first_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """What runs without a name is among them, and nothing is measured."""
    assert 0 == main(["bench", "--list"])
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(bench.DEFAULT) <= set(listed)
    assert listed["wire"].startswith("What a policy costs more behind a socket")
