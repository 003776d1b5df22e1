"""Recorded messages in the order in which they were received; no node in here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader, ReaderError

from magma_ros.errors import RecordingError
from magma_ros.ros.recorded_topics import bag_types, type_name

if TYPE_CHECKING:
    from rosbags.interfaces import Connection


class Recorded(NamedTuple):
    """One message: its absolute topic, when it was received in the recorder's clock [ns], and itself."""

    topic: str
    received_ns: int
    message: Any


class BagReader:
    """A rosbag2 recording, as a folder or as one MCAP file.

    Attributes:
        topics: Absolute names in the bag.
        notes: What the bag says about itself, the `custom_data` of its metadata; a file by itself says nothing.
    """

    def __init__(self, path: Path) -> None:
        """Look at what is in the bag.

        Raises:
            RecordingError: there is none, or it is damaged.
        """
        self._path = path
        with self._open() as bag:
            self.topics = frozenset(connection.topic for connection in bag.connections)
            self.notes: dict[str, str] = dict(bag.storage.metadata.custom or {})

    def read(self, wanted: Mapping[str, Any]) -> Iterator[Recorded]:
        """Every message of the topics `wanted` (absolute name → message class), the first received first.

        Raises:
            RecordingError: a topic has another type, or another version of it than is installed; or damaged data.
        """
        hashes = {name: _installed_hash(type_name(message)) for name, message in wanted.items() if name in self.topics}
        with self._open() as bag:
            connections = [connection for connection in bag.connections if connection.topic in wanted]
            for connection in connections:
                _require_same_type(connection, wanted[connection.topic], hashes[connection.topic])
            for connection, received_ns, data in bag.messages(connections) if connections else ():
                yield Recorded(connection.topic, received_ns, _message(connection, bytes(data), wanted))

    @contextmanager
    def _open(self) -> Iterator[Reader]:
        try:
            with Reader(self._path) as bag:
                yield bag
        except (OSError, ReaderError) as error:
            raise RecordingError(f"{self._path}: expected a rosbag2 folder or MCAP file: {error}") from error


def absolute_name(name: str, namespace: str) -> str:
    """A topic as it is called in a bag of an arm in `namespace`; a name with a leading slash is kept."""
    return name if name.startswith("/") else "/".join(["", *filter(None, namespace.split("/")), name])


def _message(connection: Connection, data: bytes, wanted: Mapping[str, Any]) -> Any:
    try:
        return deserialize_message(data, wanted[connection.topic])
    except RuntimeError as error:  # rclpy's RMWError is one, and is not public
        raise RecordingError(f"{connection.topic}: expected a {connection.msgtype}: {error}") from error


@cache
def _installed_hash(name: str) -> str:
    """Of a type `pkg/msg/Type`, kept: every definition in it is parsed for it."""
    return bag_types([name]).hash_rihs01(name)


def _require_same_type(connection: Connection, message: Any, installed_hash: str) -> None:
    """Refuse what would be read as something else; a bag of before Iron has no hashes."""
    if connection.msgtype != type_name(message):
        raise RecordingError(f"{connection.topic}: expected {type_name(message)}, the bag has {connection.msgtype}")
    if connection.digest and connection.digest != installed_hash:
        raise RecordingError(
            f"{connection.topic}: the bag has another version of {connection.msgtype} than is installed "
            f"({connection.digest[:20]}, expected {installed_hash[:20]})"
        )
