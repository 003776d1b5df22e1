"""Embodiments that come with the project are usable as they are, and anything else in such a file is refused."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from magma_ros import arms, embodiments
from magma_ros.action_tokens import ActionTokenizer
from magma_ros.errors import ContractError, MagmaRosError, NormalizationError
from magma_ros.pipeline import Pipeline, PipelineConfig, require_honest
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT


def document() -> dict[str, object]:
    """The content of a shipped file."""
    found: dict[str, object] = json.loads(Path("config/embodiments/bridge_widowx.json").read_text())
    return found


def test_the_project_brings_the_robots_that_the_release_was_evaluated_on() -> None:
    """Both of upstream's SimplerEnv robots are there by name, with upstream's rates and picture."""
    assert ["bridge_widowx", "bridge_wx250s", "google_robot"] == embodiments.available()
    rates = {name: embodiments.load(name).contract.control_rate_hz for name in embodiments.available()}
    assert {"bridge_widowx": 5.0, "bridge_wx250s": 5.0, "google_robot": 3.0} == rates
    for name in embodiments.available():
        contract = embodiments.load(name).contract
        (camera,) = contract.cameras
        assert name == contract.embodiment
        assert (256, 256, "bicubic") == (camera.height_px, camera.width_px, camera.resampling)


def test_the_bridge_embodiment_moves_the_simulated_arm() -> None:
    """Its actions mean the same motion as those of the simulated WidowX."""
    BRIDGE_CONTRACT.require_same_motion(embodiments.load("bridge_widowx").contract, who="the release")


def test_the_arm_that_bridge_was_recorded_on_takes_its_actions() -> None:
    """`bridge_wx250s` is Bridge's embodiment in the frame of the shipped arm file, and nothing else of it differs."""
    there, arm = embodiments.load("bridge_wx250s"), arms.load("wx250s")
    assert arm.frames.base == arms.safety_limits(arm, there.contract).workspace_frame
    original = embodiments.load("bridge_widowx")
    named = {"frame": there.contract.frame, "embodiment": there.contract.embodiment}
    assert dataclasses.replace(original.contract, **named) == there.contract
    assert original.norm_stats == there.norm_stats


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"like": "nobody"}, "nobody"),
        ({"like": 3}, "a text"),
        ({"contract": []}, "an object"),
        ({"action": {}}, "'like', a text"),
        ({"like": "bridge_wx250s"}, "like no other"),
        ({"contract": {"frame": ""}}, "named embodiment and frame"),
    ],
)
def test_a_likeness_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, object], error: str) -> None:
    """Nobody of that name, a chain, other keys and a contract that is none raise and say what was expected."""
    content = {"like": "bridge_widowx", "contract": {"frame": "left/base_link"}} | changes
    (tmp_path / "mine.json").write_text(json.dumps(content))
    with pytest.raises(ContractError, match=error):
        embodiments.load(tmp_path / "mine.json")


def test_the_published_golden_action_is_decoded() -> None:
    """The tokens that a user published give the motions that the reference computed for both robots."""
    tokens = [127857, 127873, 127868, 127904, 127861, 127874, 127744]
    expected = {
        "google_robot": [0.000549, -0.000575, 0.000476, 0.000639, 0.000016, -0.001170, 0.996],
        "bridge_widowx": [0.003146, -0.000748, 0.008073, -0.019935, -0.000111, -0.004902, 0.996],
    }
    for name, numbers in expected.items():
        stats = embodiments.load(name).norm_stats
        np.testing.assert_allclose(
            numbers, stats.unnormalize(ActionTokenizer(128000).decode(np.array(tokens))), atol=2e-4
        )


@pytest.mark.parametrize("name", embodiments.available())
def test_every_action_that_tokens_can_name_is_within_the_contract(name: str) -> None:
    """The longest steps that the statistics allow are honest ones: the bounds refuse nothing that the model can say."""
    given = embodiments.load(name)
    pipeline = Pipeline(PipelineConfig(given.contract, given.norm_stats, 128000, use_image_start_end=True))
    corners = np.array([[*ends, 127744] for ends in itertools.product((127744, 127999), repeat=6)])
    chunk = pipeline.decode(corners, stamp_s=0.0)
    for index in range(len(corners)):
        require_honest(chunk[index], given.contract)


def test_unknown_statistics_are_not_invented() -> None:
    """Upstream published quantiles and mask alone; the rest is None and is not written out."""
    stats = embodiments.load("bridge_widowx").norm_stats
    assert stats.mean is stats.std is stats.minimum is stats.maximum is None
    assert {"mask", "q01", "q99"} == set(stats.to_dict())


def test_an_embodiment_is_read_from_a_file(tmp_path: Path) -> None:
    """A user's own robot is a file of the same form; lower case is written when it asks for it."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document() | {"lowercase_instruction": True}))
    mine = embodiments.load(path)
    assert mine.lowercase_instruction
    assert embodiments.load("bridge_widowx").contract == mine.contract
    assert not embodiments.load("bridge_widowx").lowercase_instruction


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"contract": None}, ContractError),
        ({"action": []}, ContractError),
        ({"lowercase_instruction": "yes"}, ContractError),
        ({"surprise": 1}, ContractError),
        ({"contract": {}}, ContractError),
        ({"action": {"q01": [0.0] * 7}}, NormalizationError),
    ],
)
def test_a_file_of_another_form_is_refused(
    tmp_path: Path, changes: dict[str, object], error: type[MagmaRosError]
) -> None:
    """Missing parts, other types and unknown keys are errors."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document() | changes))
    with pytest.raises(error):
        embodiments.load(path)


@pytest.mark.parametrize("name", ["franka", "../embodiments/bridge_widowx", ""])
def test_an_unknown_embodiment_names_those_that_there_are(name: str) -> None:
    """A typo or a path that is no file lists the names."""
    with pytest.raises(ContractError, match=r"\['bridge_widowx', 'bridge_wx250s', 'google_robot'\]"):
        embodiments.load(name)
