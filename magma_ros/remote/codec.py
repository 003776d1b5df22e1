"""MessagePack with NumPy arrays, as `openpi-client` writes them; decoding is strict, bounded and never unpickles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from magma_ros.errors import ProtocolError

DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"})
"""Numbers that may cross the wire, as NumPy names them; no objects, records, text, dates or complex numbers."""

MAX_CONTAINERS = 256
"""Lists and maps in one message; a byte on the wire could otherwise cost a hundred bytes of memory."""

MAX_ITEMS = 256
"""Items of one list or map."""

MAX_DEPTH = 6
"""Lists and maps inside each other."""

MAX_TEXT_BYTES = 2**16
"""One string, as UTF-8."""

MAX_AXES = 4

_ARRAY_KEYS = frozenset({b"__ndarray__", b"data", b"dtype", b"shape"})
_SCALAR_KEYS = frozenset({b"__npgeneric__", b"data", b"dtype"})


def encode(message: Mapping[str, Any]) -> bytes:
    """`message` as bytes; its values are plain ones, lists, maps and NumPy arrays and numbers of `DTYPES`.

    Raises:
        ProtocolError: a value of another type.
    """
    try:
        packed: bytes = msgpack.packb(dict(message), default=_encode_numpy)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"message: a value cannot be sent: {error}") from error
    return packed


def decode(data: bytes) -> dict[str, Any]:
    """The map in `data`; its arrays are read-only views of `data`.

    Raises:
        ProtocolError: not MessagePack, not a map, an array whose bytes and shape disagree, a type outside `DTYPES`, or
            more containers, items, depth or text than this module's bounds.
    """
    builder = _Builder()
    try:
        message = msgpack.unpackb(
            data,
            object_hook=builder.map,
            list_hook=builder.list,
            max_str_len=MAX_TEXT_BYTES,
            max_bin_len=len(data),
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise ProtocolError(f"message of {len(data)} bytes: {type(error).__name__} {error}".rstrip()) from error
    if not isinstance(message, dict):
        raise ProtocolError(f"message: expected a map, got {type(message).__name__}")
    if _depth(message) > MAX_DEPTH:
        raise ProtocolError(f"message: expected at most {MAX_DEPTH} containers inside each other")
    return message


class _Builder:
    """Counts the containers of one message and turns the maps that stand for arrays into arrays."""

    def __init__(self) -> None:
        self._num_containers = 0

    def list(self, values: list[Any]) -> list[Any]:
        self._count()
        return values

    def map(self, values: dict[Any, Any]) -> Any:
        self._count()
        if all(isinstance(key, str) for key in values):
            return values
        if values.keys() == _ARRAY_KEYS:
            return _array(values[b"data"], values[b"dtype"], values[b"shape"])
        if values.keys() == _SCALAR_KEYS:
            return _scalar(values[b"data"], values[b"dtype"])
        raise ProtocolError(f"message: expected text keys or an encoded array, got the keys {list(values)[:5]}")

    def _count(self) -> None:
        self._num_containers += 1
        if self._num_containers > MAX_CONTAINERS:
            raise ProtocolError(f"message: expected at most {MAX_CONTAINERS} lists and maps")


def _array(data: Any, dtype: Any, shape: Any) -> Any:
    kind = _dtype(dtype)
    is_shape = isinstance(shape, list) and len(shape) <= MAX_AXES and all(type(n) is int and n >= 0 for n in shape)
    if not is_shape:
        raise ProtocolError(f"array: expected a shape of at most {MAX_AXES} lengths, got {shape!r}")
    num_bytes = math.prod(shape) * kind.itemsize
    if not isinstance(data, bytes) or len(data) != num_bytes:
        got = len(data) if isinstance(data, bytes) else type(data).__name__
        raise ProtocolError(f"array: expected {num_bytes} bytes for shape {shape} of {kind.str}, got {got}")
    return np.ndarray(shape, dtype=kind, buffer=data) if num_bytes else np.zeros(shape, dtype=kind)


def _scalar(data: Any, dtype: Any) -> Any:
    kind = _dtype(dtype)
    if type(data) not in (bool, int, float):
        raise ProtocolError(f"number: expected a plain number, got {type(data).__name__}")
    return kind.type(data)


def _dtype(name: Any) -> np.dtype[Any]:
    if not isinstance(name, str) or name not in DTYPES:
        raise ProtocolError(f"dtype: expected one of {sorted(DTYPES)}, got {name!r}")
    return np.dtype(name)


def _encode_numpy(value: Any) -> Any:
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.str not in DTYPES:
        raise TypeError(f"{type(value).__name__} {getattr(value, 'dtype', '')}".rstrip())
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
