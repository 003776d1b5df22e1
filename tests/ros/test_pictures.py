import io
import math
import sys
import time
from array import array
from types import ModuleType

import numpy as np
import PIL.Image
import pytest
from builtin_interfaces.msg import Time
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from magma_ros.errors import InvalidInputError
from magma_ros.images import MAX_SIDE_PX, bayer_to_rgb, yuv_to_rgb
from magma_ros.picture_files import MAX_FILE_BYTES
from magma_ros.ros import pictures

STAMP = Time(sec=12, nanosec=345)
MEASUREMENTS = ("16UC1", "32FC1", "16SC1", "32SC3", "64FC2", "8SC1", "16UC3")

small = st.integers(1, 12)
rgb_pictures = st.tuples(small, small).flatmap(lambda hw: hnp.arrays(np.uint8, (*hw, 3)))
paddings = st.integers(0, 9)
bools = st.booleans()


def over_the_wire(message):
    """The message as another process receives it."""
    return deserialize_message(serialize_message(message), type(message))


def message_of(pixels, encoding, *, padding=0, is_bigendian=False, height=None):
    """A message of pixels (rows, width) or (rows, width, n), each row followed by `padding` bytes."""
    ordered = pixels.astype(pixels.dtype.newbyteorder(">" if is_bigendian else "<"))
    rows = np.frombuffer(ordered.tobytes(), np.uint8).reshape(len(pixels), -1)
    padded = np.concatenate([rows, np.full((len(rows), padding), 255, np.uint8)], axis=1)
    message = Image(height=height or len(pixels), width=pixels.shape[1], encoding=encoding, step=padded.shape[1])
    message.is_bigendian = int(is_bigendian)
    message.data = array("B", padded.tobytes())
    return message


def encoded(picture, encoding, **options):
    """A message of an RGB picture in `encoding`; a fourth channel is noise."""
    channels = picture[..., ::-1] if encoding.startswith(("bgr", "8UC3", "8UC4")) else picture
    if "a" in encoding or encoding.endswith("4"):
        channels = np.concatenate([channels, np.full((*picture.shape[:2], 1), 77, picture.dtype)], axis=2)
    return message_of(channels[..., :1] if "mono" in encoding or encoding == "8UC1" else channels, encoding, **options)


def compressed(pixels, codec, text=None, **options):
    """A message of a file that Pillow writes."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, codec, **options)
    return CompressedImage(format=codec if text is None else text, data=array("B", buffer.getvalue()))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@given(rgb_pictures, st.sampled_from(["rgb8", "bgr8", "rgba8", "bgra8", "8UC3", "8UC4"]), paddings, bools)
def test_colour_pictures_are_read_as_rgb_whatever_their_step_and_endianness(picture, encoding, padding, is_bigendian):
    """Each colour encoding gives the RGB picture back, whatever stands behind its rows."""
    message = over_the_wire(encoded(picture, encoding, padding=padding, is_bigendian=is_bigendian))
    assert np.array_equal(picture, pictures.image_from_message(message))


@given(rgb_pictures, st.sampled_from(["mono8", "8UC1"]), paddings)
def test_grey_pictures_are_read_as_three_equal_channels(picture, encoding, padding):
    """mono8 and 8UC1 give their value in each channel."""
    expected = np.repeat(picture[..., :1], 3, axis=2)
    assert np.array_equal(expected, pictures.image_from_message(encoded(picture, encoding, padding=padding)))


@given(
    rgb_pictures,
    st.sampled_from(["rgb16", "bgr16", "rgba16", "bgra16", "mono16"]),
    paddings,
    bools,
    st.integers(-128, 128),
)
def test_sixteen_bits_are_read_in_either_byte_order(picture, encoding, padding, is_bigendian, rest):
    """All that rounds to a level becomes it, with rows at odd addresses and the high byte first or last."""
    wide = np.clip(picture.astype(int) * 257 + rest, 0, 65535).astype(np.uint16)
    message = over_the_wire(encoded(wide, encoding, padding=padding, is_bigendian=is_bigendian))
    expected = np.repeat(picture[..., :1], 3, axis=2) if encoding == "mono16" else picture
    assert np.array_equal(expected, pictures.image_from_message(message))


@given(small, small, st.sampled_from(["uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv21"]), paddings)
def test_yuv_is_read_row_by_row(half_height, half_width, encoding, padding):
    """The converter (tested against BT.601) gets the pixels without what stands behind the rows, in the right order."""
    height, width = 2 * half_height, 2 * half_width
    packing = {"yuv422": "uyvy", "yuv422_yuy2": "yuyv"}.get(encoding, encoding)
    pixels = noise(height * 3 // 2, width) if encoding == "nv21" else noise(height, width, 2)
    message = over_the_wire(message_of(pixels, encoding, padding=padding, height=height))
    assert np.array_equal(yuv_to_rgb(pixels, packing=packing), pictures.image_from_message(message))


@given(
    st.integers(3, 12), st.integers(3, 12), st.sampled_from(["rggb", "bggr", "gbrg", "grbg"]), paddings, bools, bools
)
def test_mosaics_are_read_in_either_depth(height, width, pattern, padding, wide, is_bigendian):
    """8 and 16 bits give the same colours, of the pattern in the encoding's name."""
    mosaic = noise(height, width)
    pixels = mosaic.astype(np.uint16) * 257 if wide else mosaic
    encoding = f"bayer_{pattern}{16 if wide else 8}"
    message = over_the_wire(message_of(pixels, encoding, padding=padding, is_bigendian=is_bigendian))
    assert np.array_equal(bayer_to_rgb(mosaic, pattern=pattern), pictures.image_from_message(message))


