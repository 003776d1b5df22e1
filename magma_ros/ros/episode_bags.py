"""The bags of one recorder, one after the other; no node in here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from magma_ros.bag_writer import BagTopic, BagWriter
from magma_ros.errors import RecordingError
from magma_ros.ros.endpoints import Topic
from magma_ros.ros.recorded_topics import bag_qos, bag_types, type_name

_MAX_RETAINED = 100
"""Transforms that never change, of one graph; more are not expected."""
_EPISODE = re.compile(r"episode_(\d{6,})")


def next_episode(output: Path) -> Path:
    """The folder of the next episode in `output`; a number is never used twice, discarded episodes at the end apart."""
    present = [_EPISODE.fullmatch(path.name) for path in output.iterdir()] if output.is_dir() else []
    return output / f"episode_{max((int(found[1]) + 1 for found in present if found), default=0):06d}"


class EpisodeBags:
    """Takes every message all the time; those that come while no bag is open are dropped, but for latched topics.

    What a latched topic said last is what it says until it says something else: each bag begins with it.

    Attributes:
        bag: The one under way, or the one that ended by itself; None before the first and after `end`.
    """

    def __init__(self, topics: Mapping[str, Topic], *, min_free_bytes: int) -> None:
        """Record `topics`, absolute name → row of the table; a bag ends when less than `min_free_bytes` are free.

        Raises:
            RecordingError: a message type is not installed.
        """
        self.bag: BagWriter | None = None
        self._folder = Path()
        self._min_free_bytes = min_free_bytes
        kinds = {name: type_name(topic.message) for name, topic in topics.items()}
        self._topics = {n: BagTopic(n, kinds[n], (bag_qos(topic.offered),)) for n, topic in topics.items()}
        self._types = bag_types(set(kinds.values()))
        self._retained: dict[str, list[bytes]] = {n: [] for n, topic in topics.items() if topic.offered.latched}
        self._keeps_all = {
            name for name in self._retained if name == "/tf_static"
        }  # each message is about other frames

    def begin(self, folder: Path, *, now_ns: int, notes: Mapping[str, str]) -> None:
        """Begin a bag in `folder`, which must not exist.

        Raises:
            RecordingError: see `BagWriter`.
        """
        self.bag = BagWriter(folder, self._topics, types=self._types, min_free_bytes=self._min_free_bytes, notes=notes)
        self._folder = folder
        for name, messages in self._retained.items():
            for message in messages:
                self.bag.offer(name, now_ns, message)

    def offer(self, name: str, stamp_ns: int, message: bytes) -> None:
        """A message came at `stamp_ns`."""
        if name in self._retained:
            before = self._retained[name] if name in self._keeps_all else []
            self._retained[name] = [*before, message][-_MAX_RETAINED:]
        if self.bag is not None:
            self.bag.offer(name, stamp_ns, message)

    def end(self, notes: Mapping[str, str]) -> str:
        """Close the bag, with `notes` beside those that it has; why it is not a whole one, or an empty text.

        Waits for the disk, at most `bag_writer.CLOSE_TIMEOUT_S`; nothing is to be recorded meanwhile.
        """
        if self.bag is None:
            return "no episode is under way"
        self.bag.note(notes)
        bag, self.bag = self.bag, None
        return bag.close()

    def discard(self) -> str:
        """Close the bag and delete it; why that was not possible, or an empty text."""
        if self.bag is None:
            return "no episode is under way"
        self.end({})
        try:
            shutil.rmtree(self._folder)
        except OSError as error:
            return f"{self._folder}: not deleted: {error}"
        return ""


def require_folder(output: Path) -> None:
    """Make the folder of the episodes where there is none.

    Raises:
        RecordingError: it cannot be made.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"{output}: expected a folder for the episodes: {error}") from error
