"""Where a LeRobot v3.0 dataset keeps what.

The names are those of LeRobot's own code (lerobot 0.4.4, `lerobot/datasets/utils.py`); `magma_ros.json` is ours.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

VERSION = "v3.0"
INFO, STATS, TASKS, OURS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet", "meta/magma_ros.json"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
OLD_DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
"""Of versions 2.0 and 2.1, a file per episode."""
OLD_VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
"""Same."""

CHUNK_FILES = 1000
"""Files in one folder."""
FILE_MB = 16
"""A file that would grow beyond this begins anew [MB]: what an append copies at most, however long the dataset is."""
ROWS_PER_FILE = 100
"""Episodes described in one file of `meta/episodes`."""

CAMERA_PREFIX = "observation.images."

Pictures = Literal["video", "png"]


class FileIndex(NamedTuple):
    """The place of a file among those of its kind."""

    chunk: int
    file: int

    def following(self) -> FileIndex:
        """Where the next file goes."""
        return FileIndex(self.chunk, self.file + 1) if self.file + 1 < CHUNK_FILES else FileIndex(self.chunk + 1, 0)

    def path(self, template: str, *, video_key: str = "") -> str:
        """The name of the file, relative to the dataset."""
        return template.format(chunk_index=self.chunk, file_index=self.file, video_key=video_key)


FIRST_FILE = FileIndex(0, 0)
