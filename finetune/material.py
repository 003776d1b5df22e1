"""What a recipe learns from: which episodes train, which are held out, and hashes that say it was this data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.contract import ActionContract
from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import RecipeError
from magma_ros.finetune.conversation_files import picture_names, read_documents, record_of
from magma_ros.finetune.conversations import ConversationSource
from magma_ros.finetune.dataset import ChosenEpisodes, EpisodeSource
from magma_ros.finetune.digests import digest, digest_named
from magma_ros.finetune.mixture import Mixture, Source
from magma_ros.finetune.recipe import DataItem, Recipe
from magma_ros.mark_text import is_about_traces
from magma_ros.model.processing import MagmaProcessor
from magma_ros.pipeline import Pipeline

_HELD_OUT = 3  # what a generator is seeded for


@dataclass(frozen=True, slots=True)
class EpisodeItem:
    """Episodes of one item of a recipe's data.

    Attributes:
        item: The item.
        training: Episodes that train.
        held_out: Episodes that only judge; None when none are held out.
        contract: What their actions mean.
        instructions: What was asked for in the folder.
    """

    item: DataItem
    training: ChosenEpisodes
    held_out: ChosenEpisodes | None
    contract: ActionContract
    instructions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """The data of a recipe, found and divided.

    Attributes:
        episodes: Items with episodes.
        conversations: The other items.
        judges: Folders of episodes that judge and never train.
    """

    episodes: tuple[EpisodeItem, ...]
    conversations: tuple[DataItem, ...]
    judges: tuple[Path, ...] = ()

    @property
    def training(self) -> list[ChosenEpisodes]:
        """Every episode that trains."""
        return [item.training for item in self.episodes]

    @property
    def held_out(self) -> list[ChosenEpisodes]:
        """Every episode that does not, by number."""
        kept = [item.held_out for item in self.episodes if item.held_out is not None]
        return kept + [ChosenEpisodes(path, tuple(range(len(EpisodeDataset(path))))) for path in self.judges]

    @property
    def instructions(self) -> list[str]:
        """Each sentence once, in alphabetical order."""
        return sorted({text for item in self.episodes for text in item.instructions})

    def said(self) -> list[str]:
        """Each turn of the conversations once, in alphabetical order.

        Raises:
            ConversationError: a file or a record cannot be used.
        """
        records = (
            record_of(document, line=line)
            for item in self.conversations
            for line, document in islice(read_documents(item.path), item.limit)
        )
        return sorted({turn.text for record in records for turn in record.turns})

    def teaches_traces(self) -> bool:
        """Whether the conversations say where marks go.

        Raises:
            ConversationError: a file or a record cannot be used.
        """
        return any(map(is_about_traces, self.said()))

    @property
    def contract(self) -> ActionContract:
        """What the actions mean, the same in all items.

        Raises:
            RecipeError: no item has episodes.
            ContractError: items of different motions.
        """
        if not self.episodes:
            raise RecipeError(
                "data: expected episodes, whose contract says what actions mean, or norm_stats: keep; "
                "got conversations alone"
            )
        first, *others = self.episodes
        for other in others:
            first.contract.require_same_motion(other.contract, who=str(other.item.path))
        return first.contract

    def describe(self) -> list[dict[str, Any]]:
        """Plain values for the checkpoint's manifest: paths, counts and hashes of every item, its pictures included.

        Raises:
            ConversationError: a file of conversations is no JSON.
        """
        described: list[dict[str, Any]] = []
        for one in self.episodes:
            dataset, numbers = one.training.open()
            held_out = list(one.held_out.numbers or ()) if one.held_out else []
            described.append(
                {
                    "episodes": str(one.item.path),
                    "sha256": digest(one.item.path),
                    "source": dict(dataset.source),
                    "num_episodes": len(numbers),
                    "held_out": held_out,
                }
            )
        described += [
            {"judged_by": str(path), "sha256": digest(path), "held_out": list(range(len(EpisodeDataset(path))))}
            for path in self.judges
        ]
        described += [
            {
                "conversations": str(item.path),
                "sha256": digest(item.path),
                "pictures_sha256": digest_named(
                    item.pictures or item.path.parent, picture_names(item.path, limit=item.limit)
                ),
            }
            for item in self.conversations
        ]
        return described


def find_material(recipe: Recipe) -> Material:
    """Open the data of `recipe` and choose what is held out, by its seed.

    Raises:
        EpisodeError: a folder cannot be used or has no episode.
        RecipeError: a file of conversations is missing, or a folder both judges and is in the data.
    """
    for item in recipe.data:
        if item.conversations is not None and not item.conversations.is_file():
            raise RecipeError(f"data: conversations: expected a file, found none at {item.conversations}")
    items = [item for item in recipe.data if item.episodes is not None]
    if both := {path.resolve() for path in recipe.judged_by} & {item.path.resolve() for item in items}:
        raise RecipeError(f"judged_by: expected folders that are not in data, got {sorted(map(str, both))}")
    judging: dict[Path, set[int]] = {}
    for item in items:
        judging.setdefault(item.path.resolve(), set()).update(_held_out(item, recipe))
    episodes = tuple(_divide(item, recipe, judging[item.path.resolve()]) for item in items)
    conversations = tuple(item for item in recipe.data if item.conversations is not None)
    return Material(episodes, conversations, recipe.judged_by)


def make_mixture(recipe: Recipe, material: Material, pipeline: Pipeline, processor: MagmaProcessor) -> Mixture:
    """Everything that trains, by weight.

    Raises:
        MagmaRosError: an episode or a record cannot be used; a record is named by its line.
    """
    sources: list[Source] = [
        EpisodeSource(
            pipeline,
            one.training,
            end_of_turn_id=processor.end_of_turn_id,
            weight=one.item.weight,
            augmentation=recipe.augmentation,
            only_interventions=one.item.only_interventions,
            memory_bytes=int(recipe.picture_memory_gib * 2**30 / len(material.episodes)),
        )
        for one in material.episodes
    ]
    sources += [
        ConversationSource(
            item.path,
            processor=processor,
            use_image_start_end=pipeline.config.use_image_start_end,
            image_folder=item.pictures,
            weight=item.weight,
            limit=item.limit,
        )
        for item in material.conversations
    ]
    return Mixture(sources, seed=recipe.seed)


def choose_held_out(num_episodes: int, share: float, *, seed: Sequence[int]) -> tuple[int, ...]:
    """Numbers of the held-out ones: the share, rounded, but at least one of two and never all."""
    if share == 0.0 or num_episodes < 2:
        return ()
    count = min(max(1, round(share * num_episodes)), num_episodes - 1)
    return tuple(sorted(np.random.default_rng(list(seed)).permutation(num_episodes)[:count].tolist()))


def _count(item: DataItem, dataset: EpisodeDataset) -> int:
    return len(dataset) if item.limit is None else min(item.limit, len(dataset))


def _held_out(item: DataItem, recipe: Recipe) -> tuple[int, ...]:
    count = _count(item, EpisodeDataset(item.path))
    return choose_held_out(count, recipe.held_out_share, seed=(recipe.seed, _HELD_OUT))


def _divide(item: DataItem, recipe: Recipe, judging: Collection[int]) -> EpisodeItem:
    """`item` without the episodes that judge for it or for another item of its folder."""
    dataset, held_out = EpisodeDataset(item.path), _held_out(item, recipe)
    training = ChosenEpisodes(item.path, tuple(sorted(set(range(_count(item, dataset))) - set(judging))))
    training.open()
    return EpisodeItem(
        item,
        training,
        ChosenEpisodes(item.path, held_out) if held_out else None,
        contract_seen(dataset, recipe.cameras),
        tuple(dataset.instructions),
    )


def contract_seen(dataset: EpisodeDataset, cameras: Sequence[str] | None) -> ActionContract:
    """The contract of `dataset` with `cameras` alone, in their order; None keeps all.

    Raises:
        RecipeError: one of them was not recorded.
    """
    recorded = {camera.name: camera for camera in dataset.contract.cameras}
    wanted = tuple(recorded) if cameras is None else tuple(cameras)
    if not set(wanted) <= set(recorded):
        raise RecipeError(f"cameras: expected some of {sorted(recorded)}, which {dataset.folder} has, got {wanted}")
    return replace(dataset.contract, cameras=tuple(recorded[name] for name in wanted))