@given(rgb_pictures)
def test_a_picture_survives_its_message(picture):
    """image_message and image_from_message are inverse."""
    message = over_the_wire(pictures.image_message(picture, stamp=STAMP, frame_id="camera"))
    assert np.array_equal(picture, pictures.image_from_message(message))
    assert (STAMP, "camera") == (message.header.stamp, message.header.frame_id)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC1", "8UC3", "8UC4"])
def test_bytes_that_are_pixels_are_read_without_a_copy(encoding):
    """The pixels are a read-only view of the message's own bytes."""
    message = encoded(noise(4, 4, 3), encoding, padding=3)
    pixels = pictures.image_from_message(message)
    assert np.shares_memory(pixels, np.frombuffer(message.data, np.uint8))
    assert not pixels.flags.writeable


def test_every_encoding_gives_a_read_only_picture():
    """Each name in the table is read, and nobody downstream can change what it gave."""
    for encoding, layout in pictures.ENCODINGS.items():
        rows = 6 if encoding == "nv21" else 4
        pixels = pictures.image_from_message(message_of(noise(rows, 4, layout.pixel_bytes), encoding, height=4))
        assert ((4, 4, 3), np.uint8, False) == (pixels.shape, pixels.dtype, pixels.flags.writeable)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("encoding", "", "encoding"),
        ("encoding", "x" * 1_000_000, "encoding"),
        ("encoding", "nv12", "encoding"),
        ("encoding", "RGB8", "encoding"),
        ("height", 0, "size"),
        ("width", 0, "size"),
        ("width", 100_000, "size"),
        ("step", 11, "step"),
        ("step", 13, "data"),
        ("step", 2**32 - 1, "data"),
        ("height", 5, "data"),
        ("data", array("B", bytes(47)), "data"),
        ("data", array("B", bytes(49)), "data"),
        ("data", array("B"), "data"),
        ("encoding", "rgb16", "step"),
        ("encoding", "nv21", "data"),
    ],
)
def test_a_malformed_picture_is_refused(field, value, said):
    """A picture whose fields contradict each other is refused with a short message that names the field."""
    message = encoded(np.zeros((4, 4, 3), np.uint8), "rgb8")
    setattr(message, field, value)
    with pytest.raises(InvalidInputError, match=f"image {said}") as caught:
        pictures.image_from_message(message)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("shape", "encoding"), [((4, 3, 2), "yuv422"), ((6, 3), "nv21"), ((2, 4), "bayer_rggb8"), ((4, 2), "bayer_rggb8")]
)
def test_a_size_that_an_encoding_cannot_have_is_refused(shape, encoding):
    """Half a chroma sample and mosaics without neighbours are errors, not guesses."""
    with pytest.raises(InvalidInputError, match="image size"):
        pictures.image_from_message(message_of(noise(*shape), encoding, height=4 if encoding == "nv21" else None))


