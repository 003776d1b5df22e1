"""A checkpoint is found in a folder, by this project's name for it, or on the hub; never with code or pickles."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros import sources
from magma_ros.checkpoint import load_pipeline
from magma_ros.errors import CheckpointError
from tests.model.random_checkpoints import CONTRACT, write_random_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_folder_is_itself(tmp_path: Path) -> None:
    """Any existing folder is taken as it is; what it holds is looked at later."""
    assert tmp_path == sources.find(tmp_path) == sources.find(str(tmp_path))


def test_the_projects_own_checkpoint_is_found_by_name() -> None:
    """magma-tiny is found wherever the command was started."""
    assert "magma-tiny" in sources.own_checkpoints()
    assert (sources.find("magma-tiny") / "magma_ros.json").is_file()


def test_a_hub_id_is_found_in_the_cache_without_a_network(hub_cache: Path) -> None:
    """What was fetched before is found by its id, also pinned to its commit, and is a checkpoint like any other."""
    repository = hub_cache / "models--someone--tiny"
    folder = write_random_checkpoint(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    assert folder == sources.find("someone/tiny")
    assert folder == sources.find(f"someone/tiny@{COMMIT}")
    assert CONTRACT == load_pipeline(sources.find("someone/tiny")).contract


@pytest.mark.parametrize(("source", "message"), [("a/absent", "'a/absent'.*cache"), ("a/absent@v1", "revision 'v1'")])
def test_a_checkpoint_that_cannot_be_had_is_one_error(hub_cache: Path, source: str, message: str) -> None:
    """Neither folder nor cached: a checkpoint error that names what was asked for."""
    with pytest.raises(CheckpointError, match=message):
        sources.find(source)


@pytest.mark.parametrize("source", ["", "tiny", "/no/such/folder", "../someone/tiny", "a/b/c", "https://a/b", "a/b@"])
def test_what_is_no_folder_and_no_hub_id_is_not_asked_for(source: str) -> None:
    """Anything else is refused without a request to the hub, and the names that there are are listed."""
    names = r"\['magma-tiny', 'magma-tiny-libero', 'magma-tiny-talking'\]"
    with pytest.raises(CheckpointError, match=rf"expected a checkpoint folder, .* or one of {names}"):
        sources.find(source)


def test_only_json_and_safetensors_are_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub is asked for two kinds of file at the top of the repository: never code, never pickles."""
    asked: list[dict[str, object]] = []
    fake = lambda *_, **options: asked.append(options) or str(tmp_path)  # noqa: E731 - shortest
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake)
    assert tmp_path == sources.find("someone/tiny@v1")
    assert [{"revision": "v1", "allow_patterns": ["*.json", "*.safetensors"], "ignore_patterns": ["*/*"]}] == asked
