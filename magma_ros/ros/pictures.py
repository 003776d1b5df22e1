"""Pictures in messages, in every encoding that cameras use, to RGB and back; no node, no I/O.

What is read, with the standard's names (`sensor_msgs/image_encodings.hpp` of Jazzy):

- Without a copy, as a read-only view of the message: rgb8, bgr8, rgba8, bgra8, mono8, 8UC1, 8UC3, 8UC4. The last two
  are read as bgr8 and bgra8, which is what OpenCV and RViz mean by them.
- Converted, one copy: rgb16, bgr16, rgba16, bgra16, mono16 (of either byte order, white at 65535), the Bayer mosaics of
  8 and 16 bits, uyvy and yuv422, yuyv and yuv422_yuy2, nv21.
- Decoded: JPEG and PNG in a CompressedImage, bounded before they are decoded.

Measurements are no pictures. 32FC1 and 16UC1 are how depth cameras send depth (REP 118), so both are refused, and so
are the other signed, 16-bit and float types: a depth topic that was remapped by mistake must stop the arm, not steer
it. A grey camera of 16 bits says mono16.

Anything else goes to cv_bridge where that is installed (with a real ROS), and is refused with a list of what is known
where it is not.
"""

from __future__ import annotations

import importlib
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from magma_ros.errors import InvalidInputError
from magma_ros.images import (
    MAX_SIDE_PX,
    BayerPattern,
    YuvPacking,
    bayer_to_rgb,
    check_image,
    decode,
    to_8_bit,
    to_rgb,
    yuv_to_rgb,
)
from magma_ros.picture_files import MAX_FILE_BYTES, Codec
from magma_ros.types import ImageArray

Colours = Literal["rgb", "bgr"] | BayerPattern | YuvPacking
"""What the channels of a pixel are; grey is `rgb` of one channel."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of an encoding stand in a row: channels per pixel and bytes per channel."""

    colours: Colours
    num_channels: int
    num_bytes: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Of one pixel in a row [bytes]; for nv21, in a row of luma."""
        return self.num_channels * self.num_bytes


def _encodings() -> dict[str, Layout]:
    table = {
        "mono8": Layout("rgb", 1),
        "mono16": Layout("rgb", 1, 2),
        "8UC1": Layout("rgb", 1),
        "8UC3": Layout("bgr", 3),
        "8UC4": Layout("bgr", 4),
        "uyvy": Layout("uyvy", 2),
        "yuv422": Layout("uyvy", 2),
        "yuyv": Layout("yuyv", 2),
        "yuv422_yuy2": Layout("yuyv", 2),
        "nv21": Layout("nv21", 1),
    }
    for bits in (8, 16):
        for name, channels in (("rgb", 3), ("rgba", 4)):
            table[f"{name}{bits}"] = Layout("rgb", channels, bits // 8)
            table[f"{name.replace('rgb', 'bgr')}{bits}"] = Layout("bgr", channels, bits // 8)
        for pattern in get_args(BayerPattern):
            table[f"bayer_{pattern}{bits}"] = Layout(pattern, 1, bits // 8)
    return table


ENCODINGS: Mapping[str, Layout] = _encodings()
"""Encodings of sensor_msgs/Image that are read here."""
_CODECS: Mapping[str, Codec] = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png"}
_MEASUREMENT = re.compile(r"(8S|16U|16S|32S|32F|64F)C\d{0,4}")
_MAX_SHOWN = 32


def picture_from_message(message: Image | CompressedImage) -> ImageArray:
    """RGB pixels, (height, width, 3) uint8, read-only, of either kind of message.

    Raises:
        InvalidInputError: see `image_from_message` and `image_from_compressed`.
    """
    return image_from_message(message) if isinstance(message, Image) else image_from_compressed(message)


def image_from_message(message: Image) -> ImageArray:
    """RGB pixels, (height, width, 3) uint8, read-only; a view of the message where the module's list says so.

    Raises:
        InvalidInputError: an encoding that is not in `ENCODINGS` (and that cv_bridge, if installed, does not know) or
            that holds measurements, an empty or huge picture, an odd size where chroma is subsampled, a mosaic of
            less than 3 px, rows that overlap (`step` too small), or other than `step` times the rows' number of bytes.
    """
    if (layout := ENCODINGS.get(message.encoding)) is None:
        return _read_only(_by_cv_bridge(message))
    return _read_only(_rgb(_pixels(message, layout), layout))


def image_from_compressed(message: CompressedImage) -> ImageArray:
    """RGB pixels, (height, width, 3) uint8, read-only, of a JPEG or PNG.

    `format` is `jpeg` or `png`, or what image_transport writes: `rgb8; jpeg compressed bgr8`, that is the encoding of
    the camera, the codec, and the order in which the colours were handed to the codec. As in image_transport, `rgb`
    there means that red and blue change places in the file, and a grey file of a Bayer encoding is a mosaic.

    Raises:
        InvalidInputError: another format, one that contradicts the data, an encoding that holds measurements (such as
            compressedDepth), or what `images.decode` refuses.
    """
    encoding, codec, order = _format(message.format)
    if len(message.data) > MAX_FILE_BYTES:
        raise InvalidInputError(f"image data: expected at most {MAX_FILE_BYTES} bytes, got {len(message.data)}")
    data = bytes(message.data)
    if data.startswith(b"\x89PNG") != (codec == "png"):
        raise InvalidInputError(f"image format: expected {codec} data, got bytes that begin {data[:8]!r}")
    pixels = decode(data)
    layout = ENCODINGS.get(encoding, Layout("rgb", 3))
    if layout.colours in get_args(BayerPattern) and pixels.ndim == 2:
        return _read_only(_rgb(pixels[..., None], layout))
    return _read_only(to_rgb(pixels, order="bgr" if order.startswith("rgb") else "rgb"))


def image_message(image: ImageArray, *, stamp: Time, frame_id: str) -> Image:
    """An rgb8 message of an RGB picture (height, width, 3) uint8.

    Raises:
        InvalidInputError: another shape or number type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InvalidInputError(f"image: expected (height, width, 3) uint8, got {image.shape} {image.dtype}")
    height, width, _ = image.shape
    message = Image(height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width)
    message.header = Header(stamp=stamp, frame_id=frame_id)
    message.data = array("B", image.tobytes())  # an ndarray would be checked number by number (~1000 times slower)
    return message


