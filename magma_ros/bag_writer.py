"""Serialized messages into a rosbag2 MCAP file, on a thread of its own, and closed as a whole even on a full disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedWriter, FileIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.rosbag2.storage_mcap import McapWriter

from magma_ros.errors import RecordingError

if TYPE_CHECKING:
    from rosbags.interfaces import Qos
    from rosbags.typesys.store import Typestore

SPARE_BYTES = 32 * 2**20
"""Held back on the disk for the chunk under way and the index, so that a full disk still leaves a closed bag."""
MAX_QUEUE_BYTES = 128 * 2**20
"""What may wait for the disk; four seconds of a raw 640x480 camera at 30 Hz."""
CLOSE_TIMEOUT_S = 8.0
"""Longest wait for what is queued when the recording ends [s]."""
NOTES_NAME = "episode.json"
"""Notes on a recording that is not closed."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class BagTopic:
    """One topic of a bag: its absolute name, the ROS name of its type (`pkg/msg/Type`), and what was offered."""

    name: str
    message: str
    qos: tuple[Qos, ...] = ()


class BagWriter:
    """Never makes the caller wait: what the disk can't take in time is dropped and counted.

    Attributes:
        num_written, num_dropped: Messages by topic.
    """

    def __init__(
        self,
        folder: Path,
        topics: Mapping[str, BagTopic],
        *,
        types: Typestore,
        min_free_bytes: int,
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Begin a bag in `folder`, which must not exist.

        Args:
            folder: Gets the MCAP file and `metadata.yaml`.
            topics: What will be offered, by the key that `offer` takes.
            types: Definitions of every type in `topics`.
            min_free_bytes: Recording ends when less is free on the disk.
            notes: About the recording; the `custom_data` of its metadata. Until the bag is closed they are in the file
                `NOTES_NAME`, which a recorder that is killed leaves behind.

        Raises:
            RecordingError: the folder exists, cannot be made, or there is too little space.
        """
        self.num_written: Counter[str] = Counter()
        self.num_dropped: Counter[str] = Counter()
        self._folder, self._min_free_bytes = folder, min_free_bytes
        self._spare = _Spare(folder / ".spare")
        try:
            self._bag = _Bag(folder, self._spare)
            self._bag.open()
            _require_space(folder, min_free_bytes + SPARE_BYTES)
            self._spare.take()
            self._notes = dict(notes)
            if notes:
                (folder / NOTES_NAME).write_text(json.dumps(self._notes), encoding="utf-8")
            self._connections = {
                key: self._bag.add_connection(t.name, t.message, typestore=types, offered_qos_profiles=t.qos)
                for key, t in topics.items()
            }
        except (OSError, WriterError) as error:
            raise RecordingError(f"recording in {folder}: {error}") from error
        self._condition = threading.Condition()
        self._queue: deque[tuple[str, int, bytes]] = deque()
        self._num_queued_bytes = 0
        self._is_closing = False
        self._ended = ""
        self._thread = threading.Thread(target=self._run, name="bag writer", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> str:
        """Why nothing is recorded any more; empty while recording."""
        return self._ended

    def offer(self, key: str, stamp_ns: int, message: bytes) -> None:
        """Record `message`, received at `stamp_ns`, unless the queue is full; after the end it does nothing."""
        with self._condition:
            if self._ended or self._is_closing:
                return
            if self._num_queued_bytes + len(message) > MAX_QUEUE_BYTES:
                self.num_dropped[key] += 1
                return
            self._queue.append((key, stamp_ns, message))
            self._num_queued_bytes += len(message)
            self._condition.notify()

    def note(self, notes: Mapping[str, str]) -> None:
        """Add `notes` to those about the recording; after the end it does nothing."""
        with self._condition:
            self._notes = {**self._notes, **notes}

    def close(self) -> str:
        """Write what is queued and close the bag; gives why it is not a whole one, or an empty text."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            return f"the disk did not take what was queued within {CLOSE_TIMEOUT_S} s: the bag is not closed"
        return self._ended

    def _run(self) -> None:
        ended = ""
        try:
            while not ended and (item := self._next()) is not None:
                key, stamp_ns, message = item
                self._bag.write(self._connections[key], stamp_ns, message)
                self.num_written[key] += 1
                ended = self._lack_of_space()
        except OSError as error:
            ended = f"the disk failed: {error}"
        finally:
            self._finish(ended)

    def _next(self) -> tuple[str, int, bytes] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._is_closing or self._queue)
            if not self._queue:
                return None
            item = self._queue.popleft()
            self._num_queued_bytes -= len(item[2])
            return item

    def _lack_of_space(self) -> str:
        if self._spare.is_spent:
            return "the disk is full: recording has ended, the bag is closed and readable"
        free = shutil.disk_usage(self._folder).free
        if free >= self._min_free_bytes:
            return ""
        return (
            f"{free / 2**30:.2f} GiB are free on the disk, {self._min_free_bytes / 2**30:.2f} are to stay free: "
            "recording has ended, the bag is closed and readable"
        )

    def _finish(self, ended: str) -> None:
        """Close the bag with the space that was held back, and let go of what still waits."""
        try:
            self._spare.give_back()
            with self._condition:
                self._bag.custom_data = self._notes
            self._bag.close()
            (self._folder / NOTES_NAME).unlink(missing_ok=True)
        except OSError as error:
            ended = f"{ended or 'closing failed'}; the bag has no index ({error}): `mcap recover` restores it"
        with self._condition:
            self._ended = ended
            self._queue.clear()
            self._num_queued_bytes = 0


class _Spare:
    """A file that holds space back until it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_spent = False

    def take(self) -> None:
        with self.path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, SPARE_BYTES)

    def give_back(self) -> None:
        self.path.unlink(missing_ok=True)


class SpareFile(FileIO):
    """A file whose writes go on with the spare space when the disk is full, so that no record is torn."""

    def __init__(self, path: Path, spare: _Spare) -> None:
        super().__init__(path, "r+b")
        self.seek(0, os.SEEK_END)
        self._spare = spare

    def write(self, data: Any, /) -> int:
        """As `FileIO.write`; the first refusal for lack of space is answered with the spare space."""
        try:
            return self.put(self, data)
        except OSError as error:
            if error.errno not in _FULL or self._spare.is_spent:
                raise
        self._spare.is_spent = True
        self._spare.give_back()
        return self.put(self, data)

    @staticmethod
    def put(file: FileIO, data: Any) -> int:
        """Hand `data` to the disk; gives how many bytes it took."""
        return FileIO.write(file, data)


class _Bag(Writer):
    """rosbags' writer onto a `SpareFile`."""

    def __init__(self, folder: Path, spare: _Spare) -> None:
        super().__init__(folder, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
        self._spare = spare

    def open(self) -> None:
        """As `Writer.open`, with our file behind the MCAP format."""
        super().open()
        assert isinstance(self.storage, McapWriter)
        self.storage.bio.close()
        self.storage.bio = BufferedWriter(SpareFile(self.storage.path, self._spare))


def _require_space(folder: Path, wanted_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes:
        raise RecordingError(
            f"recording in {folder}: expected {wanted_bytes / 2**30:.2f} GiB of free space, got {free / 2**30:.2f}"
        )
