"""Orientation and size of pictures."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from magma_ros.errors import InvalidInputError
from magma_ros.images import (
    MAX_SIDE_PX,
    bayer_to_rgb,
    check_image,
    cut_and_shift,
    decode,
    orient,
    recolour,
    resize,
    roughen,
    to_8_bit,
    to_rgb,
    yuv_to_rgb,
)


def picture(height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def written(pixels: np.ndarray, codec: str, **options: object) -> bytes:
    """The file that Pillow writes."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, codec, **options)
    return buffer.getvalue()


def bt601(luma: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """RGB after ITU-R BT.601: luma of 16 to 235, chroma of 16 to 240 around 128."""
    y, cb, cr = (luma - 16.0) / 219, (u - 128.0) / 224, (v - 128.0) / 224
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(rgb * 255, 0, 255)


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


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_sixteen_bits_become_the_nearest_of_256_levels(byte_order: str) -> None:
    """Every 16-bit value is rounded, not truncated, whatever the byte order."""
    values = np.arange(65536)
    expected = np.round(values / 65535 * 255).reshape(256, 256)
    np.testing.assert_array_equal(expected, to_8_bit(values.astype(f"{byte_order}u2").reshape(256, 256)))


def test_sixteen_bit_rows_may_be_padded_and_unaligned() -> None:
    """A view whose rows start at odd addresses is read like a packed one."""
    buffer = np.random.default_rng(0).integers(0, 256, 5 * 17 + 1, dtype=np.uint8)
    rows = buffer[1:].reshape(5, 17)[:, :12].view(np.uint16).reshape(5, 2, 3)
    np.testing.assert_array_equal(to_8_bit(rows.copy()), to_8_bit(rows))


@pytest.mark.parametrize("packing", ["uyvy", "yuyv"])
def test_yuv422_is_bt601(packing: str) -> None:
    """Colours are those of the standard's formula; both pixels of a pair share their chroma."""
    luma, chroma = np.random.default_rng(0).integers(16, 236, (2, 40, 60), dtype=np.uint8)
    parts = [chroma, luma] if packing == "uyvy" else [luma, chroma]
    u, v = np.repeat(chroma[:, 0::2], 2, axis=1), np.repeat(chroma[:, 1::2], 2, axis=1)
    np.testing.assert_allclose(bt601(luma, u, v), yuv_to_rgb(np.stack(parts, axis=-1), packing=packing), atol=1.5)


def test_nv21_is_bt601() -> None:
    """Four pixels share V and U, which stand in this order below the luma."""
    planes = np.random.default_rng(0).integers(16, 236, (60, 60), dtype=np.uint8)
    v, u = (planes[40:, k::2].repeat(2, axis=0).repeat(2, axis=1) for k in (0, 1))
    np.testing.assert_allclose(bt601(planes[:40], u, v), yuv_to_rgb(planes, packing="nv21"), atol=1.5)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_becomes_its_colours(pattern: str) -> None:
    """A picture of smooth colours, sampled through the filter, comes back; red and blue do not change places."""
    down, across = np.mgrid[0:40, 0:60]
    colours = np.stack([40 + 2 * down, 60 + across, 200 - down - across], axis=-1).astype(np.uint8)
    mosaic = np.empty((40, 60), np.uint8)
    for position, letter in enumerate(pattern):
        rows, columns = slice(position // 2, None, 2), slice(position % 2, None, 2)
        mosaic[rows, columns] = colours[rows, columns, "rgb".index(letter)]
    rgb = bayer_to_rgb(mosaic, pattern=pattern)
    np.testing.assert_allclose(colours[1:-1, 1:-1], rgb[1:-1, 1:-1], atol=1)
    np.testing.assert_allclose(colours, rgb, atol=5)  # the frame of one pixel repeats its neighbours


@pytest.mark.parametrize("size", [(3, 3), (3, 8), (5, 4)])
def test_the_smallest_mosaics_are_not_black(size: tuple[int, int]) -> None:
    """Constant mosaics down to three pixels a side keep their level at the border."""
    assert (bayer_to_rgb(np.full(size, 9, np.uint8), pattern="rggb") == 9).all()


def test_arrays_of_another_kind_are_not_converted() -> None:
    """Wrong types, shapes, odd chroma and mosaics too small to interpolate are errors."""
    with pytest.raises(InvalidInputError, match="uint16"):
        to_8_bit(picture())
    with pytest.raises(InvalidInputError, match="uint16"):
        to_8_bit(np.zeros(4, np.uint16))
    for bad in (np.zeros((4, 3, 2), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2)), picture()):
        with pytest.raises(InvalidInputError, match="uyvy"):
            yuv_to_rgb(bad, packing="uyvy")
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((6, 3), np.uint8), np.zeros((6, 4, 2), np.uint8)):
        with pytest.raises(InvalidInputError, match="nv21"):
            yuv_to_rgb(bad, packing="nv21")
    for bad in (np.zeros((2, 8), np.uint8), np.zeros((4, 4), np.uint16), picture()):
        with pytest.raises(InvalidInputError, match="Bayer"):
            bayer_to_rgb(bad, pattern="rggb")


