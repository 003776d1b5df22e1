"""Pictures as H.264 in MP4 and back.

Every picture is a packet of its own that is shown in the order in which it is stored (no B-frames), and an episode
begins with a key frame, so episodes are put behind one another without encoding anything again.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from magma_ros.errors import EpisodeError
from magma_ros.types import ImageArray

MAX_DECODED_BYTES = 4 * 2**30
"""Largest episode of one camera that is decoded [bytes]."""
_OPTIONS = {"crf": "18", "g": "2", "bf": "0", "preset": "fast", "threads": "1", "mbtree": "0"}
"""A key frame in two, so that single frames are quickly found. For the same bytes every time: one thread, and not
x264's macroblock tree, which decided otherwise in one of 200 encodings of the same pictures."""
_BT601, _LIMITED_RANGE = 6, 1  # AVCOL_SPC_SMPTE170M, AVCOL_RANGE_MPEG: what decoders take an untagged stream for, too
_CAREFUL = 0x4 | 0x2000 | 0x4000 | 0x40000
"""SWS_BICUBIC, _FULL_CHR_H_INT, _FULL_CHR_H_INP, _ACCURATE_RND: swscale's quick way darkens by a level."""


def encode(pictures: Iterable[ImageArray], *, rate_hz: float) -> bytes:
    """An MP4 of `pictures`, (height, width, 3) RGB each, in which picture k is shown at k / `rate_hz`.

    Raises:
        EpisodeError: there is none, or a side is odd: the colours of four pixels are stored together.
    """
    pictures = iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise EpisodeError("video: expected at least one picture, got none")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise EpisodeError(f"video: expected pictures with even sides, got {height}x{width} px; store them as png")
    target, rate = io.BytesIO(), _fraction(rate_hz)
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=_OPTIONS)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED_RANGE
        for step, picture in enumerate(chain([first], pictures)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG", interpolation=_CAREFUL, threads=1
            )
            frame.pts, frame.duration, frame.time_base = step, 1, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def decode(path: Path, *, start_s: float, num_pictures: int, rate_hz: float) -> ImageArray:
    """`num_pictures` pictures of a video from `start_s` on, (T, height, width, 3) RGB.

    Raises:
        EpisodeError: a picture is missing (a file that was cut off), too large, or cannot be decoded.
    """
    pictures = None
    num_decoded = 0
    for num_decoded, frame in enumerate(_frames(path, start_s, num_pictures, rate_hz), start=1):
        if frame.is_corrupt:
            raise EpisodeError(f"{path}: the picture at {frame.time} s is damaged")
        picture = pixels(frame)
        if pictures is None:
            if num_pictures * picture.nbytes > MAX_DECODED_BYTES:
                raise EpisodeError(f"{path}: expected at most {MAX_DECODED_BYTES} bytes of pictures in an episode")
            pictures = np.empty((num_pictures, *picture.shape), np.uint8)
        if picture.shape != pictures.shape[1:]:
            raise EpisodeError(f"{path}: expected pictures of one size, got {picture.shape} and {pictures.shape[1:]}")
        pictures[num_decoded - 1] = picture
    if pictures is None or num_decoded < num_pictures:
        raise EpisodeError(f"{path}: expected {num_pictures} pictures from {start_s} s on, got {num_decoded}")
    return pictures


def pixels(frame: Any) -> ImageArray:
    """A decoded frame, (height, width, 3) RGB."""
    return np.asarray(frame.reformat(format="rgb24", interpolation=_CAREFUL, threads=1).to_ndarray())


def can_follow(path: Path, clip: bytes) -> bool:
    """Whether the decoder of the video at `path` can go on with `clip`: same codec, size and settings."""
    with _opened(path) as first, av.open(io.BytesIO(clip)) as second:
        return _header(first) == _header(second)


def join(path: Path, clip: bytes, target: Path, *, num_kept: int, rate_hz: float) -> None:
    """Write the first `num_kept` pictures of `path`, and `clip` behind them, to `target`; nothing is decoded."""
    rate = _fraction(rate_hz)
    with _opened(path) as first, av.open(io.BytesIO(clip)) as second, av.open(str(target), "w", format="mp4") as joined:
        stream = joined.add_stream_from_template(first.streams.video[0])
        packets = [*islice(_packets(first), num_kept)]
        if len(packets) < num_kept:
            raise EpisodeError(f"{path}: expected {num_kept} pictures, got {len(packets)}")
        for step, packet in enumerate((*packets, *_packets(second))):
            packet.stream, packet.time_base = stream, 1 / rate
            packet.pts = packet.dts = step
            packet.duration = 1
            joined.mux_one(packet)


def _frames(path: Path, start_s: float, num_pictures: int, rate_hz: float) -> Iterator[Any]:
    """The frames of an episode; ends early where one is missing."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        container.seek(round(start_s / stream.time_base), stream=stream)
        step = 0
        for frame in container.decode(stream):
            place = -1 if frame.time is None else round((frame.time - start_s) * rate_hz)
            if place > step:
                return
            if place == step:
                yield frame
                step += 1
            if step == num_pictures:
                return


def _opened(path: Path) -> Any:
    container = av.open(str(path))
    if not container.streams.video:
        container.close()
        raise EpisodeError(f"{path}: expected a video")
    return container


def _packets(container: Any) -> Iterator[Any]:
    return (packet for packet in container.demux(video=0) if packet.size)


def _header(container: Any) -> tuple[Any, ...]:
    context = container.streams.video[0].codec_context
    return context.name, context.width, context.height, context.extradata


def _fraction(rate_hz: float) -> Fraction:
    return Fraction(rate_hz).limit_denominator(10_000)