def _pixels(message: Image, layout: Layout) -> ImageArray:
    """A view of the message's bytes, (rows, width, bytes per pixel): nv21 has half as many rows again."""
    height, width, step = message.height, message.width, message.step
    _check_size(message)
    if layout.colours in get_args(YuvPacking) and (width % 2 or (layout.colours == "nv21" and height % 2)):
        raise InvalidInputError(f"image size: expected even sides for {message.encoding}, got {width}x{height}")
    if layout.colours in get_args(BayerPattern) and min(width, height) < 3:
        raise InvalidInputError(f"image size: expected 3 px or more for {message.encoding}, got {width}x{height}")
    if step < width * layout.pixel_bytes:
        raise InvalidInputError(f"image step: expected at least {width * layout.pixel_bytes} bytes a row, got {step}")
    num_rows = height * 3 // 2 if layout.colours == "nv21" else height
    _check_data(message, num_rows)
    rows = np.frombuffer(message.data, np.uint8).reshape(num_rows, step)[:, : width * layout.pixel_bytes]
    if layout.num_bytes == 1:
        return rows.reshape(num_rows, width, layout.num_channels)
    wide = rows.view(np.dtype(">u2" if message.is_bigendian else "<u2"))
    return to_8_bit(wide.reshape(num_rows, width, layout.num_channels))


def _rgb(pixels: ImageArray, layout: Layout) -> ImageArray:
    """RGB of 8-bit pixels (rows, width, channels)."""
    match layout.colours:
        case "rgb" | "bgr":
            return to_rgb(pixels, order=layout.colours)
        case "uyvy" | "yuyv":
            return yuv_to_rgb(pixels, packing=layout.colours)
        case "nv21":
            return yuv_to_rgb(pixels[..., 0], packing="nv21")
        case "rggb" | "bggr" | "gbrg" | "grbg":
            return bayer_to_rgb(pixels[..., 0], pattern=layout.colours)


def _by_cv_bridge(message: Image) -> ImageArray:
    """What cv_bridge makes of an encoding that is not in the table; bounded before it sees a byte."""
    _check_picture(message.encoding)
    try:
        bridge = importlib.import_module("cv_bridge").CvBridge()
    except ImportError as error:
        raise InvalidInputError(f"{_unknown(message.encoding)}; cv_bridge, which knows more, is not here") from error
    _check_size(message)
    _check_data(message, message.height)
    try:
        rgb: ImageArray = check_image(bridge.imgmsg_to_cv2(message, "rgb8"))
    except (TypeError, ValueError, LookupError, RuntimeError, cv2.error) as error:  # CvBridgeError is a TypeError
        raise InvalidInputError(f"{_unknown(message.encoding)}; cv_bridge says: {str(error)[:100]}") from error
    if rgb.shape[:2] != (message.height, message.width):
        raise InvalidInputError(f"{_unknown(message.encoding)}; cv_bridge made a picture of {rgb.shape}")
    return rgb


def _format(text: str) -> tuple[str, Codec, str]:
    """Encoding (empty: not said), codec, and order of the colours given to it (empty: not said) in a format string."""
    encoding, separator, rest = text[:128].rpartition(";")
    encoding = encoding.strip()
    words = [*rest.lower().split(), "", "", ""]
    codec = _CODECS.get(words[0])
    if codec is None or words[1] not in ("", "compressed") or (separator and not encoding):
        raise InvalidInputError(
            f"image format: expected jpeg, png, or such as 'rgb8; jpeg compressed bgr8', got {text[:_MAX_SHOWN]!r}"
        )
    if separator:
        _check_picture(encoding)
    return encoding, codec, words[2]


def _check_picture(encoding: str) -> None:
    if _MEASUREMENT.fullmatch(encoding):
        raise InvalidInputError(
            f"image encoding: expected a picture, got {encoding}, which cameras use for depth and other measurements "
            f"(a grey picture of 16 bits is mono16); available {_known()}"
        )


def _check_size(message: Image) -> None:
    if not (0 < message.height <= MAX_SIDE_PX and 0 < message.width <= MAX_SIDE_PX):
        raise InvalidInputError(
            f"image size: expected 1 to {MAX_SIDE_PX} px a side, got {message.width}x{message.height}"
        )


def _check_data(message: Image, num_rows: int) -> None:
    if len(message.data) != num_rows * message.step:
        raise InvalidInputError(f"image data: expected {num_rows * message.step} bytes, got {len(message.data)}")


def _unknown(encoding: str) -> str:
    return f"image encoding: expected one of {_known()}, got {encoding[:_MAX_SHOWN]!r}"


def _known() -> str:
    return ", ".join(sorted(ENCODINGS))


def _read_only(image: ImageArray) -> ImageArray:
    image.flags.writeable = False
    return image
