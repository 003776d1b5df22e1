"""The values that flow through the house."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.types import Action, ActionChunk, ModelInput, PicturesOnDemand
from tests.examples import NO_TOKENS, make_action, make_observation, make_proprio


def test_arrays_are_copied_in_and_read_only() -> None:
    """Changing the source later changes nothing, and what is handed out cannot be written to."""
    source = np.zeros(3)
    action = Action(source, np.zeros(3), 1.0, "base_link")
    source[0] = 9.0
    assert action.translation_m[0] == 0.0
    for array in (action.translation_m, make_observation().images["image"], make_proprio([0, 0, 0]).ee_position_m):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_action_array_has_translation_rotation_gripper() -> None:
    """The seven columns are translation, rotation vector and gripper opening, both ways."""
    row = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    action = Action.from_array(row, frame="base_link")
    assert row == action.to_array().tolist()
    assert action.rotation_vector_rad.tolist() == [0.4, 0.5, 0.6]
    assert action.gripper_opening == 0.7


@pytest.mark.parametrize("length", [6, 8])
def test_six_or_eight_numbers_are_no_action(length: int) -> None:
    """Only seven numbers are an action."""
    with pytest.raises(InvalidInputError):
        Action.from_array(np.zeros(length), frame="base_link")


def test_chunk_gives_its_actions_in_its_frame() -> None:
    """Item i of a chunk is row i, in the chunk's frame; there is at least one."""
    chunk = ActionChunk([make_action(0.1).to_array(), make_action(0.2).to_array()], "tool0", 1.0, NO_TOKENS)
    assert len(chunk) == 2
    assert chunk[1].translation_m[0] == 0.2
    assert chunk[1].frame == "tool0"
    with pytest.raises(InvalidInputError, match="at least one"):
        ActionChunk(np.empty((0, 7)), "tool0", 1.0, NO_TOKENS)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), "image"]
)
def test_only_colour_pictures_are_observed(image: object) -> None:
    """Another type or shape than (height, width, 3) uint8 raises."""
    with pytest.raises(InvalidInputError, match="image"):
        make_observation(images={"image": image})
    with pytest.raises(InvalidInputError, match="image"):
        ModelInput(images=(image,), prompt="")


def test_observed_pictures_cannot_be_exchanged() -> None:
    """The mapping of cameras is read-only too."""
    with pytest.raises(TypeError):
        make_observation().images["image"] = np.zeros((1, 1, 3), np.uint8)


def test_pictures_on_demand_are_drawn_once_and_only_when_looked_at() -> None:
    """Names, count, and an observation made of them draw nothing; a look draws one; a pickle has all of them drawn."""
    drawings: list[str] = []

    def draw(camera: str) -> np.ndarray:
        drawings.append(camera)
        return np.full((2, 3, 3), len(camera), np.uint8)

    pictures = PicturesOnDemand(["front", "wrist"], draw)
    observation = make_observation(images=pictures)
    assert (["front", "wrist"], 2) == (list(observation.images), len(observation.images))
    assert (True, False, []) == ("front" in observation.images, "side" in observation.images, drawings)
    assert 5 == observation.images["front"][0, 0, 0] == observation.images["front"][1, 2, 2]
    assert ["front"] == drawings
    with pytest.raises(ValueError, match="read-only"):
        observation.images["front"][0] = 1
    with pytest.raises(KeyError):
        observation.images["side"]
    assert pictures != PicturesOnDemand(["front", "wrist"], draw)
    sent = pickle.loads(pickle.dumps(observation))  # noqa: S301 - ours
    assert ["front", "wrist"] == drawings == list(sent.images)


def test_an_observation_shows_the_cameras_that_somebody_sees() -> None:
    """The others are neither there nor drawn; with all of them, or one that is missing, it stays as it is."""
    drawings: list[str] = []
    pictures = PicturesOnDemand(["front", "wrist"], lambda name: drawings.append(name) or np.zeros((2, 3, 3), np.uint8))
    observation = make_observation(images=pictures)
    seen = observation.seen_by({"wrist"})
    assert (["wrist"], []) == (list(seen.images), drawings)
    np.testing.assert_array_equal(observation.images["wrist"], seen.images["wrist"])
    assert ["wrist"] == drawings
    assert (observation.instruction, observation.stamp_s) == (seen.instruction, seen.stamp_s)
    assert observation.seen_by({"front", "wrist"}) is observation
    assert observation.seen_by({"wrist", "side"}) is observation


def test_what_is_drawn_on_demand_must_be_a_picture() -> None:
    """Other numbers than uint8 raise at the first look."""
    observation = make_observation(images=PicturesOnDemand(["image"], lambda _: np.zeros((4, 4, 3))))
    with pytest.raises(InvalidInputError, match="image 'image': expected uint8"):
        observation.images["image"]
