"""Pictures vary within their limits, all cameras alike, the same for the same generator, never mirrored."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.finetune.augmentation import Augmentation
from magma_ros.types import ImageArray

EVERYTHING = Augmentation(
    crop_share=0.8,
    max_shift_px=3,
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    hue=0.05,
    blur_px=0.8,
    noise_levels=4,
)


def picture(height: int = 40, width: int = 60) -> ImageArray:
    """Slopes of three colours, and stripes."""
    down, across = np.mgrid[0:height, 0:width]
    channels = [40 + 2 * across, 200 - 3 * down, 60 + across + down + 40 * (across % 5 == 0)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def test_the_defaults_change_nothing_and_draw_nothing() -> None:
    """The very same arrays come back, and the generator is where it was."""
    pictures, generator = {"image": picture()}, np.random.default_rng(0)
    assert pictures["image"] is Augmentation().apply(pictures, generator)["image"]
    assert np.random.default_rng(0).random() == generator.random()


@pytest.mark.parametrize("field", [field.name for field in fields(Augmentation)])
def test_each_option_has_an_effect_of_its_own(field: str) -> None:
    """One option alone changes the picture, keeps its size and type, and leaves the given one as it was."""
    alone = replace(Augmentation(), **{field: getattr(EVERYTHING, field)})
    before = picture()
    changed = alone.apply({"image": before}, np.random.default_rng(0))["image"]
    assert (before.shape, np.uint8) == (changed.shape, changed.dtype)
    assert (changed != before).any()
    np.testing.assert_array_equal(picture(), before)


def test_the_same_generator_changes_a_picture_alike() -> None:
    """To the byte; another generator changes it otherwise."""
    same, again, other = (
        EVERYTHING.apply({"image": picture()}, np.random.default_rng(seed))["image"] for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(same, again)
    assert (same != other).any()


def test_all_cameras_change_alike() -> None:
    """Two cameras that see the same show the same afterwards, but for the noise of their pixels."""
    quiet = replace(EVERYTHING, noise_levels=0)
    changed = quiet.apply({"front": picture(), "wrist": picture()}, np.random.default_rng(0))
    np.testing.assert_array_equal(changed["front"], changed["wrist"])


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_no_draw_mirrors_a_picture(seed: int) -> None:
    """What brightens to the right and darkens downwards still does, for any draw of every option together."""
    down, across = np.mgrid[0:48, 0:48]
    slope = np.repeat((80 + 2 * across - down)[..., None], 3, axis=-1).astype(np.uint8)
    changed = EVERYTHING.apply({"image": slope}, np.random.default_rng(seed))["image"].astype(float)
    assert changed[:, 24:].mean() > changed[:, :24].mean() + 10
    assert changed[24:].mean() < changed[:24].mean() - 5


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_changes_stay_within_their_limits(seed: int) -> None:
    """Grey 100 stays within ± 20 % of brightness; an edge moves by at most 3 px and half of what a crop takes off."""
    grey = np.full((32, 32, 3), 100, np.uint8)
    brighter = Augmentation(brightness=0.2).apply({"image": grey}, np.random.default_rng(seed))["image"]
    assert 80 <= brighter.min() <= brighter.max() <= 120
    edge = np.zeros((100, 100, 3), np.uint8)
    edge[:, 50:] = 255
    shifted = Augmentation(max_shift_px=3).apply({"image": edge}, np.random.default_rng(seed))["image"]
    assert 47 <= (shifted[50, :, 0] < 128).sum() <= 53
    cut = Augmentation(crop_share=0.81).apply({"image": edge}, np.random.default_rng(seed))["image"]
    assert 44 <= (cut[50, :, 0] < 128).sum() <= 56


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("crop_share", 0.0),
        ("crop_share", 1.1),
        ("brightness", 1.5),
        ("hue", 0.6),
        ("noise_levels", -1.0),
        ("max_shift_px", float("inf")),
        ("blur_px", float("nan")),
    ],
)
def test_limits_that_make_no_sense_are_refused(option: str, value: float) -> None:
    """The error names option, range and value."""
    with pytest.raises(InvalidInputError, match=rf"augmentation: {option}: expected .* got {value}"):
        replace(Augmentation(), **{option: value})
