import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import RecordWriter

from magma_ros.errors import ImportDataError
from magma_ros.finetune.importers.tfrecord import crc32c, parse_example, read_record, record_places
from tests.finetune.importers.foreign_files import example, frame


def bitwise_crc32c(data):
    """The checksum bit by bit, as the polynomial defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_is_that_of_the_standard(data, expected):
    """The test vectors of CRC-32C, of RFC 3720 and of the usual check text."""
    assert expected == crc32c(data)


@given(st.binary(max_size=700))
def test_parts_side_by_side_give_the_checksum_of_the_whole(data):
    """Whatever the length, also of nothing."""
    assert bitwise_crc32c(data) == crc32c(data)


def test_records_of_another_writer_are_read(tmp_path):
    """TensorBoard's own writer frames and checks them the same way."""
    path = tmp_path / "events"
    written = [b"", b"one", bytes(range(256)) * 5]
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for data in written:
            writer.write(data)
    assert written == [read_record(place) for place in record_places(path)]


@pytest.mark.parametrize("position", [0, 9, 14, -1])
def test_a_changed_byte_is_found_wherever_it_is(tmp_path, position):
    """In the length, in its checksum, in the data and in the data's checksum."""
    damaged = bytearray(frame(b"some data"))
    damaged[position] ^= 1
    path = tmp_path / "damaged"
    path.write_bytes(bytes(damaged))
    with pytest.raises(ImportDataError, match="checksum"):
        [read_record(place) for place in record_places(path)]


@pytest.mark.parametrize("kept", [5, 15, -1])
def test_a_file_that_was_cut_off_is_refused(tmp_path, kept):
    """In the header, in the data, and one byte before its end."""
    path = tmp_path / "cut"
    path.write_bytes(frame(b"first") + frame(b"second")[:kept])
    with pytest.raises(ImportDataError, match="cut off"):
        list(record_places(path))


def test_an_example_has_its_bytes_floats_and_integers():
    """As the three lists of TensorFlow's feature.proto; floats have 32 bits."""
    numbers, counts = np.array([0.1, -2.5], np.float32), np.array([-3, 2**40])
    found = parse_example(example({"texts": [b"a", b""], "numbers": numbers, "counts": counts}))
    assert (b"a", b"") == found["texts"]
    np.testing.assert_array_equal(numbers, found["numbers"])
    np.testing.assert_array_equal(counts, found["counts"])


def test_the_bytes_of_an_example_are_those_of_tensorflow():
    """Field numbers and packing of an Example with the integers 1 and 2 as "a", by hand after the wire format."""
    by_hand = bytes.fromhex("0a0d 0a0b 0a0161 1206 1a04 0a02 0102")
    np.testing.assert_array_equal([1, 2], parse_example(by_hand)["a"])


def test_other_bytes_are_no_example():
    """They are refused with our own error."""
    with pytest.raises(ImportDataError, match=r"tf\.train\.Example"):
        parse_example(b"\xff\xff\xff")
