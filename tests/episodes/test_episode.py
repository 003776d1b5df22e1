"""Episodes as values."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.errors import EpisodeError, NotFiniteError
from tests.examples import make_episode


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