def test_a_png_is_decoded_exactly() -> None:
    """Colour as RGB without alpha, grey as one channel, 16 bits to the nearest level."""
    rgb = picture()
    alpha = np.full((*rgb.shape[:2], 1), 7, np.uint8)
    wide = rgb[..., 0].astype(np.uint16) * 257 + 128
    np.testing.assert_array_equal(rgb, decode(written(rgb, "png")))
    np.testing.assert_array_equal(rgb, decode(written(np.concatenate([rgb, alpha], axis=2), "png")))
    np.testing.assert_array_equal(rgb[..., 0], decode(written(rgb[..., 0], "png")))
    np.testing.assert_array_equal(rgb[..., 0], decode(written(wide, "png")))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_jpeg_is_decoded_to_pillows_colours(options: dict[str, object]) -> None:
    """Colours are those of Pillow, an independent decoder, but for the rounding of its transform."""
    rgb = resize(picture(), height_px=48, width_px=64)
    data = written(rgb, "jpeg", quality=95, **options)
    difference = np.abs(np.asarray(PIL.Image.open(io.BytesIO(data)), int) - decode(data))
    assert difference.max() <= 4
    assert difference.mean() < 0.5


def test_an_orientation_in_the_file_changes_nothing() -> None:
    """A camera's rotation is in the action contract; metadata could not turn the picture behind its back."""
    tags = PIL.Image.Exif()
    tags[0x0112] = 6
    assert (6, 8, 3) == decode(written(picture(), "jpeg", exif=tags)).shape


@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_files_that_do_not_decode_are_refused(codec: str) -> None:
    """A whole header before no data, and a side that is too long, are errors."""
    long = written(np.zeros((1, MAX_SIDE_PX + 1, 3), np.uint8), codec)
    with pytest.raises(InvalidInputError, match="px a side"):
        decode(long)
    data = written(picture(), codec)
    start = data.index(b"\xff\xc4" if codec == "jpeg" else b"IDAT")
    with pytest.raises(InvalidInputError, match=codec):
        decode(data[: start + 4] + bytes(len(data) - start - 16) + data[-12:])


def test_a_shifted_picture_moves_by_whole_pixels() -> None:
    """Content goes 2 px right and 1 px up; the border's pixels fill what opens."""
    original = picture(10, 12)
    moved = cut_and_shift(original, kept_side=1.0, corner=(0.0, 0.0), shift_px=(2.0, -1.0))
    np.testing.assert_array_equal(original[1:, :-2], moved[:-1, 2:])
    np.testing.assert_array_equal(original[1:, :1], moved[:-1, 1:2])
    np.testing.assert_array_equal(moved[-2], moved[-1])


def test_a_cut_is_the_part_stretched_to_the_whole() -> None:
    """The lower right quarter of a smooth picture, as `resize` stretches it, away from its rim."""
    down, across = np.mgrid[0:40, 0:60]
    smooth = np.stack([2 * across, 3 * down, across + down], axis=-1).astype(np.uint8)
    cut = cut_and_shift(smooth, kept_side=0.5, corner=(1.0, 1.0), shift_px=(0.0, 0.0))
    stretched = resize(smooth[20:, 30:], height_px=40, width_px=60)
    assert smooth.shape == cut.shape
    assert np.abs(cut.astype(int) - stretched)[2:-2, 2:-2].max() <= 1


def test_colours_change_as_their_factors_say() -> None:
    """Brightness scales, contrast 0 leaves the mean grey, saturation 0 each pixel's grey, half a turn the opposite."""
    colours = np.array([[[200, 100, 50], [60, 120, 90]]], np.uint8)
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_array_equal(colours // 2, recolour(colours, 0.5, 1.0, 1.0, hue_turns=0.0))
    mean = round(float((colours @ weights).mean()))
    assert [mean] == np.unique(recolour(colours, 1.0, 0.0, 1.0, hue_turns=0.0)).tolist()
    grey = recolour(colours, 1.0, 1.0, 0.0, hue_turns=0.0)
    assert np.abs(grey - (colours @ weights)[..., None]).max() <= 1
    opposite = recolour(colours, 1.0, 1.0, 1.0, hue_turns=0.5)
    assert np.abs(opposite.astype(float) + colours - 2 * (colours @ weights)[..., None]).max() <= 1


def test_greys_have_no_hue() -> None:
    """Saturation and hue leave a grey picture as it is, to a level."""
    grey = np.repeat(picture()[..., :1], 3, axis=-1)
    assert np.abs(recolour(grey, 1.0, 1.0, 1.7, hue_turns=0.3).astype(int) - grey).max() <= 1


def test_noise_has_the_asked_for_spread_and_no_drift() -> None:
    """Over 30,000 numbers of mid grey: standard deviation 5 and mean 0, each to 2 %."""
    grey = np.full((100, 100, 3), 128, np.uint8)
    noisy = roughen(grey, blur_px=0.0, noise_levels=5.0, generator=np.random.default_rng(0)).astype(float) - 128
    assert 5.0 == pytest.approx(noisy.std(), rel=0.02)
    assert 0.0 == pytest.approx(noisy.mean(), abs=0.1)


def test_a_blur_spreads_a_line_as_a_gaussian() -> None:
    """A white column keeps its sum and gets the asked for standard deviation of 1.5 px, to 5 %."""
    line = np.zeros((31, 31, 3), np.uint8)
    line[:, 15] = 255
    spread = roughen(line, blur_px=1.5, noise_levels=0.0, generator=np.random.default_rng(0))[15, :, 0].astype(float)
    assert 255 == pytest.approx(spread.sum(), abs=5)
    assert 1.5 == pytest.approx(np.sqrt((np.arange(31) - 15) ** 2 @ spread / spread.sum()), rel=0.05)


def test_changes_of_nothing_give_the_very_same_picture() -> None:
    """No copy is made where no pixel would differ."""
    original = picture()
    assert original is cut_and_shift(original, kept_side=1.0, corner=(0.3, 0.9), shift_px=(0.0, 0.0))
    assert original is recolour(original, 1.0, 1.0, 1.0, hue_turns=0.0)
    assert original is roughen(original, blur_px=0.0, noise_levels=0.0, generator=np.random.default_rng(0))
