"""Whole datasets on disk: what is damaged is named and the check goes on; the result is plain JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes import EpisodeWriter
from magma_ros.errors import EpisodeError
from magma_ros.finetune.quality.findings import CODES
from magma_ros.finetune.quality.report import QualityReport, check_dataset
from magma_ros.finetune.quality.thresholds import Thresholds
from tests.finetune.quality.demonstrations import cut_last_video, rewrite_action
from tests.finetune.quality.moving_pictures import reaching
from tests.model.random_checkpoints import CONTRACT

NUM_EPISODES = 5


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clean episodes with films, which stay as they are."""
    folder = tmp_path_factory.mktemp("written") / "demos"
    with EpisodeWriter(folder, contract=CONTRACT, source={"env": "invented"}, pictures="video") as writer:
        for seed in range(NUM_EPISODES):
            writer.append(reaching(seed))
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of them to spoil."""
    return Path(shutil.copytree(written, tmp_path / "demos"))


def errors(report: QualityReport) -> set[tuple[str, int | None]]:
    """Codes and episodes."""
    return {(finding.code, finding.episode) for finding in report.findings if finding.severity == "error"}


def test_a_clean_dataset_on_disk_is_clean(folder: Path) -> None:
    """Compression of films makes no finding."""
    report = check_dataset(folder)
    assert [] == [finding for finding in report.findings if finding.severity != "note"]
    assert NUM_EPISODES == report.num_episodes == len(report.episodes)
    assert report.lags["camera image"] is not None


def test_a_number_that_is_none_is_named_and_the_rest_is_checked(folder: Path) -> None:
    """NaN in one action of episode 1: its array and step are in the text."""
    rewrite_action(folder, episode=1, step=7, column=2, value=float("nan"))
    report = check_dataset(folder)
    assert {("not_finite", 1)} == errors(report)
    assert "actions from step 7" in report.of(1)[0].text
    assert [0, 2, 3, 4] == [episode.episode for episode in report.episodes]


def test_a_film_that_was_cut_off_is_named(folder: Path) -> None:
    """Half of the only film is gone: no episode can be read, and each is named."""
    cut_last_video(folder)
    report = check_dataset(folder)
    assert {("unreadable", episode) for episode in range(NUM_EPISODES)} == errors(report)
    assert () == report.episodes


def test_of_several_films_the_others_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large dataset has many: only the episodes of the last one are lost."""
    monkeypatch.setattr("magma_ros.episodes.frames._MAX_BYTES", 1)
    with EpisodeWriter(tmp_path, contract=CONTRACT, source={}, pictures="video") as writer:
        for seed in range(3):
            writer.append(reaching(seed, num_steps=20))
    cut_last_video(tmp_path)
    report = check_dataset(tmp_path)
    assert {("unreadable", 2)} == errors(report)
    assert [0, 1] == [episode.episode for episode in report.episodes]


def test_a_folder_that_is_no_dataset_or_an_empty_one_is_refused(tmp_path: Path) -> None:
    """There is nothing to check."""
    with pytest.raises(EpisodeError):
        check_dataset(tmp_path)
    with EpisodeWriter(tmp_path / "empty", contract=CONTRACT, source={}):
        pass
    with pytest.raises(EpisodeError, match="at least one episode"):
        check_dataset(tmp_path / "empty")


def test_the_document_is_plain_json_with_every_finding(folder: Path) -> None:
    """What is printed, drawn and counted is in it, with the limits that were applied."""
    rewrite_action(folder, episode=0, step=0, column=0, value=0.3)
    document = json.loads(json.dumps(check_dataset(folder).to_document(), allow_nan=False))
    assert {"error", "warning", "note"} == set(document["counts"])
    found = [(f["code"], f["severity"], f["episode"], f["steps"]) for f in document["findings"]]
    assert ("out_of_contract", "error", 0, [0, 0]) in found
    assert all(CODES[finding["code"]].fix == finding["fix"] for finding in document["findings"])
    assert NUM_EPISODES == document["num_readable"] == sum(document["instructions"].values())
    assert document["thresholds"]["idle_s"] == 2.0
    assert document["contract"] == CONTRACT.to_dict()


def test_thresholds_decide(folder: Path) -> None:
    """A limit that is lowered makes a finding of what was none."""
    strict = check_dataset(folder, thresholds=Thresholds(flat_levels=200.0))
    assert {"dark_picture"} == {code for code, _ in errors(strict)}
    assert np.all([finding.severity == "error" for finding in strict.findings[:NUM_EPISODES]])