@pytest.mark.parametrize("encoding", MEASUREMENTS)
def test_depth_is_no_picture(encoding):
    """A depth topic stops the arm, raw or compressed, and the error says what a grey picture is called."""
    with pytest.raises(InvalidInputError, match=r"image encoding: expected a picture.*mono16"):
        pictures.image_from_message(message_of(noise(4, 4, 8), encoding))
    wide = np.zeros((4, 4), np.uint16)
    for text in (f"{encoding}; png compressed ", f"{encoding}; compressedDepth png"):
        with pytest.raises(InvalidInputError, match=r"image (encoding|format)"):
            pictures.image_from_compressed(compressed(wide, "png", text))


def test_only_rgb_pictures_become_messages():
    """Another shape or number type is refused."""
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(InvalidInputError, match="uint8"):
            pictures.image_message(bad, stamp=STAMP, frame_id="camera")


@pytest.mark.parametrize(
    "text", ["png", "PNG", "rgb8; png compressed bgr8", "yuv422_yuy2; png compressed bgr8", " png "]
)
def test_a_compressed_picture_has_the_colours_of_its_file(text):
    """A codec's name, and what image_transport writes, whatever the camera's own encoding was."""
    picture = noise(6, 8, 3)
    read = pictures.picture_from_message(over_the_wire(compressed(picture, "png", text)))
    assert np.array_equal(picture, read)
    assert not read.flags.writeable


def test_a_jpeg_is_read():
    """The colours are Pillow's but for its rounding; grey has three equal channels."""
    flat = np.full((16, 24, 3), (200, 120, 40), np.uint8)
    for text in ("jpeg", "jpg", "bgr8; jpeg compressed bgr8"):
        read = pictures.image_from_compressed(compressed(flat, "jpeg", text, quality=95))
        assert np.abs(flat.astype(int) - read).max() <= 2
    grey = pictures.image_from_compressed(compressed(flat[..., 0], "jpeg", "mono8; jpeg compressed "))
    assert np.abs(grey.astype(int) - 200).max() <= 2


def test_colours_that_were_handed_over_turned_are_turned_back():
    """`compressed rgb8` means that the file holds blue where red belongs, as in image_transport."""
    picture = noise(6, 8, 3)
    message = compressed(picture[..., ::-1], "png", "rgb8; png compressed rgb8")
    assert np.array_equal(picture, pictures.image_from_compressed(message))


def test_a_compressed_mosaic_becomes_colours():
    """A grey file of a Bayer camera is a mosaic, in 8 and 16 bits; a colour file is a picture already."""
    mosaic = noise(6, 8)
    expected = bayer_to_rgb(mosaic, pattern="gbrg")
    for pixels, bits in ((mosaic, 8), (mosaic.astype(np.uint16) * 257, 16)):
        message = compressed(pixels, "png", f"bayer_gbrg{bits}; png compressed ")
        assert np.array_equal(expected, pictures.image_from_compressed(message))
    assert np.array_equal(
        expected, pictures.image_from_compressed(compressed(expected, "png", "bayer_gbrg8; png compressed bgr8"))
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "image format"),
        ("tiff", "image format"),
        ("rgb8", "image format"),
        ("; png", "image format"),
        ("rgb8; qoi compressed bgr8", "image format"),
        ("jpeg", "image format: expected jpeg data"),
        ("x" * 1_000_000, "image format"),
        ("x" * 1_000_000 + "; png compressed bgr8", "image format"),
    ],
)
def test_a_format_that_is_unknown_or_contradicts_the_data_is_refused(text, said):
    """The format must name a codec that is known, and the data must be of it."""
    with pytest.raises(InvalidInputError, match=said) as caught:
        pictures.image_from_compressed(compressed(noise(4, 4, 3), "png", text))
    assert len(str(caught.value)) < 300


def test_a_bomb_costs_neither_memory_nor_time():
    """A picture of 1.6 GB in 2 kB, and a message of more bytes than any camera sends, are refused at once."""
    bomb = compressed(np.zeros((8, 8, 3), np.uint8), "jpeg")
    at = bytes(bomb.data).index(b"\xff\xc0")
    bomb.data[at + 5 : at + 9] = array("B", b"\x5b\x00\x5b\x00")
    endless = CompressedImage(format="png", data=array("B", bytes(MAX_FILE_BYTES + 1)))
    begin = time.monotonic()
    for message in (bomb, endless):
        with pytest.raises(InvalidInputError, match=r"at most|once decoded"):
            pictures.image_from_compressed(message)
    assert time.monotonic() - begin < 0.5


