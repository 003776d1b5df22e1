"""One import: conventions first, then every episode into a dataset of ours; goes on where it was stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from magma_ros.episodes import Episode, EpisodeDataset, EpisodeWriter, RawDataset, holds_episodes
from magma_ros.errors import EpisodeError, ImportDataError
from magma_ros.finetune.importers.conventions import require_settled
from magma_ros.finetune.importers.mapped import Demonstrations, Unusable
from magma_ros.wording import counted


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of an import.

    Attributes:
        num_episodes, num_steps: Written by this import.
        unusable: Reason → episodes of the source that were left out.
    """

    num_episodes: int
    num_steps: int
    unusable: Counter[str]


def import_episodes(
    source: Demonstrations,
    output: Path,
    *,
    pictures: Literal["video", "png"] = "png",
    accept: Collection[str] = (),
    skip_unusable: bool = False,
    on_episode: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """Write every episode of `source` into the dataset folder `output`.

    Args:
        source: What is imported.
        output: Created, or holds an import of the same source that was stopped: what it has is read again and compared.
        pictures: How pictures are stored: `png` to the bit, `video` in a seventh of the space.
        accept: Codes of doubts about conventions that are right as they are.
        skip_unusable: Leave out episodes that can't be ours (no instruction, too short), and count them.
        on_episode: Told how many of the source are done.

    Raises:
        ImportDataError: a convention is in doubt, an episode is damaged, or unusable and not to be left out.
        EpisodeError: the folder holds other episodes, of which none is lost, or an episode is not within the contract.
    """
    require_settled(source, accept=accept)
    origin = dict(source.origin)
    _require_own(output, origin)
    num_episodes = num_steps = 0
    unusable: Counter[str] = Counter()
    with EpisodeWriter(output, contract=source.contract, source=origin, pictures=pictures) as writer:
        present = RawDataset(output) if len(writer) else None
        num_present, num_seen = len(writer), 0
        for index in range(len(source)):
            episode = source.read(index)
            if isinstance(episode, Unusable):
                _require_skipping(episode, index, skip_unusable=skip_unusable)
                unusable[episode.reason] += 1
            elif present is not None and num_seen < num_present:
                _require_same(episode, index, present, num_seen)  # written before this import was stopped
                num_seen += 1
            else:
                writer.append(episode)
                num_episodes, num_steps = num_episodes + 1, num_steps + len(episode)
            on_episode(index + 1)
    if left := num_present - num_seen:
        raise EpisodeError(f"{output}: expected this import begun, it has {counted(left, 'episode')} more")
    return ImportReport(num_episodes, num_steps, unusable)


def _require_own(output: Path, origin: dict[str, object]) -> None:
    if holds_episodes(output) and dict(EpisodeDataset(output).source) != origin:
        raise EpisodeError(f"{output}: expected a new folder or this import begun, it holds episodes of another source")


def _require_same(episode: Episode, index: int, present: RawDataset, number: int) -> None:
    """Refuse to take what was read for an episode that is there, unless its numbers and sentence are the same."""
    stored = present.read(number, cameras=())
    state = (episode.ee_position_m, episode.ee_quat_xyzw, episode.gripper_opening[:, None], episode.joint_positions_rad)
    pairs = {
        "actions": (episode.actions, stored.columns["action"]),
        "state": (np.concatenate(state, axis=1), stored.columns["observation.state"]),
        "stamps": (episode.stamps_s, stored.columns["stamp_s"]),
        "instruction": (np.array(episode.instruction), np.array(stored.instructions[0])),
    }
    differing = [name for name, (read, kept) in pairs.items() if not np.array_equal(read, kept)]
    if differing:
        raise EpisodeError(
            f"{present.folder}: expected a new folder or this import begun: its episode {number} differs from episode "
            f"{index} of the source in {', '.join(differing)}; another source or mapping needs a folder of its own"
        )


def _require_skipping(episode: Unusable, index: int, *, skip_unusable: bool) -> None:
    if not skip_unusable:
        raise ImportDataError(
            f"episode {index}: {episode.reason}; --instruction TEXT gives it one, --skip-unusable leaves such out"
        )
