"""One import: conventions first, then every episode into a dataset of ours; goes on where it was stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from magma_ros.episodes import EpisodeDataset, EpisodeWriter, holds_episodes
from magma_ros.errors import EpisodeError, ImportDataError
from magma_ros.finetune.importers.conventions import require_settled
from magma_ros.finetune.importers.mapped import Demonstrations, Unusable


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
        output: Created, or holds an import of the same source that was stopped.
        pictures: How pictures are stored: `png` to the bit, `video` in a tenth of the space.
        accept: Codes of doubts about conventions that are right as they are.
        skip_unusable: Leave out episodes that can't be ours (no instruction, too short), and count them.
        on_episode: Told how many of the source are done.

    Raises:
        ImportDataError: a convention is in doubt, an episode is damaged, or unusable and not to be left out.
        EpisodeError: the folder holds other episodes, or an episode is not within the contract.
    """
    require_settled(source, accept=accept)
    origin = dict(source.origin)
    _require_own(output, origin)
    num_episodes = num_steps = 0
    unusable: Counter[str] = Counter()
    with EpisodeWriter(output, contract=source.contract, source=origin, pictures=pictures) as writer:
        num_present = len(writer)
        for index in range(len(source)):
            episode = source.read(index)
            if isinstance(episode, Unusable):
                _require_skipping(episode, index, skip_unusable=skip_unusable)
                unusable[episode.reason] += 1
            elif num_present > 0:
                num_present -= 1  # written before this import was stopped
            else:
                writer.append(episode)
                num_episodes, num_steps = num_episodes + 1, num_steps + len(episode)
            on_episode(index + 1)
    return ImportReport(num_episodes, num_steps, unusable)


def _require_own(output: Path, origin: dict[str, object]) -> None:
    if holds_episodes(output) and dict(EpisodeDataset(output).source) != origin:
        raise EpisodeError(f"{output}: expected a new folder or this import begun, it holds episodes of another source")


def _require_skipping(episode: Unusable, index: int, *, skip_unusable: bool) -> None:
    if not skip_unusable:
        raise ImportDataError(
            f"episode {index}: {episode.reason}; --instruction TEXT gives it one, --skip-unusable leaves such out"
        )
