"""The only code that changes pixels; every picture is (height, width, 3) uint8 RGB."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from magma_ros.contract import CameraSpec, Resampling
from magma_ros.errors import InvalidInputError
from magma_ros.picture_files import read_header
from magma_ros.types import FloatArray, ImageArray

MAX_SIDE_PX = 8192
"""Longest side of a picture that is accepted [px]; bounds what a camera topic can make us allocate."""

ChannelOrder = Literal["rgb", "bgr"]
BayerPattern = Literal["rggb", "bggr", "gbrg", "grbg"]
"""Colours of the first 2 x 2 pixels of a mosaic, row by row."""
YuvPacking = Literal["uyvy", "yuyv", "nv21"]

# OpenCV names a mosaic after the four pixels that start one down and one to the right of its corner.
_BAYER_CODES = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_YUV_CODES = {"uyvy": cv2.COLOR_YUV2RGB_UYVY, "yuyv": cv2.COLOR_YUV2RGB_YUYV, "nv21": cv2.COLOR_YUV2RGB_NV21}
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])  # NTSC, 1953
_YIQ_TO_RGB = np.linalg.inv(_RGB_TO_YIQ)


def check_image(image: ImageArray, *, name: str = "image") -> ImageArray:
    """`image` itself when it is a picture.

    Raises:
        InvalidInputError: not uint8, not (height, width, 3), empty, or a side longer than `MAX_SIDE_PX`.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise InvalidInputError(f"{name}: expected a uint8 array, got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise InvalidInputError(f"{name}: expected shape (height, width, 3), got {image.shape}")
    if not 1 <= min(image.shape[:2]) <= max(image.shape[:2]) <= MAX_SIDE_PX:
        raise InvalidInputError(f"{name}: expected sides of 1 to {MAX_SIDE_PX} px, got {image.shape[:2]}")
    return image


def orient(image: ImageArray, *, rotate_180: bool) -> ImageArray:
    """`image`, turned by half a circle in its plane when `rotate_180`; the result may share its memory."""
    check_image(image)
    return np.ascontiguousarray(image[::-1, ::-1]) if rotate_180 else image


def as_seen(image: ImageArray, camera: CameraSpec) -> ImageArray:
    """What a policy is shown of `image`: turned and stretched as its contract says of `camera`; may share its memory.

    Raises:
        InvalidInputError: not a picture.
    """
    upright = orient(image, rotate_180=camera.rotate_180)
    return resize(upright, height_px=camera.height_px, width_px=camera.width_px, resampling=camera.resampling)


def to_rgb(image: ImageArray, *, order: ChannelOrder) -> ImageArray:
    """RGB view of a uint8 picture, (height, width, 3): grey is repeated, a fourth channel (alpha) is dropped.

    Args:
        image: Shape (height, width), or (height, width, n) with n of 1, 3 or 4.
        order: Of the colours in `image`.

    Raises:
        InvalidInputError: not such a picture.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise InvalidInputError(f"image: expected a uint8 array, got {getattr(image, 'dtype', type(image).__name__)}")
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise InvalidInputError(f"image: expected (height, width) or (height, width, 1, 3 or 4), got {image.shape}")
    if pixels.shape[2] == 1:
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return pixels[..., 2::-1] if order == "bgr" else pixels[..., :3]


def to_8_bit(image: NDArray[np.uint16]) -> ImageArray:
    """The nearest of 256 levels for each of 65,536, in the same shape: 65535 is white, 257 levels make one.

    A sensor's 10 or 12 bits must stand in the upper bits, as mono16 and rgb16 are meant: nothing is stretched here,
    since a stretch that depends on the picture would change brightness from frame to frame.

    Args:
        image: Shape (height, width) or (height, width, n) with n of 1, 3 or 4, of either byte order.

    Raises:
        InvalidInputError: not such an array.
    """
    if image.dtype.newbyteorder("=") != np.uint16 or not 2 <= image.ndim <= 3 or image.size == 0:
        raise InvalidInputError(f"image: expected (height, width) or (height, width, n) uint16, got {image.shape}")
    native = np.require(image, np.uint16, ["C", "A"])
    levels = cv2.convertScaleAbs(native.reshape(len(native), -1), alpha=1 / 257)
    return np.asarray(levels, dtype=np.uint8).reshape(image.shape)


def yuv_to_rgb(image: ImageArray, *, packing: YuvPacking) -> ImageArray:
    """RGB picture of luma and subsampled chroma after BT.601, black at 16 and white at 235, as V4L2 cameras send it.

    Args:
        image: (height, width, 2) uint8 for the 4:2:2 packings `uyvy` and `yuyv`, width even; (height * 3 / 2, width)
            uint8 for `nv21`, the luma rows over the rows of V and U in turn, width and height even.
        packing: Where luma and chroma stand.

    Raises:
        InvalidInputError: not such an array.
    """
    planar = packing == "nv21"
    fits = image.ndim == 2 and image.shape[0] % 3 == 0 if planar else image.ndim == 3 and image.shape[2] == 2
    if image.dtype != np.uint8 or not fits or image.size == 0 or image.shape[1] % 2:
        raise InvalidInputError(f"{packing} image: expected even sides and whole planes of uint8, got {image.shape}")
    return np.asarray(cv2.cvtColor(image, _YUV_CODES[packing]), dtype=np.uint8)


def bayer_to_rgb(mosaic: ImageArray, *, pattern: BayerPattern) -> ImageArray:
    """RGB picture (height, width, 3) of a mosaic (height, width) uint8; missing colours are means of their neighbours.

    Raises:
        InvalidInputError: not such an array, or a side of less than 3 px, which OpenCV leaves black.
    """
    if mosaic.dtype != np.uint8 or mosaic.ndim != 2 or min(mosaic.shape) < 3:
        raise InvalidInputError(f"Bayer image: expected (height, width) uint8 of 3 px or more, got {mosaic.shape}")
    return np.asarray(cv2.cvtColor(mosaic, _BAYER_CODES[pattern]), dtype=np.uint8)


def decode(data: bytes) -> ImageArray:
    """Pixels of a JPEG or PNG: (height, width, 3) RGB, or (height, width) where the file is grey; 16 bits become 8.

    Size and kind are read from the header and bounded before anything is decoded. Alpha is dropped; an orientation in
    the file's metadata is ignored, as image_transport does.

    Raises:
        InvalidInputError: what `read_header` refuses, a side longer than `MAX_SIDE_PX`, or bytes that do not decode.
    """
    header = read_header(data)
    if max(header.height_px, header.width_px) > MAX_SIDE_PX:
        raise InvalidInputError(
            f"picture file: expected at most {MAX_SIDE_PX} px a side, got {header.width_px}x{header.height_px}"
        )
    colours = cv2.IMREAD_COLOR if header.num_channels == 3 else cv2.IMREAD_GRAYSCALE
    flags = colours | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InvalidInputError(f"{header.codec}: expected a decodable picture, got {error.err}") from error
    if decoded is None or decoded.shape[:2] != (header.height_px, header.width_px):
        raise InvalidInputError(f"{header.codec}: expected {header.width_px}x{header.height_px} px, got damaged data")
    wide = decoded.dtype == np.uint16
    pixels = to_8_bit(np.asarray(decoded, dtype=np.uint16)) if wide else np.asarray(decoded, dtype=np.uint8)
    return to_rgb(pixels, order="bgr") if pixels.ndim == 3 else pixels


def resize(image: ImageArray, *, height_px: int, width_px: int, resampling: Resampling = "area") -> ImageArray:
    """`image` stretched to (height_px, width_px, 3) [px]; the very same array when it has that size already.

    The resampling `area` averages what each new pixel covers when both sides shrink (so that a supersampled rendering
    is anti-aliased) and interpolates linearly otherwise. `bicubic` and `lanczos3` are Pillow's anti-aliased filters:
    upstream used the first for WidowX and the Google robot, the second for LIBERO.

    Raises:
        InvalidInputError: not a picture, or a size outside 1 … `MAX_SIDE_PX`.
    """
    check_image(image)
    if not 1 <= min(height_px, width_px) <= max(height_px, width_px) <= MAX_SIDE_PX:
        raise InvalidInputError(f"expected a size of 1 to {MAX_SIDE_PX} px, got {height_px} x {width_px}")
    if resampling not in get_args(Resampling):
        raise InvalidInputError(f"resampling: expected one of {get_args(Resampling)}, got {resampling!r}")
    if image.shape[:2] == (height_px, width_px):
        return image
    if resampling != "area":
        return _filtered(image, height_px, width_px, resampling)
    shrinks = height_px <= image.shape[0] and width_px <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(image), (width_px, height_px), interpolation=method)
    return np.asarray(resized, dtype=np.uint8)


def _filtered(image: ImageArray, height_px: int, width_px: int, resampling: Resampling) -> ImageArray:
    """Across, then down, each rounded to whole levels; Pillow 13 turns the order where that is faster."""
    across = _weighted(image.swapaxes(0, 1), width_px, resampling)
    return _weighted(across.swapaxes(0, 1), height_px, resampling)


def _weighted(lines: ImageArray, num_out: int, resampling: Resampling) -> ImageArray:
    """`num_out` lines, each a mean of those in `lines` (n, length, 3) around it, rounded to whole levels."""
    flat = np.ascontiguousarray(lines, dtype=np.float32).reshape(len(lines), -1)
    levels = _weights(len(lines), num_out, resampling) @ flat
    rounded: ImageArray = np.clip(levels + 0.5, 0, 255).astype(np.uint8)
    return rounded.reshape(num_out, *lines.shape[1:])


@lru_cache(maxsize=16)
def _weights(size_in: int, size_out: int, resampling: Resampling) -> sparse.csr_array:
    """What each old line gives to each new one, (size_out, size_in) float32; rows sum to 1."""
    reach, kernel = (2.0, _bicubic) if resampling == "bicubic" else (3.0, _lanczos3)
    scale = size_in / size_out
    widen = max(scale, 1.0)
    centres = (np.arange(size_out) + 0.5) * scale
    first = np.maximum(np.floor(centres - reach * widen + 0.5), 0)
    last = np.minimum(np.floor(centres + reach * widen + 0.5), size_in)
    old = np.arange(size_in)
    within = (old >= first[:, None]) & (old < last[:, None])
    weights = np.where(within, kernel((old + 0.5 - centres[:, None]) / widen), 0.0)
    return sparse.csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _bicubic(x: FloatArray) -> FloatArray:
    """Keys' cubic convolution with a = -1/2 (IEEE ASSP 29(6), 1981)."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos3(x: FloatArray) -> FloatArray:
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


def cut_and_shift(
    image: ImageArray, *, kept_side: float, corner: tuple[float, float], shift_px: tuple[float, float]
) -> ImageArray:
    """A part of `image` stretched to the size of the whole, moved by `shift_px`; the border's pixels fill what opens.

    Edges of the part and shifts are rounded to whole pixels.

    Args:
        image: The picture; the very same array comes back when nothing is cut or moved.
        kept_side: The part's sides, as a share of the picture's, above 0 and up to 1.
        corner: Where the part lies, 0 at the left or top edge to 1 at the right or bottom edge: (across, down).
        shift_px: Pixels of `image` by which its content moves: (right, down).

    Raises:
        InvalidInputError: not a picture.
    """
    check_image(image)
    if kept_side == 1.0 and shift_px == (0.0, 0.0):
        return image
    height_px, width_px = image.shape[:2]
    part = (max(1, round(kept_side * width_px)), max(1, round(kept_side * height_px)))
    left = round(corner[0] * (width_px - part[0]) - shift_px[0])
    top = round(corner[1] * (height_px - part[1]) - shift_px[1])
    above, below = max(0, -top), max(0, top + part[1] - height_px)
    before, behind = max(0, -left), max(0, left + part[0] - width_px)
    whole = np.asarray(cv2.copyMakeBorder(image, above, below, before, behind, cv2.BORDER_REPLICATE), dtype=np.uint8)
    cut = whole[top + above :, left + before :][: part[1], : part[0]]
    return resize(cut, height_px=height_px, width_px=width_px)


def recolour(
    image: ImageArray, brightness: float, contrast: float, saturation: float, *, hue_turns: float
) -> ImageArray:
    """`image` with its levels scaled, then spread about its mean grey and its colours about their own, then turned.

    All four are linear in a pixel's colour, so one matrix does them. The hue turns in the plane of I and Q of YIQ,
    which keeps every grey. The very same array comes back for the factors 1, 1, 1 and no turn.

    Raises:
        InvalidInputError: not a picture.
    """
    check_image(image)
    if (brightness, contrast, saturation, hue_turns) == (1.0, 1.0, 1.0, 0.0):
        return image
    mean_grey = float(_RGB_TO_YIQ[0] @ np.array(cv2.mean(image)[:3]))
    cosine, sine = np.cos(2.0 * np.pi * hue_turns), np.sin(2.0 * np.pi * hue_turns)
    turned = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]]) * [1.0, saturation, saturation]
    matrix = contrast * brightness * (_YIQ_TO_RGB @ turned @ _RGB_TO_YIQ)
    offset = np.full((3, 1), (1.0 - contrast) * brightness * mean_grey)
    coloured = cv2.transform(np.ascontiguousarray(image), np.hstack([matrix, offset]))
    return np.asarray(coloured, dtype=np.uint8)


def roughen(image: ImageArray, *, blur_px: float, noise_levels: float, generator: np.random.Generator) -> ImageArray:
    """`image` through a Gaussian blur, then with noise of these standard deviations [px, levels]; 0 leaves it out.

    Raises:
        InvalidInputError: not a picture.
    """
    check_image(image)
    soft = image if blur_px == 0.0 else cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), blur_px)
    if noise_levels == 0.0:
        return np.asarray(soft, dtype=np.uint8)
    # OpenCV's normal numbers are four times as fast; each thread has its own, which begin anew here.
    cv2.setRNGSeed(int(generator.integers(2**31)))
    noise = cv2.randn(np.empty(image.shape, np.int16), np.zeros(3), np.full(3, noise_levels))
    return np.asarray(cv2.add(soft, noise, dtype=cv2.CV_8U), dtype=np.uint8)
