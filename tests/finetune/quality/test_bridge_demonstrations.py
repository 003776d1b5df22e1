"""The checks on what the expert of the Bridge simulation really does, clean and with planted faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros.episodes import Episode, EpisodeDataset
from magma_ros.finetune.quality.report import check_dataset
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT
from tests.finetune.quality.demonstrations import NUM_EACH, TASKS, collect_demos
from tests.finetune.quality.moving_pictures import SYSTEMATIC, errors_of, findings_of, late_camera


@pytest.fixture(scope="module")
def demos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset of the simulation."""
    folder = tmp_path_factory.mktemp("bridge_demos")
    collect_demos(folder)
    return folder


@pytest.fixture(scope="module")
def demos(demos_folder: Path) -> list[Episode]:
    """Its episodes."""
    dataset = EpisodeDataset(demos_folder)
    return [dataset.read(index) for index in range(len(dataset))]


def test_the_experts_demonstrations_have_no_error(demos_folder: Path) -> None:
    """Perturbed and recovered, they are clean; the camera has no lag, and the arm follows its target."""
    report = check_dataset(demos_folder)
    assert len(report.episodes) == NUM_EACH * len(TASKS)
    assert [] == [finding for finding in report.findings if finding.severity == "error"]
    seen, followed = report.lags["camera image"], report.lags["measured motion"]
    assert seen is not None
    assert seen.steps == pytest.approx(0.0, abs=0.4)
    assert followed is not None
    assert followed.steps == pytest.approx(0.5, abs=0.75)


@pytest.mark.parametrize("name", SYSTEMATIC)
def test_a_fault_of_all_demonstrations_is_named_and_no_other(name: str, demos: list[Episode]) -> None:
    """What a wrong importer would do to them."""
    plant, code = SYSTEMATIC[name]
    assert {code} == errors_of([plant(episode) for episode in demos], contract=BRIDGE_CONTRACT)


@pytest.mark.parametrize("name", [name for name in SYSTEMATIC if name not in ("late_camera", "late_actions")])
def test_a_fault_of_one_demonstration_is_named_and_no_other(name: str, demos: list[Episode]) -> None:
    """Among clean ones; a shift in one of so few is within chance, `test_lag.py` has it among more."""
    plant, code = SYSTEMATIC[name]
    spoiled = [plant(demos[0]), *demos[1:]]
    assert {code} == errors_of(spoiled, contract=BRIDGE_CONTRACT)


def test_a_demonstration_that_is_there_twice_is_named(demos: list[Episode]) -> None:
    """As a duplicate, not as a near one."""
    assert {"duplicate_episode"} == errors_of([*demos, demos[1]], contract=BRIDGE_CONTRACT)


def test_few_late_demonstrations_are_a_hint_and_more_are_an_error(demos: list[Episode]) -> None:
    """The same lag of two steps in six and in twelve of them."""
    late = [late_camera(episode) for episode in demos]
    severities = {
        num: {f.severity for f in findings_of(late[:num], contract=BRIDGE_CONTRACT) if f.code == "camera_lag"}
        for num in (6, 12)
    }
    assert {6: {"warning"}, 12: {"error"}} == severities
