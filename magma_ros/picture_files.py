"""What a JPEG or PNG file will decode to, from its header bytes; nothing is decoded here.

Markers and chunks after ITU-T T.81 annex B and the PNG specification (W3C, third edition).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from magma_ros.errors import InvalidInputError

MAX_FILE_BYTES = 16 << 20
"""Longest JPEG or PNG that is read [bytes]; a 4K frame of a camera is a tenth of it."""
MAX_DECODED_BYTES = 48 << 20
"""Largest picture that one is decoded to [bytes]: 4096 x 4096 px of three 8-bit channels."""
MAX_JPEG_SCANS = 64
"""Passes over the picture in a progressive JPEG; encoders write about ten, a malicious file thousands."""
_MAX_JPEG_SEGMENTS = 512
_MAX_PNG_CHUNKS = 8192

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_JPEG_SCAN = b"\xff\xda"
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, all Huffman coded
_JPEG_NO_HEADER_SEGMENT = {0x01, *range(0xD0, 0xDB), *range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PNG_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_PNG_COLOUR_TYPES = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}  # channels without alpha; a palette is of colours

Codec = Literal["jpeg", "png"]


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """Size [px], colour channels (1 or 3; alpha is not counted) and bits per channel that a file announces."""

    codec: Codec
    height_px: int
    width_px: int
    num_channels: int
    num_bits: int

    @property
    def decoded_bytes(self) -> int:
        """Memory of the decoded picture [bytes]."""
        return self.height_px * self.width_px * self.num_channels * (2 if self.num_bits > 8 else 1)


def read_header(data: bytes) -> PictureHeader:
    """The header of a whole JPEG or PNG that may be decoded.

    A file is whole when its end marker is there: decoders fill what is missing with grey and say nothing. Zeros behind
    a JPEG's end are allowed, since USB cameras pad their buffers.

    Raises:
        InvalidInputError: longer than `MAX_FILE_BYTES`, neither JPEG nor PNG, cut off, of a kind that cameras don't
            make (arithmetic, lossless, 12-bit or CMYK JPEG, animated PNG), more than `MAX_JPEG_SCANS` scans, chunks
            that don't fit into the file, without pixels, or larger than `MAX_DECODED_BYTES` once decoded.
    """
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInputError(f"picture file: expected at most {MAX_FILE_BYTES} bytes, got {len(data)}")
    if data.startswith(_JPEG_START):
        header = _jpeg_header(data)
    elif data.startswith(_PNG_START):
        header = _png_header(data)
    else:
        raise InvalidInputError(f"picture file: expected a JPEG or PNG, got {len(data)} bytes that begin {data[:8]!r}")
    if header.height_px < 1 or header.width_px < 1 or header.decoded_bytes > MAX_DECODED_BYTES:
        raise InvalidInputError(
            f"picture file: expected 1 to {MAX_DECODED_BYTES} bytes once decoded, "
            f"got {header.width_px}x{header.height_px} px"
        )
    return header


def _jpeg_header(data: bytes) -> PictureHeader:
    """From the frame header, reached segment by segment; strict, so that no decoder can find another one first."""
    if not data.rstrip(b"\0").endswith(_JPEG_END):
        raise InvalidInputError(f"JPEG: expected an end marker, got {len(data)} bytes without one")
    num_scans = data.count(_JPEG_SCAN)
    if num_scans > MAX_JPEG_SCANS:
        raise InvalidInputError(f"JPEG: expected at most {MAX_JPEG_SCANS} scans, got {num_scans}")
    position = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        marker, length = _jpeg_segment(data, position)
        if marker in _JPEG_FRAMES:
            return _jpeg_frame(data[position + 4 : position + 2 + length])
        position += 2 + length
    raise InvalidInputError(f"JPEG: expected a frame header within {_MAX_JPEG_SEGMENTS} segments")


def _jpeg_segment(data: bytes, position: int) -> tuple[int, int]:
    """Marker of the segment at `position` and its length without the marker [bytes]."""
    if position + 4 > len(data) or data[position] != 0xFF:
        raise InvalidInputError(f"JPEG: expected a segment at byte {position} of {len(data)}")
    marker = data[position + 1]
    if marker in _JPEG_NO_HEADER_SEGMENT or marker in {0x00, 0xFF}:
        raise InvalidInputError(
            f"JPEG: expected a baseline or progressive frame header, got marker 0x{marker:02x} before one"
        )
    (length,) = struct.unpack_from(">H", data, position + 2)
    if length < 2 or position + 2 + length > len(data):
        raise InvalidInputError(f"JPEG: expected a segment within {len(data)} bytes, got length {length}")
    return marker, length


def _jpeg_frame(frame: bytes) -> PictureHeader:
    if len(frame) < 6:
        raise InvalidInputError(f"JPEG: expected a frame header of 6 bytes or more, got {len(frame)}")
    num_bits, height, width, num_channels = struct.unpack_from(">BHHB", frame)
    if num_bits != 8 or num_channels not in (1, 3):
        raise InvalidInputError(f"JPEG: expected 1 or 3 channels of 8 bits, got {num_channels} of {num_bits}")
    return PictureHeader("jpeg", height, width, num_channels, num_bits)


def _png_header(data: bytes) -> PictureHeader:
    """From the first chunk, once all of them fit: OpenCV 5 allocates the length of a chunk, up to 4 GB, unchecked."""
    if len(data) < 33 + len(_PNG_END) or not data.endswith(_PNG_END):
        raise InvalidInputError(f"PNG: expected an end chunk, got {len(data)} bytes without one")
    position, end = 8, len(data) - len(_PNG_END)
    for _ in range(_MAX_PNG_CHUNKS):
        if position == end:
            break
        length, kind = struct.unpack_from(">I4s", data, position) if position + 12 <= end else (end, b"")
        if position + 12 + length > end or kind in _PNG_ANIMATION:
            raise InvalidInputError(f"PNG: expected a chunk of one still picture, got {length} bytes of {kind!r}")
        position += 12 + length
    else:
        raise InvalidInputError(f"PNG: expected at most {_MAX_PNG_CHUNKS} chunks")
    width, height, num_bits, colour_type = struct.unpack_from(">IIBB", data, len(_PNG_START))
    if colour_type not in _PNG_COLOUR_TYPES:
        raise InvalidInputError(f"PNG colour type: expected one of {sorted(_PNG_COLOUR_TYPES)}, got {colour_type}")
    return PictureHeader("png", height, width, _PNG_COLOUR_TYPES[colour_type], num_bits)
