"""Episodes as values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from magma_ros.contract import CameraSpec
from magma_ros.episodes.episode import require_fits
from magma_ros.errors import EpisodeError, NotFiniteError
from tests.examples import CONTRACT, make_episode


def test_recorded_step_is_the_observation_that_a_policy_saw() -> None:
    """Observation and action of a step come back as the house's values."""
    episode = make_episode()
    observation = episode.observation(2)
    np.testing.assert_array_equal(episode.images["image"][2], observation.images["image"])
    np.testing.assert_array_equal(episode.ee_position_m[2], observation.proprio.ee_position_m)
    assert observation.stamp_s == episode.stamps_s[2]
    assert observation.instruction == episode.instruction
    np.testing.assert_array_equal(episode.actions[2], episode.action(2, frame="base_link").to_array())


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": np.zeros((3, 7))},
        {"actions": np.zeros((4, 6))},
        {"actions": np.full((4, 7), np.nan)},
        {"images": {"image": np.zeros((4, 8, 8, 3), np.float32)}},
        {"images": {"image": np.zeros((3, 8, 8, 3), np.uint8)}},
        {"images": {}},
        {"stamps_s": np.zeros(4)},
        {"stamps_s": np.array([0.0, 0.4, 0.2, 0.6])},
        {"instruction": " "},
        {"gripper_opening": np.zeros((4, 1))},
        {"interventions": np.zeros(3, bool)},
        {"interventions": np.zeros(4)},
    ],
)
def test_episodes_that_do_not_agree_with_themselves_are_refused(changes: dict[str, object]) -> None:
    """Lengths that differ, other types, numbers that are not finite and time that stands still raise."""
    with pytest.raises(EpisodeError):
        make_episode(4, **changes)


def test_numbers_that_are_not_finite_are_named() -> None:
    """The error is its own kind, and says in which array and from which step on."""
    actions = np.zeros((4, 7))
    actions[2, 5] = np.nan
    with pytest.raises(NotFiniteError, match=r"actions from step 2$"):
        make_episode(4, actions=actions)


def test_nobody_intervened_where_nothing_is_said() -> None:
    """An episode that is made without marks has one False per step, and no operator."""
    episode = make_episode(3)
    assert episode.interventions.tolist() == [False] * 3
    assert episode.operator == ""


def test_an_episode_without_steps_is_refused() -> None:
    """There is nothing to learn from nothing."""
    with pytest.raises(EpisodeError):
        make_episode(0)


def test_every_array_that_is_not_finite_is_named_with_its_first_step() -> None:
    """Infinity is none either; arrays that are finite are not mentioned."""
    positions, openings = np.zeros((4, 3)), np.zeros(4)
    positions[[3, 1], [0, 2]] = np.inf, -np.inf
    openings[0] = np.nan
    message = "got others in ee_position_m from step 1, gripper_opening from step 0$"
    with pytest.raises(NotFiniteError, match=message):
        make_episode(4, ee_position_m=positions, gripper_opening=openings)


def test_an_episode_owns_its_arrays() -> None:
    """What the caller does with his own afterwards changes nothing, and nobody writes into the episode's."""
    actions, pictures = np.zeros((4, 7)), np.zeros((4, 2, 2, 3), np.uint8)
    episode = make_episode(4, actions=actions, images={"image": pictures})
    actions[:], pictures[:] = 1.0, 255
    assert (0.0, 0) == (episode.actions.max(), episode.images["image"].max())
    for array in (episode.actions, episode.images["image"], episode.stamps_s, episode.interventions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (1, 0.06 * (1 + 0.9e-6), None),
        (1, -0.06 * (1 + 1.2e-6), r"expected a translation of at most 0\.06 per step, got 0\.0600001$"),
        (4, 0.5, None),
        (4, -0.51, r"expected a rotation of at most 0\.5 per step, got 0\.51$"),
        (6, 50.0, None),
    ],
)
def test_steps_fit_up_to_the_contracts_longest(column: int, value: float, message: str | None) -> None:
    """A millionth beyond it is rounding; the gripper is no length. The error says where."""
    actions = np.zeros((4, 7))
    actions[2, column] = value
    episode = make_episode(4, actions=actions)
    if message is None:
        require_fits(episode, CONTRACT, where="demo 3")
    else:
        with pytest.raises(EpisodeError, match=f"^demo 3: {message}"):
            require_fits(episode, CONTRACT, where="demo 3")


def test_the_contracts_cameras_must_be_there_and_more_may_be() -> None:
    """All that were expected and all that there are, in the order of the alphabet."""
    cameras = {name: np.zeros((4, 2, 2, 3), np.uint8) for name in ("wrist", "image")}
    require_fits(make_episode(4, images=cameras), CONTRACT, where="demo 3")
    wanted: dict[str, Any] = {"cameras": tuple(CameraSpec(name, 2, 2) for name in ("wrist", "top"))}
    message = r"^demo 3: expected the cameras \['top', 'wrist'\], got \['image', 'wrist'\]$"
    with pytest.raises(EpisodeError, match=message):
        require_fits(make_episode(4, images=cameras), replace(CONTRACT, **wanted), where="demo 3")
