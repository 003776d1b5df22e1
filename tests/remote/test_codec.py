"""Arrays in MessagePack."""

from __future__ import annotations

import contextlib

import msgpack
import numpy as np
import openpi_client.msgpack_numpy as openpi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from magma_ros.errors import ProtocolError
from magma_ros.remote import codec

ARRAYS = st.sampled_from(sorted(codec.DTYPES)).flatmap(
    lambda name: hnp.arrays(
        np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=codec.MAX_AXES, min_side=0, max_side=4)
    )
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MESSAGES = st.dictionaries(st.text(max_size=8), ARRAYS | VALUES, max_size=6).filter(
    lambda message: codec._depth(message) <= codec.MAX_DEPTH
)


def encoded_array(**changes: object) -> dict[bytes, object]:
    """A (2, 3) uint8 array as it crosses the wire, with changes."""
    sound = {"__ndarray__": True, "data": b"abcdef", "dtype": "|u1", "shape": [2, 3]}
    return {key.encode(): value for key, value in {**sound, **changes}.items() if value is not ...}


@given(MESSAGES)
def test_what_was_encoded_is_decoded(message: dict[str, object]) -> None:
    """Plain values and arrays of every allowed type, empty and without axes too, come back to the bit."""
    decoded = codec.decode(codec.encode(message))
    assert message.keys() == decoded.keys()
    for key, value in message.items():
        if isinstance(value, np.ndarray):
            assert (value.dtype, value.shape, value.tobytes()) == (
                decoded[key].dtype,
                decoded[key].shape,
                decoded[key].tobytes(),
            )
        else:
            assert value == decoded[key]


@given(st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4))
def test_bytes_are_those_of_openpi(message: dict[str, np.ndarray]) -> None:
    """The packer of openpi writes the same bytes, and its unpacker reads ours."""
    assert openpi.packb(message) == codec.encode(message)
    assert message.keys() == openpi.unpackb(codec.encode(message)).keys()


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_the_typed_error(data: bytes) -> None:
    """Whatever comes is a message or a ProtocolError."""
    with contextlib.suppress(ProtocolError):
        assert isinstance(codec.decode(data), dict)


@given(MESSAGES, st.data())
def test_damaged_messages_raise_nothing_but_the_typed_error(message: dict[str, object], data: st.DataObject) -> None:
    """A message with some of its bytes changed, cut off or repeated is a message or a ProtocolError."""
    damaged = bytearray(codec.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(ProtocolError):
        assert isinstance(codec.decode(bytes(damaged)), dict)


@pytest.mark.parametrize(
    "array",
    [
        encoded_array(dtype="|O"),
        encoded_array(dtype="|V6"),
        encoded_array(dtype="|S6"),
        encoded_array(dtype="<U1"),
        encoded_array(dtype="<c8"),
        encoded_array(dtype="<M8[s]"),
        encoded_array(dtype=">i2"),
        encoded_array(dtype="u1,u1"),
        encoded_array(dtype=["a", "b"]),
        encoded_array(shape=[2, 4]),
        encoded_array(shape=[2, 2]),
        encoded_array(shape=[-2, -3]),
        encoded_array(shape=[2.0, 3]),
        encoded_array(shape=[True, 6]),
        encoded_array(shape=[6, 1, 1, 1, 1]),
        encoded_array(shape=[2**62, 2**62]),
        encoded_array(shape=[0, 2**63, 2**63], data=b""),
        encoded_array(shape=6),
        encoded_array(data="abcdef"),
        encoded_array(data=None),
        encoded_array(data=...),
        encoded_array(extra=1),
        {b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"},
        {b"__npgeneric__": True, b"data": "1", b"dtype": "|u1"},
        {b"__npgeneric__": True, b"data": 1, b"dtype": "|O"},
        {b"__npgeneric__": True, b"data": float("nan"), b"dtype": "|u1"},
        {b"anything": 1},
    ],
)
def test_dishonest_arrays_are_refused(array: dict[bytes, object]) -> None:
    """Objects, records, text, foreign byte order, and lengths that disagree with the bytes never become an array."""
    with pytest.raises(ProtocolError):
        codec.decode(msgpack.packb({"a": array}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        msgpack.packb([1]),
        msgpack.packb(1),
        msgpack.packb({1: 2}),
        msgpack.packb({"a": 1}) + b"\x00",
        msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": msgpack.Timestamp(1)}),
        msgpack.packb({"a": [0] * (codec.MAX_ITEMS + 1)}),
        msgpack.packb({"a": [[]] * codec.MAX_ITEMS}),
        msgpack.packb({"a": "x" * (codec.MAX_TEXT_BYTES + 1)}),
        msgpack.packb({"a": [[[[[[1]]]]]]}),
        b"\x81\xa1a" + b"\x91" * 5000 + b"\x00",
        b"\x81\xa1a\xc6\xff\xff\xff\xff",
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a\xa1\xff",
        b"\x80\x04\x95.",
    ],
)
def test_anything_but_one_bounded_map_is_refused(data: bytes) -> None:
    """Other types, leftovers, extensions, too many or too deep containers, long text and lengths that are not there."""
    with pytest.raises(ProtocolError):
        codec.decode(data)


def test_decoded_arrays_cannot_be_written_to() -> None:
    """They are views of the message."""
    assert not codec.decode(codec.encode({"a": np.zeros(3)}))["a"].flags.writeable


@pytest.mark.parametrize("value", [object(), np.array([None]), np.zeros(2, complex), np.array(["text"]), 2**70])
def test_what_cannot_cross_is_refused_by_the_sender(value: object) -> None:
    """An object, complex numbers or text in an array never leave."""
    with pytest.raises(ProtocolError):
        codec.encode({"a": value})
