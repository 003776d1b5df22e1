"""Appending episodes to a LeRobot dataset, each whole or not at all.

The frames come first, at the end of the last files. Nobody reads them before the episode's row is in `meta/episodes`:
that row appears in one step and makes it an episode. A writer that is killed before leaves frames that nothing refers
to, and the next one cuts them off. `info.json` and `stats.json` follow, and are mended from the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from magma_ros.contract import ActionContract
from magma_ros.episodes import frames, stats, summary, tables
from magma_ros.episodes.catalogue import damage
from magma_ros.episodes.dataset import FORMAT, EpisodeDataset, holds_episodes
from magma_ros.episodes.episode import Episode, require_fits
from magma_ros.episodes.features import Features, columns_of, features_of, to_table
from magma_ros.episodes.layout import CAMERA_PREFIX, INFO, OURS, TASKS, Pictures
from magma_ros.episodes.summary import Stats
from magma_ros.errors import EpisodeError
from magma_ros.folder_lock import alone_in
from magma_ros.whole_files import PARTIAL, replacing


class EpisodeWriter:
    """Appends episodes to a folder, which it creates; nobody else may write there until it is closed."""

    def __init__(
        self, folder: Path, *, contract: ActionContract, source: Mapping[str, Any], pictures: Pictures = "png"
    ) -> None:
        """Start or go on with the dataset in `folder`.

        Args:
            folder: Where.
            contract: What the actions mean.
            source: Plain JSON that says where the episodes come from.
            pictures: `png` is exact; `video` is many times smaller and not quite exact, and needs even sides.

        Raises:
            EpisodeError: the folder holds episodes under another contract, or with pictures of the other kind, or
                another dataset; it is damaged; or another writer has it open.
        """
        self.folder = folder
        self._contract, self._pictures = contract, pictures
        self._features = features_of(None, pictures=pictures, rate_hz=contract.control_rate_hz)
        self._tasks: list[str] = []
        self._last: Mapping[str, Any] | None = None
        self._stats: Stats = {}
        with damage(folder), ExitStack() as lock:
            lock.enter_context(alone_in(folder / "meta", error=EpisodeError))
            if holds_episodes(folder):
                self._go_on()
            elif (folder / INFO).exists():
                raise EpisodeError(
                    f"{folder}: expected a dataset of ours or none, got a LeRobot dataset without {OURS}"
                )
            document = {"format": FORMAT, "contract": contract.to_dict(), "source": dict(source)}
            summary.write_json(folder / OURS, document)
            self._summarize()
            self._lock = lock.pop_all()
        self._is_open = True

    def __len__(self) -> int:
        return 0 if self._last is None else int(self._last["episode_index"]) + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others write; everything appended is on the disk already."""
        self._is_open = False
        self._lock.close()

    def append(self, episode: Episode) -> int:
        """Write `episode` and give its number; on return it is on the disk.

        Raises:
            EpisodeError: it does not agree with the contract, or has other cameras, picture sizes or joints than the
                episodes before it; or the writer is closed.
        """
        if not self._is_open:
            raise EpisodeError(f"{self.folder}: this writer is closed")
        require_fits(episode, self._contract, where=str(self.folder))
        if not -(2**63) <= episode.seed < 2**63:
            raise EpisodeError(f"expected a seed of 64 bits, got {episode.seed}")
        with damage(self.folder):
            self._settle_features(episode)
            record = self._write_frames(episode)
            frames.commit(self.folder, record)
            self._last = record
            self._stats = summary.folded_with(self._stats, record)
            self._summarize()
        return len(self) - 1

    def _settle_features(self, episode: Episode) -> None:
        """The first episode says which features there are."""
        features = features_of(episode, pictures=self._pictures, rate_hz=self._contract.control_rate_hz)
        if self._last is None:
            self._features = features
            self._summarize()
        elif features != self._features:
            raise EpisodeError(f"{self.folder}: expected {_difference(self._features, features)}")

    def _write_frames(self, episode: Episode) -> dict[str, Any]:
        """Put the frames of `episode` into the files; gives its row for `meta/episodes`."""
        begin = 0 if self._last is None else int(self._last["dataset_to_index"])
        rate_hz = self._contract.control_rate_hz
        task_index = self._task_index(episode.instruction)
        columns = columns_of(episode, index=len(self), first_frame=begin, task_index=task_index, rate_hz=rate_hz)
        pictures = {f"{CAMERA_PREFIX}{name}": array for name, array in episode.images.items()}
        record: dict[str, Any] = {
            "episode_index": len(self),
            "tasks": [episode.instruction],
            "length": len(episode),
            "dataset_from_index": begin,
            "dataset_to_index": begin + len(episode),
            "magma_ros/seed": episode.seed,
            "magma_ros/success": episode.success,
            "magma_ros/operator": episode.operator,
        }
        table = to_table(columns, pictures, self._features)
        record |= frames.append_rows(self.folder, table, last=self._last)
        if self._pictures == "video":
            for name, array in pictures.items():
                record |= frames.append_video(self.folder, array, name=name, rate_hz=rate_hz, last=self._last)
        for name in self._features:
            of_feature = stats.of_pictures(pictures[name]) if name in pictures else stats.of_column(columns[name])
            record |= {f"stats/{name}/{key}": value.tolist() for key, value in of_feature.items()}
        return record

    def _task_index(self, instruction: str) -> int:
        if instruction not in self._tasks:
            with replacing(self.folder / TASKS) as partial:
                tables.write_tasks(partial, [*self._tasks, instruction])
            self._tasks.append(instruction)
        return self._tasks.index(instruction)

    def _go_on(self) -> None:
        """Take up what is there."""
        for partial in self.folder.rglob(f"*{PARTIAL}"):
            partial.unlink()
        present = EpisodeDataset(self.folder)
        if present.contract != self._contract:
            raise EpisodeError(f"{self.folder}: holds episodes of another action contract, {present.contract}")
        self._tasks = list(present.instructions)
        if len(present):
            self._last = present.raw.rows[-1].record
            self._features = dict(present.raw.info["features"])
            kinds = {self._features[name]["dtype"] for name in present.raw.camera_keys}
            if kinds != {"video" if self._pictures == "video" else "image"}:
                raise EpisodeError(f"{self.folder}: expected pictures as {self._pictures}, got {sorted(kinds)}")
            self._stats = summary.read_stats(self.folder, num_frames=int(self._last["dataset_to_index"]))

    def _summarize(self) -> None:
        summary.write_info(
            self.folder,
            features=self._features,
            rate_hz=self._contract.control_rate_hz,
            robot_type=self._contract.embodiment,
            num_tasks=len(self._tasks),
            last=self._last,
        )
        if self._stats:
            summary.write_stats(self.folder, self._stats)


def _difference(known: Features, given: Features) -> str:
    names = [name for name in sorted({*known, *given}) if known.get(name) != given.get(name)]
    return "; ".join(f"{name} as {_short(known.get(name))}, got {_short(given.get(name))}" for name in names)


def _short(feature: Mapping[str, Any] | None) -> str:
    return "nothing" if feature is None else f"{feature['dtype']} of shape {feature['shape']}"