words = st.text(max_size=12) | st.sampled_from([*pictures.ENCODINGS, *MEASUREMENTS, "nv24"])
sizes = st.integers(0, 9) | st.integers(0, 2**32 - 1)


@given(words, sizes, sizes, sizes, st.integers(0, 255), st.binary(max_size=400), bools)
def test_any_image_message_is_a_picture_or_an_error(encoding, height, width, step, is_bigendian, data, fits):
    """Whatever the fields say, only InvalidInputError escapes, and what is read has the message's size."""
    message = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=is_bigendian)
    if fits:
        assume(height < 10 and step < 100)
        data = bytes(step * (height * 3 // 2 if encoding == "nv21" else height))
    message.data = array("B", data)
    try:
        pixels = pictures.picture_from_message(message)
    except InvalidInputError:
        return
    assert ((height, width, 3), np.uint8) == (pixels.shape, pixels.dtype)


formats = st.text(max_size=40) | st.builds(
    "{}; {} compressed {}".format, words, st.sampled_from(["png", "jpeg"]), words
)
FILES = [compressed(noise(9, 7, 3), codec, codec) for codec in ("png", "jpeg")] + [
    compressed(noise(9, 7, 3), "jpeg", "jpeg", progressive=True),
    compressed(noise(9, 7).astype(np.uint16), "png", "png"),
]


@given(
    st.sampled_from(FILES), st.none() | formats, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=9)
)
def test_any_compressed_message_is_a_picture_or_an_error(file, text, damage):
    """Damaged files and invented formats are refused, or give a bounded picture; no other error escapes."""
    message = CompressedImage(format=file.format if text is None else text, data=array("B", file.data))
    for share, value in damage:
        message.data[math.floor(share * (len(message.data) - 1))] = value
    try:
        pixels = pictures.picture_from_message(message)
    except InvalidInputError:
        return
    assert (3, np.uint8) == (pixels.shape[2], pixels.dtype)
    assert max(pixels.shape) <= MAX_SIDE_PX


class Bridge:
    """The one method of cv_bridge's class that is called; its own error is a TypeError too."""

    def imgmsg_to_cv2(self, message, desired_encoding):
        if message.encoding == "unheard of":
            raise TypeError("[unheard of] is not a color format")
        height = message.height + (message.encoding == "grows")
        kind = float if message.encoding == "float" else np.uint8
        return np.full((height, message.width, 3), 5 if desired_encoding == "rgb8" else 0, kind)


@pytest.fixture
def cv_bridge(monkeypatch):
    """The module, as in a real ROS."""
    module = ModuleType("cv_bridge")
    module.CvBridge = Bridge
    monkeypatch.setitem(sys.modules, "cv_bridge", module)


@pytest.mark.usefixtures("cv_bridge")
def test_cv_bridge_reads_what_is_not_known_here():
    """An exotic encoding goes through cv_bridge where there is one."""
    pixels = pictures.image_from_message(message_of(noise(4, 4, 2), "nv24"))
    assert (pixels == 5).all()
    assert not pixels.flags.writeable


@pytest.mark.usefixtures("cv_bridge")
@pytest.mark.parametrize(
    ("encoding", "change", "said"),
    [
        ("unheard of", {}, "not a color format"),
        ("grows", {}, "made a picture of"),
        ("float", {}, "uint8"),
        ("32FC1", {}, "measurements"),
        ("nv24", {"height": MAX_SIDE_PX + 1}, "image size"),
        ("nv24", {"step": 7}, "image data"),
    ],
)
def test_what_cv_bridge_cannot_or_may_not_read_is_refused(encoding, change, said):
    """Its errors, impossible results, depth, and sizes that it should never see end in InvalidInputError."""
    message = message_of(noise(4, 4, 2), encoding)
    for field, value in change.items():
        setattr(message, field, value)
    with pytest.raises(InvalidInputError, match=said):
        pictures.image_from_message(message)


def test_without_cv_bridge_the_error_lists_what_is_known(monkeypatch):
    """The names that are read, and what would read more."""
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(InvalidInputError, match=r"bayer_rggb8.*yuyv, got 'nv24'; cv_bridge.*is not here"):
        pictures.image_from_message(message_of(noise(4, 4, 2), "nv24"))
