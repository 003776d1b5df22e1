"""Orientation and size of pictures."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.images import MAX_SIDE_PX, check_image, orient, resize, to_rgb


def picture(height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_half_turn_puts_the_last_pixel_first() -> None:
    """A rotated picture is read from its far corner."""
    image = picture()
    np.testing.assert_array_equal(image[::-1, ::-1], orient(image, rotate_180=True))
    np.testing.assert_array_equal(image, orient(orient(image, rotate_180=True), rotate_180=True))


def test_right_way_up_is_left_alone() -> None:
    """Without a rotation the very same array comes back."""
    image = picture()
    assert image is orient(image, rotate_180=False)


def test_equal_size_is_the_same_array() -> None:
    """A picture that already has the size is not resampled."""
    image = picture()
    assert image is resize(image, height_px=6, width_px=8)


def test_shrinking_averages_areas() -> None:
    """Half the size on both sides is the mean of each 2 x 2 block, rounded."""
    image = picture(4, 4)
    blocks = image.reshape(2, 2, 2, 2, 3).astype(float).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks, resize(image, height_px=2, width_px=2), atol=0.5)


def test_height_and_width_are_not_swapped() -> None:
    """The result has the height and width that were asked for."""
    assert (5, 9, 3) == resize(picture(), height_px=5, width_px=9).shape


def test_constant_picture_stays_constant() -> None:
    """Growing and shrinking invent no colour."""
    image = np.full((7, 5, 3), 200, dtype=np.uint8)
    for size in ((3, 3), (20, 20), (3, 20)):
        assert (resize(image, height_px=size[0], width_px=size[1]) == 200).all()


def test_read_only_input_is_accepted_and_not_changed() -> None:
    """Pictures from an observation are read-only; resizing works on them."""
    image = picture()
    image.setflags(write=False)
    before = image.copy()
    resize(orient(image, rotate_180=True), height_px=3, width_px=4)
    np.testing.assert_array_equal(before, image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((3, 4, 4), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((1, MAX_SIDE_PX + 1, 3), dtype=np.uint8),
        [[[0, 0, 0]]],
    ],
)
def test_what_is_no_picture_is_refused(image: object) -> None:
    """Another type, number of channels, order of axes, an empty or a giant picture raises."""
    with pytest.raises(InvalidInputError, match="expected"):
        check_image(image)


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (MAX_SIDE_PX + 1, 4)])
def test_impossible_sizes_are_refused(size: tuple[int, int]) -> None:
    """A size outside the bounds raises."""
    with pytest.raises(InvalidInputError):
        resize(picture(), height_px=size[0], width_px=size[1])


@pytest.mark.parametrize("size", [(480, 640, 256, 256), (256, 256, 512, 512), (37, 100, 80, 50), (5, 7, 1, 1)])
@pytest.mark.parametrize(("name", "pillow"), [("bicubic", "BICUBIC"), ("lanczos3", "LANCZOS")])
def test_filters_are_pillows(size: tuple[int, int, int, int], name: str, pillow: str) -> None:
    """Upstream resized with Pillow; ours gives its levels, but for a rare rounding of one."""
    image = picture(*size[:2])
    expected = np.asarray(PIL.Image.fromarray(image).resize(size[:1:-1], PIL.Image.Resampling[pillow]), int)
    difference = np.abs(expected - resize(image, height_px=size[2], width_px=size[3], resampling=name))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


def test_an_unknown_filter_is_refused() -> None:
    """A misspelt filter is an error that lists the known ones."""
    with pytest.raises(InvalidInputError, match=r"expected one of .*area.*bicubic.*lanczos3.*got 'nearest'"):
        resize(picture(), height_px=3, width_px=3, resampling="nearest")


def test_every_kind_of_picture_becomes_rgb() -> None:
    """Grey is repeated, alpha is dropped, blue-first is turned; the colours themselves stay."""
    rgb = picture()
    grey = rgb[..., 0]
    alpha = np.full((*rgb.shape[:2], 1), 7, np.uint8)
    np.testing.assert_array_equal(rgb, to_rgb(rgb, order="rgb"))
    np.testing.assert_array_equal(rgb, to_rgb(rgb[..., ::-1], order="bgr"))
    np.testing.assert_array_equal(rgb, to_rgb(np.concatenate([rgb, alpha], axis=2), order="rgb"))
    np.testing.assert_array_equal(rgb, to_rgb(np.concatenate([rgb[..., ::-1], alpha], axis=2), order="bgr"))
    for one in (grey, grey[..., None]):
        np.testing.assert_array_equal(np.stack([grey] * 3, axis=2), to_rgb(one, order="rgb"))


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8), [[0]]])
def test_only_pictures_become_rgb(bad: object) -> None:
    """Floats, two channels, a single row and lists are errors, never guesses."""
    with pytest.raises(InvalidInputError, match="expected"):
        to_rgb(bad, order="rgb")
