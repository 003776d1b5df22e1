"""What the header of a picture file says, and which files are refused before they are decoded."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.errors import InvalidInputError
from magma_ros.picture_files import MAX_DECODED_BYTES, MAX_FILE_BYTES, PictureHeader, read_header


def written(mode: str = "RGB", *, size: tuple[int, int] = (6, 4), codec: str = "jpeg", **options: object) -> bytes:
    """A file that Pillow writes, of `size` (width, height)."""
    buffer = io.BytesIO()
    PIL.Image.new(mode, size, 1).save(buffer, codec, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG with the header of a picture of that size and the data of a small one."""
    good = written(codec="png")
    chunk = b"IHDR" + struct.pack(">II", width, height) + good[24:29]
    return good[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + good[33:]


def jpeg_with(field_offset: int, value: bytes) -> bytes:
    """A JPEG whose frame header has other bytes at an offset from its marker."""
    data = bytearray(written())
    at = data.index(b"\xff\xc0") + field_offset
    data[at : at + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100, "comment": b"x" * 500}])
@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_the_header_of_a_jpeg_is_read(mode: str, channels: int, options: dict[str, object]) -> None:
    """Size and channels are those that Pillow wrote, baseline or progressive, whatever segments come before."""
    expected = PictureHeader("jpeg", height_px=300, width_px=7, num_channels=channels, num_bits=8)
    assert expected == read_header(written(mode, size=(7, 300), **options))


@pytest.mark.parametrize(
    ("mode", "channels", "bits"),
    [("RGB", 3, 8), ("RGBA", 3, 8), ("L", 1, 8), ("LA", 1, 8), ("I;16", 1, 16), ("1", 1, 1)],
)
def test_the_header_of_a_png_is_read(mode: str, channels: int, bits: int) -> None:
    """Size, colour channels and depth are those that Pillow wrote; alpha is no colour."""
    expected = PictureHeader("png", height_px=300, width_px=7, num_channels=channels, num_bits=bits)
    assert expected == read_header(written(mode, size=(7, 300), codec="png"))


def test_a_usb_cameras_padded_jpeg_is_read() -> None:
    """Zeros behind the end marker belong to the camera's buffer, not to the picture."""
    assert read_header(written()) == read_header(written() + bytes(4096))


@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_a_cut_file_is_refused_wherever_it_is_cut(codec: str) -> None:
    """No part of a file passes for a whole one."""
    data = written(codec=codec)
    for length in range(len(data)):
        with pytest.raises(InvalidInputError, match="expected"):
            read_header(data[:length])


def test_a_picture_bomb_is_refused_by_its_header() -> None:
    """A few bytes that announce more than the limit are refused, up to the limit they are not."""
    side = 4096
    assert MAX_DECODED_BYTES == side * side * 3
    assert side == read_header(png_of_size(side, side)).height_px
    for bomb in (png_of_size(side, side + 1), png_of_size(2**31 - 1, 2**31 - 1), jpeg_with(5, b"\xff\xff\xff\xff")):
        with pytest.raises(InvalidInputError, match="once decoded"):
            read_header(bomb)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "JPEG or PNG"),
        (b"GIF89a" + bytes(100), "JPEG or PNG"),
        (bytes(MAX_FILE_BYTES + 1), "at most"),
        (png_of_size(0, 5), "once decoded"),
        (jpeg_with(5, b"\x00\x00"), "once decoded"),
        (jpeg_with(4, b"\x0c"), "8 bits"),
        (jpeg_with(9, b"\x04"), "channels"),
        (jpeg_with(2, b"\x00\x03"), "frame header"),
        (jpeg_with(2, b"\x00\x01"), "length"),
        (jpeg_with(0, b"\xff\xc3"), "0xc3"),
        (jpeg_with(0, b"\xff\xc9"), "0xc9"),
        (jpeg_with(0, b"\x00\xc0"), "segment"),
        (written("CMYK"), "channels"),
        (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 600 + written()[2:], "512 segments"),
        (written()[:-2] + b"\xff\xda" * 64 + b"\xff\xd9", "scans"),
    ],
)
def test_what_no_camera_writes_is_refused(data: bytes, said: str) -> None:
    """Unknown, empty, endless, lossless, arithmetic, 12-bit and CMYK files are refused with a short reason."""
    with pytest.raises(InvalidInputError, match=said) as caught:
        read_header(data)
    assert len(str(caught.value)) < 200


def test_chunks_of_a_png_that_do_not_fit_are_refused() -> None:
    """A chunk that announces more than the file holds, for which OpenCV would allocate gigabytes, is refused."""
    good = written(codec="png")
    at = good.index(b"IDAT") - 4
    for length in (b"\x70\x00\x00\x00", b"\xff\xff\xff\xff", struct.pack(">I", len(good) - at)):
        with pytest.raises(InvalidInputError, match="still picture"):
            read_header(good[:at] + length + good[at + 4 :])


def test_an_endless_row_of_chunks_and_an_animation_are_refused() -> None:
    """Neither costs time: the number of chunks is bounded, and a film is no picture."""
    good = written(codec="png")
    at = good.index(b"IDAT") - 4
    with pytest.raises(InvalidInputError, match="8192 chunks"):
        read_header(good[:at] + (struct.pack(">I", 0) + b"tEXt" + bytes(4)) * 9000 + good[at:])
    with pytest.raises(InvalidInputError, match="still picture"):
        read_header(good[:at] + struct.pack(">I", 8) + b"acTL" + bytes(12) + good[at:])


@given(st.sampled_from(["jpeg", "png"]), st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=20))
def test_damaged_headers_are_read_within_bounds_or_refused(codec: str, damage: list[tuple[int, int]]) -> None:
    """Whatever bytes are changed, only InvalidInputError escapes and nothing beyond the limit is announced."""
    data = bytearray(written(codec=codec))
    for position, value in damage:
        data[position % len(data)] = value
    try:
        header = read_header(bytes(data))
    except InvalidInputError:
        return
    assert 0 < header.decoded_bytes <= MAX_DECODED_BYTES


def test_the_limits_leave_room_for_real_cameras() -> None:
    """An 8-megapixel frame of noise, the largest that a 4K camera makes, is read."""
    noise = np.random.default_rng(0).integers(0, 256, (216, 384, 3), dtype=np.uint8)
    picture = PIL.Image.fromarray(np.tile(noise, (10, 10, 1)))
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", quality=90)
    assert (2160, 3840) == (read_header(buffer.getvalue()).height_px, read_header(buffer.getvalue()).width_px)
