"""What a number was measured with."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import pytest

from magma_ros.sim import provenance as module
from magma_ros.sim.provenance import provenance, source_commit


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def move_source(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As if the package lay in `folder`, which may be in a repository."""
    (folder / "sim").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(folder / "sim" / "provenance.py"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and one file."""
    (tmp_path / "notes.txt").write_text("one", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "notes.txt")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return tmp_path


def test_provenance_names_commit_versions_device_and_machine() -> None:
    """A report says with what it was made, in plain JSON."""
    document = provenance(device="cpu")
    assert json.loads(json.dumps(document)) == document
    assert set(document) == {"commit", "versions", "device", "machine"}
    assert document["versions"]["python"] == platform.python_version()
    assert "numpy" in document["versions"]
    assert document["device"] == "cpu"


def test_the_commit_is_the_checkout_s_and_says_when_it_was_changed(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the project's own checkout it is the hash, with `-dirty` after a change of a tracked file."""
    move_source(monkeypatch, repository)
    head = git(repository, "rev-parse", "HEAD")
    assert head == source_commit()
    (repository / "notes.txt").write_text("two", encoding="utf-8")
    assert f"{head}-dirty" == source_commit()


def test_a_repository_around_an_installed_package_is_not_the_source_s(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment in somebody's thesis does not report the thesis's commit."""
    move_source(monkeypatch, repository / "venv" / "site-packages" / "magma_ros")
    assert source_commit() is None
