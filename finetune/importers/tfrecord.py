"""TFRecord files: framed records, checked by their CRC-32C, and the `tf.train.Example` in each; without TensorFlow.

A record is the length of its data (64 bits, little endian), the masked checksum of these eight bytes, the data, and the
masked checksum of the data. An Example maps names to lists of bytes, 32-bit floats or 64-bit integers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from magma_ros.errors import ImportDataError

MAX_RECORD_BYTES = 2**31 - 1
"""Longest record that is read: protobuf's own limit."""
_HEADER, _CHECKSUM = struct.Struct("<QI"), struct.Struct("<I")
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
_MASK_DELTA = 0xA282EAD8
_BITS = np.arange(32, dtype=np.uint32)
_KINDS = ("bytes_list", "float_list", "int64_list")

Values = NDArray[Any] | tuple[bytes, ...]
"""One feature of an Example: float32 or int64 numbers, (n,), or byte strings."""


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where the data of a record lies [bytes from the start of the file]."""

    path: Path
    start: int
    length: int


def record_places(path: Path) -> Iterator[RecordPlace]:
    """Every record of the file, in its order; the data is not read.

    Raises:
        ImportDataError: the file cannot be read, is cut off, or a length disagrees with its checksum.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = 0
            while start < size:
                file.seek(start)
                length = _length(file.read(_HEADER.size), where=f"{path}, byte {start}")
                place = RecordPlace(path, start + _HEADER.size, length)
                start = place.start + length + _CHECKSUM.size
                if start > size:
                    raise ImportDataError(f"{path}: expected a record of {length} bytes, the file is cut off in it")
                yield place
    except OSError as error:
        raise ImportDataError(f"{path}: cannot be read: {error}") from error


def read_record(place: RecordPlace) -> bytes:
    """The data of a record.

    Raises:
        ImportDataError: it cannot be read or disagrees with its checksum.
    """
    try:
        with place.path.open("rb") as file:
            file.seek(place.start)
            data, tail = file.read(place.length), file.read(_CHECKSUM.size)
    except OSError as error:
        raise ImportDataError(f"{place.path}: cannot be read: {error}") from error
    if len(tail) < _CHECKSUM.size or masked_crc32c(data) != _CHECKSUM.unpack(tail)[0]:
        raise ImportDataError(f"{place.path}: the record at byte {place.start} is damaged: its checksum differs")
    return data


def parse_example(data: bytes) -> dict[str, Values]:
    """The features of a serialized `tf.train.Example`, by name.

    Raises:
        ImportDataError: the bytes are none.
    """
    try:
        example = _example_class().FromString(data)
    except DecodeError as error:
        raise ImportDataError(f"expected a tf.train.Example: {error}") from error
    return {name: _values(feature) for name, feature in example.features.feature.items()}


def masked_crc32c(data: bytes) -> int:
    """The checksum as TFRecord stores it: rotated, and shifted by a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli; RFC 3720, appendix B.4) of `data`.

    A CRC is linear in its start and in the data. So equal parts of the data are run through side by side, each from
    zero, and 32 further lanes of zeros tell what a part does to each bit of what came before it.
    """
    lanes = max(1, math.isqrt(len(data)))
    width = len(data) // lanes
    columns = np.zeros((width, lanes + 32), np.uint8)
    columns[:, :lanes] = np.frombuffer(data, np.uint8, lanes * width).reshape(lanes, width).T
    state = np.concatenate([np.zeros(lanes, np.uint32), np.left_shift(np.uint32(1), _BITS)])
    table = _table()
    for column in columns:
        state = table[(state ^ column) & 0xFF] ^ (state >> 8)
    parts, passed = state[:lanes].tolist(), state[lanes:]
    total = 0xFFFFFFFF
    for part in parts:
        total = part ^ int(np.bitwise_xor.reduce(passed[(total >> _BITS) & 1 == 1]))
    for byte in data[lanes * width :]:
        total = int(table[(total ^ byte) & 0xFF]) ^ (total >> 8)
    return total ^ 0xFFFFFFFF


@cache
def _table() -> NDArray[np.uint32]:
    """What each byte does to the checksum."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1 == 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


def _length(header: bytes, *, where: str) -> int:
    if len(header) < _HEADER.size:
        raise ImportDataError(f"{where}: expected the header of a record, the file is cut off in it")
    length, checksum = _HEADER.unpack(header)
    if masked_crc32c(header[:8]) != checksum:
        raise ImportDataError(f"{where}: expected a TFRecord: the length disagrees with its checksum")
    if length > MAX_RECORD_BYTES:
        raise ImportDataError(f"{where}: expected a record of at most {MAX_RECORD_BYTES} bytes, got {length}")
    return int(length)


def _values(feature: Any) -> Values:
    match feature.WhichOneof("kind"):
        case "bytes_list":
            return tuple(feature.bytes_list.value)
        case "float_list":
            return np.array(feature.float_list.value, np.float32)
        case _:
            return np.array(feature.int64_list.value, np.int64)


@cache
def _example_class() -> Any:
    """The message class of `tensorflow.Example`; field numbers of TensorFlow's example.proto and feature.proto."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="magma_ros/example.proto", package="magma_ros", syntax="proto3")
    lists = {"BytesList": kinds.TYPE_BYTES, "FloatList": kinds.TYPE_FLOAT, "Int64List": kinds.TYPE_INT64}
    for name, kind in lists.items():
        values = file.message_type.add(name=name)
        values.field.add(name="value", number=1, type=kind, label=kinds.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(zip(_KINDS, lists, strict=True), start=1):
        _link(feature, name, number, kind).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    _link(entry, "value", 2, "Feature")
    _link(features, "feature", 1, "Features.FeatureEntry").label = kinds.LABEL_REPEATED
    _link(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("magma_ros.Example"))


def _link(message: Any, name: str, number: int, kind: str) -> Any:
    """A field of `message` that holds a message of the type `kind`."""
    kinds = descriptor_pb2.FieldDescriptorProto
    return message.field.add(
        name=name, number=number, type=kinds.TYPE_MESSAGE, label=kinds.LABEL_OPTIONAL, type_name=f".magma_ros.{kind}"
    )
