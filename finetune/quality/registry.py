"""Every check there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from magma_ros.finetune.quality import collection, gripper, motion, pictures, timing, units
from magma_ros.finetune.quality.findings import Finding
from magma_ros.finetune.quality.thresholds import Thresholds
from magma_ros.finetune.quality.track import Track

EpisodeCheck = Callable[[Track, Thresholds], Iterator[Finding]]
DatasetCheck = Callable[[Sequence[Track], Thresholds], Iterator[Finding]]

EPISODE_CHECKS: tuple[EpisodeCheck, ...] = (
    timing.gaps,
    timing.rate,
    units.joints,
    units.positions,
    units.quaternions,
    units.actions,
    motion.out_of_contract,
    motion.idle,
    motion.stuck,
    motion.saturated,
    motion.jumps,
    gripper.opening_range,
    gripper.inverted,
    pictures.frozen,
    pictures.empty,
)
"""Look at one episode."""

DATASET_CHECKS: tuple[DatasetCheck, ...] = (
    pictures.camera_lag,
    pictures.sync,
    motion.offset,
    gripper.starts_shut,
    collection.outliers,
    collection.duplicates,
    collection.instructions,
)
"""Look at all readable episodes together; there is at least one."""
