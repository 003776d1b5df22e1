from __future__ import annotations

import errno
import json
import threading
from io import FileIO

import pytest
import yaml
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from magma_ros import bag_writer
from magma_ros.bag_writer import NOTES_NAME, BagTopic, BagWriter, SpareFile
from magma_ros.errors import RecordingError

TYPES = get_typestore(Stores.ROS2_JAZZY)
STRING = TYPES.types["std_msgs/msg/String"]
TOPICS = {"a": BagTopic("/a", "std_msgs/msg/String"), "b": BagTopic("/b", "std_msgs/msg/String")}


def message(text):
    return bytes(TYPES.serialize_cdr(STRING(data=text), "std_msgs/msg/String"))


def begin(folder, **changes):
    return BagWriter(folder, TOPICS, types=TYPES, **{"min_free_bytes": 0, **changes})


def read(folder):
    with Reader(folder) as bag:
        return [(connection.topic, stamp, bytes(data)) for connection, stamp, data in bag.messages()]


def wait_until_ended(writer):
    writer._thread.join(10.0)
    assert writer.ended


def test_a_bag_reads_back_with_rosbags_and_with_mcap(tmp_path):
    """Two readers that share no code give topic, type, stamp and bytes as they were offered."""
    writer = begin(tmp_path / "bag")
    offered = [("a" if i % 2 else "b", 1000 + i, message(f"message {i}")) for i in range(100)]
    for one in offered:
        writer.offer(*one)
    assert "" == writer.close()
    expected = [(f"/{key}", stamp, data) for key, stamp, data in offered]
    assert expected == read(tmp_path / "bag")
    with (tmp_path / "bag/bag.mcap").open("rb") as file:
        found = list(make_reader(file).iter_messages())
    assert expected == [(channel.topic, m.log_time, m.data) for _, channel, m in found]
    assert {("std_msgs/msg/String", "ros2msg")} == {(schema.name, schema.encoding) for schema, _, _ in found}
    assert {"a": 50, "b": 50} == writer.num_written


def test_nothing_is_left_beside_the_bag(tmp_path):
    """The space that was held back is given back at the end."""
    begin(tmp_path / "bag").close()
    assert ["bag.mcap", "metadata.yaml"] == sorted(path.name for path in (tmp_path / "bag").iterdir())


def test_a_full_disk_ends_in_a_closed_bag_without_a_torn_message(tmp_path, monkeypatch):
    """When the disk refuses a write, what it took until then reads back, and the reason is told."""
    folder = tmp_path / "bag"
    monkeypatch.setattr(bag_writer, "SPARE_BYTES", 4 * 2**20)

    def small_disk(file, data):
        """A disk of 8 MiB."""
        if sum(path.stat().st_size for path in folder.iterdir()) + len(data) > 8 * 2**20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return FileIO.write(file, data)

    monkeypatch.setattr(SpareFile, "put", staticmethod(small_disk))
    writer = begin(folder)
    offered = [("a", i, message(f"{i}" * 100_000)) for i in range(100)]
    for one in offered:
        writer.offer(*one)
    wait_until_ended(writer)
    assert "the disk is full" in writer.ended
    assert "closed and readable" in writer.close()
    found = read(folder)
    assert 10 < len(found) < 100
    assert [("/a", stamp, data) for _, stamp, data in offered[: len(found)]] == found


def test_a_disk_that_fails_ends_the_recording_with_its_reason(tmp_path, monkeypatch):
    """Another fault than lack of space is told, with the way to restore what was written."""

    def broken_disk(_file, _data):
        raise OSError(errno.EIO, "Input/output error")

    writer = begin(tmp_path / "bag")
    monkeypatch.setattr(SpareFile, "put", staticmethod(broken_disk))
    writer.offer("a", 0, message("x" * 2**21))
    wait_until_ended(writer)
    assert "Input/output error" in writer.ended
    assert "mcap recover" in writer.close()


def test_recording_ends_before_the_disk_is_full(tmp_path, monkeypatch):
    """With less free than is to stay free, the bag is closed with what came until then."""
    writer = begin(tmp_path / "bag", min_free_bytes=2**20)
    monkeypatch.setattr(bag_writer.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**19}))
    writer.offer("a", 7, message("last"))
    wait_until_ended(writer)
    writer.offer("a", 8, message("too late"))
    assert "0.00 GiB are free" in writer.close()
    assert [("/a", 7, message("last"))] == read(tmp_path / "bag")


def test_a_slow_disk_drops_and_counts_instead_of_waiting(tmp_path, monkeypatch):
    """Beyond the bound of the queue, messages are dropped; what was taken is written in order."""
    go, is_writing = threading.Event(), threading.Event()

    def slow_disk(file, data):
        is_writing.set()
        go.wait()
        return FileIO.write(file, data)

    monkeypatch.setattr(bag_writer, "MAX_QUEUE_BYTES", 4 * 2**20)
    writer = begin(tmp_path / "bag")
    monkeypatch.setattr(SpareFile, "put", staticmethod(slow_disk))
    writer.offer("a", 0, message("x" * 2**20))
    assert is_writing.wait(10.0)
    for i in range(1, 12):
        writer.offer("b", i, message("x" * 2**20))
    assert {"b": 8} == writer.num_dropped
    go.set()
    assert "" == writer.close()
    assert {"a": 1, "b": 3} == writer.num_written
    assert [0, 1, 2, 3] == [stamp for _, stamp, _ in read(tmp_path / "bag")]


def test_an_existing_folder_is_not_written_into(tmp_path):
    """A recording never mixes with another one."""
    with pytest.raises(RecordingError, match="exists already"):
        begin(tmp_path)


def test_too_little_space_refuses_to_begin(tmp_path):
    """What could not be recorded for a second is said before the start."""
    with pytest.raises(RecordingError, match=r"expected .* GiB of free space, got"):
        begin(tmp_path / "bag", min_free_bytes=2**60)


def test_notes_are_in_the_metadata_of_a_closed_bag(tmp_path):
    """Those of the start and those that were added, beside the bag and in the MCAP file; nothing else is left."""
    writer = begin(tmp_path / "bag", notes={"instruction": "12", "outcome": "unknown"})
    assert {"instruction": "12", "outcome": "unknown"} == json.loads((tmp_path / "bag" / NOTES_NAME).read_text())
    writer.note({"outcome": "success"})
    assert "" == writer.close()
    expected = {"instruction": "12", "outcome": "success"}
    with Reader(tmp_path / "bag") as bag:
        assert expected == bag.storage.metadata.custom
    with (tmp_path / "bag/bag.mcap").open("rb") as file:
        (record,) = make_reader(file).iter_metadata()
    assert expected == yaml.safe_load(record.metadata["serialized_metadata"])["custom_data"]
    assert ["bag.mcap", "metadata.yaml"] == sorted(path.name for path in (tmp_path / "bag").iterdir())


def test_notes_of_a_full_disk_say_what_was_known(tmp_path, monkeypatch):
    """A bag that ended by itself has the notes of its start."""
    writer = begin(tmp_path / "bag", notes={"outcome": "unknown"})
    monkeypatch.setattr(bag_writer.shutil, "disk_usage", lambda _: type("Usage", (), {"free": -1}))
    writer.offer("a", 7, message("last"))
    wait_until_ended(writer)
    writer.note({"outcome": "success"})
    writer.close()
    with Reader(tmp_path / "bag") as bag:
        assert {"outcome": "unknown"} == bag.storage.metadata.custom
